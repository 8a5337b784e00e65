//! What is typed into the demo's own terminal goes to the console, and the console's answer is
//! shown here.

use std::io::{self, BufRead, Write};

use crate::cli::demo::console::PROMPT;
use crate::cli::demo::stage::{Stage, pause};
use crate::client::{AttachOptions, ClientError, Connection, Position, StallTimeout};

const READ_BYTES: u64 = 4096;

/// Lets lines of standard input be typed into `input`.
pub(crate) fn enter(stage: &mut Stage, output: &str, input: &str) -> anyhow::Result<()> {
    if !may_read_input() {
        return Ok(());
    }
    // A thread that waits for a person cannot be told to end. It is left behind; the actor, which
    // notices the end of the channel, hands nothing on from then on.
    let (to_actor, lines) = crossbeam::channel::bounded::<String>(16);
    std::thread::Builder::new().name("demo-stdin".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if to_actor.send(line).is_err() {
                break;
            }
        }
    })?;
    let (output, input) = (output.to_owned(), input.to_owned());
    stage.enter("keyboard", |connection| connection.connect_stream(&input), {
        let input = input.clone();
        move |connection, ()| {
            loop {
                match lines.try_recv() {
                    Ok(line) => type_line(connection, &output, &input, &line)?,
                    Err(crossbeam::channel::TryRecvError::Disconnected) => return Ok(()),
                    Err(crossbeam::channel::TryRecvError::Empty) => {
                        pause(connection, std::time::Duration::from_millis(50))?;
                    }
                }
            }
        }
    })
}

/// Types a line and shows what the console prints up to its next prompt.
fn type_line(
    connection: &mut Connection,
    output: &str,
    input: &str,
    line: &str,
) -> Result<(), ClientError> {
    let viewer = AttachOptions {
        from: Some(Position::Latest),
        stall_timeout: Some(StallTimeout::AfterMs(0)),
        ..AttachOptions::default()
    };
    connection.attach(output, &viewer)?;
    connection.write(input, format!("{line}\r").into_bytes())?;
    let mut shown = Vec::new();
    while !shown.ends_with(PROMPT.as_bytes()) {
        let reply = connection.read(output, READ_BYTES)?;
        let mut stdout = io::stdout().lock();
        // Whoever looks may have closed the pipe; the console goes on.
        let _ = stdout.write_all(&reply.data).and_then(|()| stdout.flush());
        shown.extend_from_slice(&reply.data);
        if reply.eos {
            break;
        }
    }
    connection.disconnect_stream(output)
}

/// Whether reading standard input would not stop us: a job in the background that reads from its
/// terminal is stopped by the system, all of it.
#[cfg(target_os = "linux")]
fn may_read_input() -> bool {
    match rustix::termios::tcgetpgrp(io::stdin()) {
        Ok(foreground) => foreground == rustix::process::getpgrp(),
        // No terminal.
        Err(_) => true,
    }
}

#[cfg(not(target_os = "linux"))]
fn may_read_input() -> bool {
    true
}
