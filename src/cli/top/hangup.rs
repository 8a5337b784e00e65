//! The end of the terminal.

use std::io;

/// Ends the program when its terminal is gone. A signal says so too, but not to a program that was
/// started with it ignored (`nohup`); and the library that reads keys takes the end of a terminal
/// for one key after the other that means nothing, as fast as it can.
#[cfg(target_os = "linux")]
pub(super) fn end_with_the_terminal() -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};

    use crate::cli::Exit;

    std::thread::Builder::new().name("weir-terminal".to_owned()).spawn(|| {
        let stdin = io::stdin();
        loop {
            // Of the end it is told unasked.
            let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
            let outcome = poll(&mut terminal, None);
            let has_ended = terminal[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
            if outcome.is_ok() && has_ended {
                std::process::exit(Exit::Failed as i32);
            }
        }
    })?;
    Ok(())
}

/// Elsewhere the signal has to do.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_the_terminal() -> io::Result<()> {
    Ok(())
}
