//! The `weir` program.

use std::process::ExitCode;

use weir::cli::args::Args;
use weir::cli::{self, Exit};

fn main() -> ExitCode {
    // Ends the program with code 2 where the arguments are wrong, 0 after help.
    let args = Args::of_process();
    match cli::run(args) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(&error);
            if exit != Exit::Ok {
                cli::tell(&error);
            }
            exit.into()
        }
    }
}
