//! `weir tail`: the bytes of a stream on standard output.
//!
//! One thread does it all: it keeps some reads on their way, writes what they bring, and flushes
//! whenever it would have to wait for more. Standard output that does not take bytes stops the reading,
//! and so makes this reader a slow one that the broker deals with.

mod find;

use std::time::Duration;

use anyhow::Context;

use crate::cli::args::TailArgs;
use crate::cli::progress::Progress;
use crate::cli::raw_output::RawOutput;
use crate::cli::{Exit, OutputError};
use crate::client::{CallError, Connection, Incoming, ReadReply, Reply};

use find::{Find, Found};

/// Reads on their way, and the most that each may bring.
const READS: usize = 8;
const READ_BYTES: u64 = 64 << 10;
/// How long the broker may take for its end of stream after ours.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Copies one stream, or with `--follow` one after the other.
pub(crate) fn run(args: TailArgs) -> anyhow::Result<Exit> {
    copy_streams(args, RawOutput::open()?)
}

fn copy_streams(args: TailArgs, output: RawOutput) -> anyhow::Result<Exit> {
    let progress = Progress::new(None, output.is_file());
    let connection = Connection::connect(&args.broker.broker)?;
    let follow = args.follow;
    let mut find = Find::new(args, connection);
    let mut tail = Tail { output, progress, lost: Lost::default() };
    loop {
        let Some(found) = find.next_stream()? else { return Ok(Exit::Failed) };
        if found.lost > 0 {
            tail.tell_lost(Some(found.lost), found.position.saturating_sub(found.lost));
        }
        match tail.copy(&mut find, &found)? {
            Ending::Ended if follow => find.pass(&found.id),
            Ending::Ended => break,
            Ending::Refused(error) => find.give_up(&found.id, error)?,
        }
    }
    // Everything is read; how the channel ends no longer matters.
    let (sender, receiver) = find.into_connection().split();
    let _ = sender.end();
    let _ = receiver.drain(CLOSE_PATIENCE);
    Ok(tail.exit())
}

/// What was lost on the way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lost {
    bytes: u64,
    gaps: u64,
}

/// How the copying of one stream came to its end.
enum Ending {
    /// All is read.
    Ended,
    /// The stream cannot be read, or is gone.
    Refused(CallError),
}

struct Tail {
    output: RawOutput,
    progress: Progress,
    lost: Lost,
}

impl Tail {
    fn copy(&mut self, find: &mut Find, found: &Found) -> anyhow::Result<Ending> {
        let mut position = found.position;
        let result = self.copy_until_end(find, &found.id, &mut position);
        // What came before the connection broke is as good as ever.
        self.output.flush()?;
        let id = &found.id;
        result.with_context(|| {
            format!(
                "{id} broke off at offset {position} \
                 (go on with `weir tail --id {id} --from {position}`)"
            )
        })
    }

    fn copy_until_end(
        &mut self,
        find: &mut Find,
        id: &str,
        position: &mut u64,
    ) -> anyhow::Result<Ending> {
        for _ in 0..READS {
            find.connection.sender().read(id, READ_BYTES);
        }
        let mut outstanding = READS;
        let mut ending = None;
        while outstanding > 0 {
            let Some(incoming) = find.connection.receiver().buffered()? else {
                self.output.flush()?;
                // Where sending fails the receiving half tells why.
                let _ = find.connection.sender().flush();
                find.connection.receiver().fill()?;
                continue;
            };
            match incoming {
                Incoming::Event(event) => find.handle_event(&event),
                Incoming::Reply { result: Ok(Reply::Read(reply)), .. } => {
                    outstanding -= 1;
                    self.take(&reply, position)?;
                    if reply.eos {
                        ending = Some(Ending::Ended);
                    } else if ending.is_none() {
                        find.connection.sender().read(id, READ_BYTES);
                        outstanding += 1;
                    }
                }
                // The broker is going down: its end of stream says so in a moment.
                Incoming::Reply { command: "Streams.read", result: Err(error), .. }
                    if error.code == CallError::CANCELLED => {}
                Incoming::Reply { command: "Streams.read", result: Err(error), .. } => {
                    outstanding -= 1;
                    ending.get_or_insert(Ending::Refused(error));
                }
                // Answers to what handle_event sent: a stream that is gone by now is no loss.
                Incoming::Reply { .. } => {}
            }
        }
        Ok(ending.expect("the last read is answered only once the stream has ended"))
    }

    fn take(&mut self, reply: &ReadReply, position: &mut u64) -> Result<(), OutputError> {
        if reply.lost != Some(0) {
            // The notice belongs behind the bytes that came before the gap.
            self.output.flush()?;
            self.tell_lost(reply.lost, *position);
        }
        *position += reply.lost.unwrap_or_default() + reply.data.len() as u64;
        self.progress.advance(reply.data.len());
        self.output.write(&reply.data)
    }

