//! An agent with a shell: what is typed into its `in` stream is answered in its `out` stream. And
//! an operator who types something from time to time.

use std::time::Duration;

use crate::cli::demo::stage::{Stage, pause};
use crate::client::{ClientError, CreateOptions};
use crate::time::{Clock, Instant};

/// What the shell prints when it waits for a command.
pub(crate) const PROMPT: &str = "board-1 # ";

/// The longest command; what is typed beyond it is dropped.
const LINE_BYTES_MAX: usize = 256;

/// Bytes asked for at once.
const READ_BYTES: u64 = 4096;

/// What the operator types, in turn.
const HABITS: &[&str] = &["uptime", "temp", "ps", "dmesg | tail", "uptime", "help"];

/// Creates the two streams, output and input, and answers.
pub(crate) fn enter(stage: &mut Stage) -> anyhow::Result<(String, String)> {
    stage.enter(
        "console",
        |connection| {
            let options = |name: &str, direction| CreateOptions {
                context: Some("board-1".to_owned()),
                name: Some(name.to_owned()),
                direction: Some(direction),
                ..CreateOptions::default()
            };
            let output = connection.create("console", &options("board-1 shell", "out"))?;
            let input = connection.create("console-in", &options("board-1 keyboard", "in"))?;
            connection.write(&output, PROMPT.as_bytes().to_vec())?;
            Ok((output, input))
        },
        |connection, (output, input)| {
            let mut shell = Shell::new();
            loop {
                let typed = connection.read(&input, READ_BYTES)?;
                let answer = shell.take(&typed.data);
                if !answer.is_empty() {
                    connection.write(&output, answer.into_bytes())?;
                }
                if typed.eos {
                    return Ok(());
                }
            }
        },
    )
}

/// Lets somebody type into the console.
pub(crate) fn enter_operator(stage: &mut Stage, input: &str) -> anyhow::Result<()> {
    let input = input.to_owned();
    stage.enter("operator", |connection| connection.connect_stream(&input), {
        let input = input.clone();
        move |connection, ()| type_habits(connection, &input)
    })
}

fn type_habits(connection: &mut crate::client::Connection, input: &str) -> Result<(), ClientError> {
    for command in HABITS.iter().cycle() {
        pause(connection, Duration::from_secs(4))?;
        for character in command.chars() {
            connection.write(input, character.to_string().into_bytes())?;
            pause(connection, Duration::from_millis(120))?;
        }
        connection.write(input, b"\r".to_vec())?;
    }
    Ok(())
}

/// A shell that knows a handful of commands.
struct Shell {
    clock: Clock,
    line: String,
    /// Whether the last byte was a carriage return, whose line feed is not another end of line.
    is_behind_return: bool,
}

impl Shell {
    fn new() -> Shell {
        Shell { clock: Clock::start(), line: String::new(), is_behind_return: false }
    }

    /// What the terminal shows for what was typed: its echo, and the answers.
    fn take(&mut self, typed: &[u8]) -> String {
        let mut shown = String::new();
        for &byte in typed {
            let was_return = std::mem::replace(&mut self.is_behind_return, byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\r' | b'\n' => {
                    shown.push_str("\r\n");
                    let line = std::mem::take(&mut self.line);
                    shown.push_str(&self.answer(line.trim()));
                    shown.push_str(PROMPT);
                }
                0x08 | 0x7f => shown.push_str(self.line.pop().map_or("", |_| "\x08 \x08")),
                b' '..=b'~' if self.line.len() < LINE_BYTES_MAX => {
                    self.line.push(char::from(byte));
                    shown.push(char::from(byte));
                }
                _ => {}
            }
        }
        shown
    }

    fn answer(&self, line: &str) -> String {
        let seconds = self.clock.now().instant.since(Instant::default()).as_secs();
        match line.split_whitespace().next().unwrap_or_default() {
            "" => String::new(),
            "help" => "commands: help uptime temp ps dmesg echo\r\n".to_owned(),
            "uptime" => {
                let (minutes, seconds) = (seconds / 60, seconds % 60);
                format!("up {minutes} min {seconds} s, load average: 0.08, 0.03, 0.01\r\n")
            }
            "temp" => format!(
                "cpu \x1b[33m{}.{} C\x1b[0m, board {} C\r\n",
                41 + seconds % 5,
                seconds % 10,
                29 + seconds % 3
            ),
            "ps" => "  PID COMMAND\r\n    1 init\r\n   77 tcf-agent\r\n  112 sh\r\n".to_owned(),
            "dmesg" => {
                "[    2.551300] systemd[1]: Reached target Multi-User System.\r\n".to_owned()
            }
            "echo" => format!("{}\r\n", line.strip_prefix("echo").unwrap_or(line).trim()),
            other => format!("sh: {other}: not found\r\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_echoed_and_answered() {
        let mut shell = Shell::new();
        assert_eq!(shell.take(b"ecxho "), "ecxho ");
        assert_eq!(shell.take(&[0x7f, 0x7f, 0x7f, 0x7f]), "\x08 \x08".repeat(4));
        assert_eq!(shell.take(b"ho hi\r\n"), format!("ho hi\r\nhi\r\n{PROMPT}"));
        assert_eq!(shell.take(b"\n"), format!("\r\n{PROMPT}"));
        assert!(shell.take(b"nonsense\n").contains("sh: nonsense: not found"));
        assert_eq!(shell.take(b"\x1b\x00\xff"), "", "control characters are dropped");
        let long = vec![b'a'; 1000];
        assert_eq!(shell.take(&long).len(), LINE_BYTES_MAX);
    }
}
