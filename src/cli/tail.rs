//! `weir tail`: the bytes of a stream on standard output.
//!
//! One thread does it all: it keeps some reads on their way, writes what they bring, and flushes
//! whenever it would have to wait for more. Standard output that does not take bytes stops the
//! reading, and so makes this reader a slow one that the broker deals with. When the connection
//! breaks, it comes back and reads on from the byte where it stopped.

mod find;
mod lost;

use std::time::Duration;

use crate::cli::args::TailArgs;
use crate::cli::progress::Progress;
use crate::cli::raw_output::RawOutput;
use crate::cli::retry::Interrupted;
use crate::cli::{Exit, OutputError, describe};
use crate::client::{CallError, Connection, Incoming, ReadReply, Reply};
use crate::shown;

use find::{Find, Found, Resumed};
use lost::Lost;

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
    let mut find = Find::new(args, connection)?;
    let mut tail = Tail { output, progress, lost: Lost::default() };
    let result = tail.copy_all(&mut find, follow);
    if let Err(error) = result {
        let exit = Exit::of(&error);
        if exit == Exit::Disconnected && tail.lost.is_any() {
            tail.progress.say(&format!("weir: {}", describe(&error)));
            return Ok(tail.exit());
        }
        return Err(error);
    }
    let Some(ended) = result? else { return Ok(Exit::Failed) };
    find.tell_cut_off(&ended);
    // Everything is read; how the channel ends no longer matters.
    let (sender, receiver) = find.into_connection().split();
    let _ = sender.end();
    let _ = receiver.drain(CLOSE_PATIENCE);
    Ok(tail.exit())
}

/// How the copying of one stream came to its end.
enum Ending {
    /// All is read.
    Ended,
    /// The stream cannot be read, or is gone.
    Refused(CallError),
    /// It was gone when the connection was back, and that has been told.
    Gone,
}

struct Tail {
    output: RawOutput,
    progress: Progress,
    lost: Lost,
}

impl Tail {
    /// Copies one stream after the other. Gives the last; `None`: there was none.
    fn copy_all(&mut self, find: &mut Find, follow: bool) -> anyhow::Result<Option<String>> {
        loop {
            let found = match find.next_stream() {
                Ok(found) => found,
                Err(error) => {
                    let unread = find.come_back(error)?;
                    unread.iter().for_each(|id| self.tell_lost(None, id, 0));
                    continue;
                }
            };
            let Some(found) = found else { return Ok(None) };
            if found.lost > 0 {
                let begin = found.position.saturating_sub(found.lost);
                self.tell_lost(Some(found.lost), &found.id, begin);
            }
            match self.copy(find, &found)? {
                Ending::Ended if follow => {
                    find.tell_cut_off(&found.id);
                    find.pass(&found.id);
                }
                Ending::Ended => return Ok(Some(found.id)),
                Ending::Refused(error) => find.give_up(&found.id, error)?,
                Ending::Gone => {}
            }
        }
    }

