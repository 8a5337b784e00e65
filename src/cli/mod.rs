//! The verbs of the weir program: arguments, output, exit codes.
//!
//! Data goes to standard output, talk to standard error. Each verb is a file; [`args`] says what can be
//! typed, [`Exit`] how a run ends. Nothing here knows the wire: verbs use [`crate::client`] or start
//! [`crate::server`].

pub mod args;
mod exit;
mod log_writer;
mod logging;
mod ls;
mod progress;
mod publish;
mod raw_output;
mod serve;
mod tail;
mod units;
mod window;

pub use exit::{Exit, OutputError};

use args::{Args, Verb};

/// Carries out what the arguments say.
///
/// # Errors
/// What stopped it; [`Exit::of`] gives the code.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    match args.verb {
        None => serve::run(&args.serve),
        Some(Verb::Serve(serve)) => serve::run(&serve),
        Some(Verb::Pub(publish)) => publish::run(&publish),
        Some(Verb::Tail(tail)) => tail::run(tail),
        Some(Verb::Ls(ls)) => ls::run(&ls),
    }
}
