//! Properties that hold for any input, each against a simple statement of what should come out.

mod framing;
