//! An agent with an instruction trace: a lot of bytes, evenly.

use std::time::Duration;

use bytes::Bytes;

use crate::cli::demo::stage::{Stage, pause};
use crate::client::{CreateOptions, StallTimeout};
use crate::time::{Clock, Instant};

/// Bytes a second.
const RATE: u64 = 10_000_000;
const LINE_BYTES: usize = 64;
/// Bytes of one write.
const BLOCK_BYTES: usize = 1000 * LINE_BYTES;
/// Where the line's number stands in it.
const NUMBER: std::ops::Range<usize> = 1..13;

/// Creates the stream and traces.
pub(crate) fn enter(stage: &mut Stage) -> anyhow::Result<String> {
    stage.enter(
        "trace",
        |connection| {
            let options = CreateOptions {
                context: Some("board-1".to_owned()),
                name: Some("board-1 cpu0 trace".to_owned()),
                buffer_bytes: Some(4 << 20),
                stall_timeout: Some(StallTimeout::AfterMs(2000)),
                ..CreateOptions::default()
            };
            connection.create("trace", &options)
        },
        |connection, stream| {
            let clock = Clock::start();
            let mut block = Block::new();
            let mut due = Duration::ZERO;
            loop {
                connection.write(&stream, block.next_bytes())?;
                due += Duration::from_nanos(BLOCK_BYTES as u64 * 1_000_000_000 / RATE);
                let passed = clock.now().instant.since(Instant::default());
                // What was not traced while the stream was full is not made up for.
                due = due.max(passed.saturating_sub(Duration::from_millis(100)));
                pause(connection, due.saturating_sub(passed))?;
            }
        },
    )
}

/// Lines of a trace, numbered on from block to block.
struct Block {
    text: Vec<u8>,
    next_line: u64,
}

impl Block {
    fn new() -> Block {
        const STEPS: [&str; 6] = [
            "exec  ldr  x0, [x19, #24]",
            "exec  cbz  x0, .+36",
            "data  rd 8 = 0x00000000ffffc0de",
            "exec  bl   schedule_timeout",
            "exec  stp  x29, x30, [sp, #-48]!",
            "exec  ret",
        ];
        let mut text = Vec::with_capacity(BLOCK_BYTES);
        for line in 0..BLOCK_BYTES / LINE_BYTES {
            let address = 0xffff_8000_0810_0000_u64 + 4 * line as u64;
            let step = STEPS[line % STEPS.len()];
            let body = format!("#000000000000 {address:016x} {step}");
            text.extend_from_slice(format!("{body:<63.63}\n").as_bytes());
        }
        Block { text, next_line: 0 }
    }

    /// The next lines, as many as a block has.
    fn next_bytes(&mut self) -> Bytes {
        for line in self.text.chunks_mut(LINE_BYTES) {
            let mut rest = self.next_line;
            for digit in line[NUMBER].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            self.next_line += 1;
        }
        Bytes::copy_from_slice(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_through() {
        let mut block = Block::new();
        let first = block.next_bytes();
        assert_eq!(first.len(), BLOCK_BYTES);
        assert!(first.starts_with(b"#000000000000 ffff80000810000"));
        assert!(first[LINE_BYTES..].starts_with(b"#000000000001 "));
        assert!(block.next_bytes().starts_with(b"#000000001000 "));
        assert!(first.chunks(LINE_BYTES).all(|line| line.ends_with(b"\n")));
    }
}