    /// Copies one stream, over as many connections as it takes.
    fn copy(&mut self, find: &mut Find, found: &Found) -> anyhow::Result<Ending> {
        let id = &found.id;
        let mut position = found.position;
        loop {
            let result = self.copy_until_end(find, id, &mut position);
            // What came before the connection broke is as good as ever.
            self.output.flush()?;
            let error = match result {
                Ok(ending) => return Ok(ending),
                Err(error) => error,
            };
            let place = || {
                let id = shown::line(id);
                format!(
                    "{id} broke off at offset {position} \
                     (go on with `weir tail --id {id} --from {position}`)"
                )
            };
            match find.resume(id, position, error).map_err(|error| error.context(place()))? {
                Resumed::At(attached) => {
                    if attached.lost > 0 {
                        self.tell_lost(Some(attached.lost), id, position);
                    }
                    position = attached.position;
                }
                Resumed::Gone { why, unread } => {
                    let id_shown = shown::line(id);
                    let text =
                        format!("{id_shown} cannot be read on from offset {position}: {why}");
                    if !find.may_go_on() {
                        return Err(Interrupted(text).into());
                    }
                    self.progress.say(&format!("weir tail: {text}"));
                    self.tell_lost(None, id, position);
                    unread.iter().for_each(|id| self.tell_lost(None, id, 0));
                    return Ok(Ending::Gone);
                }
            }
        }
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
            let incoming = match self.next_incoming(find) {
                // The rest of the answers would only say the same again.
                Err(_) if matches!(ending, Some(Ending::Ended)) => break,
                result => result?,
            };
            match incoming {
                Incoming::Event(event) => find.handle_event(&event),
                Incoming::Reply { result: Ok(Reply::Read(reply)), .. } => {
                    outstanding -= 1;
                    self.take(&reply, id, position)?;
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

    /// What comes next. Where that has to be waited for, everything before it is on its way.
    fn next_incoming(&mut self, find: &mut Find) -> anyhow::Result<Incoming> {
        loop {
            if let Some(incoming) = find.connection.receiver().buffered()? {
                return Ok(incoming);
            }
            self.output.flush()?;
            // Where sending fails the receiving half tells why.
            let _ = find.connection.sender().flush();
            find.connection.receiver().fill()?;
        }
    }

    fn take(&mut self, reply: &ReadReply, id: &str, position: &mut u64) -> Result<(), OutputError> {
        if reply.lost != Some(0) {
            // The notice belongs behind the bytes that came before the gap.
            self.output.flush()?;
            self.tell_lost(reply.lost, id, *position);
        }
        *position += reply.lost.unwrap_or_default() + reply.data.len() as u64;
        self.progress.advance(reply.data.len());
        self.output.write(&reply.data)
    }

    /// `None`: nobody knows how many.
    fn tell_lost(&mut self, bytes: Option<u64>, id: &str, position: u64) {
        self.progress.say(&self.lost.add(bytes, id, position));
    }

    fn exit(&self) -> Exit {
        match self.lost.summary() {
            None => Exit::Ok,
            Some(summary) => {
                self.progress.say(&summary);
                Exit::DataLost
            }
        }
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
        let line = format!("weir tail --broker {address} --retry-for 0 {flags}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        let Some(Verb::Tail(args)) = args.verb else { panic!("tail is a verb") };
        let output = Shared::default();
        let result = copy_streams(args, RawOutput::to(output.clone()));
        thread.join().unwrap();
        let exit = result.unwrap_or_else(|error| Exit::of(&error));
        let bytes = output.0.lock().clone();
        (exit, String::from_utf8(bytes).unwrap())
    }

    /// The first thing that a tail asks.
    fn tell_broker_id(peer: &mut Peer) {
        peer.say(HELLO);
        peer.hear("C|1|Locator|getAgentID|$");
        peer.say(r#"R|1||"0583851d"|$"#);
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
            tell_broker_id(&mut peer);
            peer.hear(r#"C|2|StreamBroker|attach|"VS1"|{"From":10}|$"#);
            peer.say(r#"R|2||{"Position":10,"Lost":0}|$"#);
            peer.hear(&reads("VS1", 3));
            peer.say("R|3|(3)abc||0|false|$R|4|(3)xyz||1000|true|$");
            peer.say(&ended(5, 11));
            peer.hear(r#"C|11|Streams|read|"VS1"|65536|$"#);
            peer.say(&ended(11, 12));
            peer.hear(r#"C|12|StreamBroker|list|"*"|$"#);
            peer.say(r#"R|12||[{"ID":"VS1","EOS":true,"CutOff":true}]|$"#);
            peer.hear("#|$");
            peer.say("#|$");
        });
        assert_eq!((exit, text.as_str()), (Exit::DataLost, "abcxyz"));
    }

    #[test]
    fn a_stream_that_is_gone_since_the_list_makes_the_tail_look_again_and_then_wait() {
        let (exit, text) = tail("--type t", |mut peer| {
            tell_broker_id(&mut peer);
            peer.hear(r#"C|2|StreamBroker|list|"t"|$"#);
            peer.say(r#"R|2||[{"ID":"VS1","Type":"t","Direction":"out"}]|$"#);
            peer.hear(r#"C|3|StreamBroker|attach|"VS1"|{"From":"oldest"}|$"#);
            peer.say(r#"R|3|{"Code":16,"Time":1,"Format":"Invalid context"}|$"#);
            peer.hear(r#"C|4|StreamBroker|list|"t"|$"#);
            peer.say("R|4||[]|$");
            peer.hear(r#"C|5|Streams|subscribe|"t"|$"#);
            peer.say("R|5||$");
            // Two at once: the first is read from its first byte, the other is left alone at once.
            peer.say(r#"E|Streams|created|"t"|"VS2"|null|$E|Streams|created|"t"|"VS3"|null|$"#);
            peer.hear(r#"C|6|Streams|unsubscribe|"t"|$"#);
            peer.hear(&reads("VS2", 7));
            peer.hear(r#"C|15|Streams|disconnect|"VS3"|$"#);
            peer.say(r#"R|6||$E|Streams|disposed|"t"|"VS3"|$R|15||$R|7|(2)hi||0|true|$"#);
            peer.say(&ended(8, 15));
            peer.hear(r#"C|16|StreamBroker|list|"t"|$"#);
            peer.say("R|16||[]|$");
            peer.hear("#|$");
        });
        assert_eq!((exit, text.as_str()), (Exit::Ok, "hi"));
    }

    #[test]
    fn what_came_before_the_broker_went_is_written() {
        let (exit, text) = tail("--id VS1 --stall-timeout never", |mut peer| {
            tell_broker_id(&mut peer);
            peer.hear(r#"C|2|StreamBroker|attach|"VS1"|{"From":"oldest","StallTimeout":null}|$"#);
            peer.say(r#"R|2||{"Position":0,"Lost":0}|$"#);
            peer.hear(&reads("VS1", 3));
            peer.say(r#"R|3|(3)abc||0|false|$"#);
            peer.say(r#"R|4|null|{"Code":6,"Time":1,"Format":"Command canceled"}|0|true|$#|$"#);
        });
        assert_eq!((exit, text.as_str()), (Exit::Disconnected, "abc"));
    }
}