    /// `None`: the peer does not know how many.
    fn tell_lost(&mut self, bytes: Option<u64>, position: u64) {
        self.lost.gaps += 1;
        self.lost.bytes += bytes.unwrap_or_default();
        let count = bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string());
        self.progress.say(&format!("weir: {count} bytes lost at offset {position}"));
    }

    fn exit(&self) -> Exit {
        if self.lost == Lost::default() {
            return Exit::Ok;
        }
        let Lost { bytes, gaps } = self.lost;
        let places = if gaps == 1 { "gap" } else { "gaps" };
        self.progress.say(&format!(
            "weir: {bytes} bytes lost in {gaps} {places}; \
             a longer --stall-timeout makes the stream wait for this reader"
        ));
        Exit::DataLost
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use clap::Parser;
    use parking_lot::Mutex;

    use super::*;
    use crate::cli::args::{Args, Verb};
    use crate::client::script::{HELLO, Peer, peer};

    /// Output that can be looked at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs `weir tail` against a peer that plays `script`: its exit code and its output.
    fn tail(flags: &str, script: impl FnOnce(Peer) + Send + 'static) -> (Exit, String) {
        let (address, thread) = peer(script);
        let line = format!("weir tail --broker {address} {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        let Some(Verb::Tail(args)) = args.verb else { panic!("tail is a verb") };
        let output = Shared::default();
        let result = copy_streams(args, RawOutput::to(output.clone()));
        thread.join().unwrap();
        let exit = result.unwrap_or_else(|error| Exit::of(&error));
        let bytes = output.0.lock().clone();
        (exit, String::from_utf8(bytes).unwrap())
    }

    /// The reads that a tail has on their way at first; their tokens start at `first`.
    fn reads(stream: &str, first: usize) -> String {
        let tokens = first..first + READS;
        tokens.map(|token| format!(r#"C|{token}|Streams|read|"{stream}"|65536|$"#)).collect()
    }

    /// Ended reads, for the tokens from `first` up to and without `end`.
    fn ended(first: usize, end: usize) -> String {
        (first..end).map(|token| format!("R|{token}|null||0|true|$")).collect()
    }

    #[test]
    fn lost_bytes_are_counted_and_told_by_the_exit_code() {
        let (exit, text) = tail("--id VS1 --from 10", |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|StreamBroker|attach|"VS1"|{"From":10}|$"#);
            peer.say(r#"R|1||{"Position":10,"Lost":0}|$"#);
            peer.hear(&reads("VS1", 2));
            peer.say("R|2|(3)abc||0|false|$R|3|(3)xyz||1000|true|$");
            peer.say(&ended(4, 10));
            peer.hear(r#"C|10|Streams|read|"VS1"|65536|$"#);
            peer.say(&ended(10, 11));
            peer.hear("#|$");
            peer.say("#|$");
        });
        assert_eq!((exit, text.as_str()), (Exit::DataLost, "abcxyz"));
    }

    #[test]
    fn a_stream_that_is_gone_since_the_list_makes_the_tail_look_again_and_then_wait() {
        let (exit, text) = tail("--type t", |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|StreamBroker|list|"t"|$"#);
            peer.say(r#"R|1||[{"ID":"VS1","Type":"t","Direction":"out"}]|$"#);
            peer.hear(r#"C|2|StreamBroker|attach|"VS1"|{"From":"oldest"}|$"#);
            peer.say(r#"R|2|{"Code":16,"Time":1,"Format":"Invalid context"}|$"#);
            peer.hear(r#"C|3|StreamBroker|list|"t"|$"#);
            peer.say("R|3||[]|$");
            peer.hear(r#"C|4|Streams|subscribe|"t"|$"#);
            peer.say("R|4||$");
            // Two at once: the first is read from its first byte, the other is left alone at once.
            peer.say(r#"E|Streams|created|"t"|"VS2"|null|$E|Streams|created|"t"|"VS3"|null|$"#);
            peer.hear(r#"C|5|Streams|unsubscribe|"t"|$"#);
            peer.hear(&reads("VS2", 6));
            peer.hear(r#"C|14|Streams|disconnect|"VS3"|$"#);
            peer.say(r#"R|5||$E|Streams|disposed|"t"|"VS3"|$R|14||$R|6|(2)hi||0|true|$"#);
            peer.say(&ended(7, 14));
            peer.hear("#|$");
        });
        assert_eq!((exit, text.as_str()), (Exit::Ok, "hi"));
    }

    #[test]
    fn what_came_before_the_broker_went_is_written() {
        let (exit, text) = tail("--id VS1 --stall-timeout never", |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|StreamBroker|attach|"VS1"|{"From":"oldest","StallTimeout":null}|$"#);
            peer.say(r#"R|1||{"Position":0,"Lost":0}|$"#);
            peer.hear(&reads("VS1", 2));
            peer.say(r#"R|2|(3)abc||0|false|$"#);
            peer.say(r#"R|3|null|{"Code":6,"Time":1,"Format":"Command canceled"}|0|true|$#|$"#);
        });
        assert_eq!((exit, text.as_str()), (Exit::Disconnected, "abc"));
    }
}
