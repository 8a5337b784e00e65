//! The verbs of the weir program: arguments, output, exit codes.
//!
//! Data goes to standard output, talk to standard error. Each verb is a file; [`args`] says what
//! can be typed, [`Exit`] how a run ends. Nothing here knows the wire: verbs use [`crate::client`]
//! or start [`crate::server`].

pub mod args;
mod bench;
mod connect;
mod demo;
mod exit;
mod log_writer;
mod logging;
mod ls;
mod progress;
mod publish;
mod quantity;
mod raw_output;
mod retry;
mod say;
mod serve;
mod stats;
mod table;
mod tail;
mod top;
mod units;

pub use exit::{Exit, OutputError};

use args::{Args, Verb};

use crate::shown;

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
        Some(Verb::Bench(args)) => bench::run(&args),
        Some(Verb::Stats(stats)) => stats::run(&stats),
        Some(Verb::Top(top)) => top::run(&top),
        Some(Verb::Demo(serve)) => demo::run(&serve),
    }
}

/// What the user reads: the error and its causes. A cause that the text before it quotes is not
/// repeated.
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    shown::lines(&text).into_owned()
}

/// Tells the user an error, which may have several lines.
pub fn tell(error: &anyhow::Error) {
    say::lines(&format!("weir: {}", describe(error)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireError;

    #[test]
    fn a_cause_is_told_once() {
        let error = crate::client::ClientError::from(WireError::Protocol("no".to_owned()));
        let error = anyhow::Error::from(error).context("VS1 broke off");
        assert_eq!(
            describe(&error),
            "VS1 broke off: the broker's answer cannot be understood: no. Protocol format error"
        );
    }
}
