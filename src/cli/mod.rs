//! The verbs of the weir program: arguments, output, exit codes.
