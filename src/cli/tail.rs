//! `weir tail`: the bytes of a stream on standard output.
//!
//! One thread does it all: it keeps some reads on their way, writes what they bring, and flushes
//! whenever it would have to wait for more. Standard output that does not take bytes stops the
//! reading, and so makes this reader a slow one that the broker deals with. When the connection
//! breaks, it comes back and reads on from the byte where it stopped; meanwhile its place holds
//! what it has not confirmed. Another thread waits for signals.

mod confirm;
mod copied;
mod find;
mod go_on;
mod lost;
mod place;
mod reading;
mod state;
#[cfg(unix)]
mod stop;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use crossbeam::channel;

use crate::cli::args::TailArgs;
use crate::cli::connect::Caller;
use crate::cli::progress::Progress;
use crate::cli::raw_output::RawOutput;
use crate::cli::retry::Interrupted;
use crate::cli::{Exit, OutputError, describe, say};
use crate::client::Position;
use crate::shown;
use crate::time::Clock;

use confirm::Confirm;
use copied::Shared;
use find::{Find, Found, Resumed};
use go_on::GoOn;
use lost::{Cause, Lost};
use place::Place;
use reading::Ending;
use state::{Kept, StateFile};

/// How long the broker may take for its end of stream after ours.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Copies one stream, or with `--follow` one after the other.
pub(crate) fn run(args: TailArgs) -> anyhow::Result<Exit> {
    let (tail, find) = Tail::new(args, RawOutput::open()?)?;
    #[cfg(unix)]
    let tail = {
        let mut tail = tail;
        let (farewell, heard) = channel::bounded(1);
        tail.farewell = Some(farewell);
        let (shared, speaker) = (Arc::clone(&tail.shared), tail.progress.speaker());
        stop::watch(shared, speaker, tail.go_on.clone(), heard)
            .context("cannot wait for signals")?;
        tail
    };
    tail.run(find)
}

struct Tail {
    shared: Arc<Shared>,
    progress: Progress,
    lost: Lost,
    go_on: GoOn,
    clock: Clock,
    /// What is confirmed, where the reader has a place.
    confirm: Option<Confirm>,
    follow: bool,
    /// Why bytes may be missing at the start.
    start_cause: Cause,
    /// Told when the broker has ended the channel, once a signal has stopped the copying.
    farewell: Option<channel::Sender<()>>,
}

impl Tail {
    fn new(mut args: TailArgs, output: RawOutput) -> anyhow::Result<(Tail, Find)> {
        let (kept, lock) = match args.state.as_deref().map(state::read).transpose()?.flatten() {
            Some((kept, lock)) => (Some(kept), Some(lock)),
            None => (None, None),
        };
        if let Some(kept) = &kept {
            take_up(&mut args, kept, &output)?;
        }
        let go_on = GoOn::new(&args);
        let (follow, path) = (args.follow, args.state.clone());
        let place = Place::new(&args, kept.as_ref().and_then(|kept| kept.place.clone()));
        let place_name = place.name().map(str::to_owned);
        let caller = Caller::new("tail", &args.broker);
        let find = Find::new(args, caller, place)?;
        let state = match path {
            Some(path) => {
                let broker = find.broker_id().context(
                    "the broker does not say which one it is, so --state would not know it again",
                )?;
                if let Some(kept) = kept.as_ref().filter(|kept| kept.broker != broker) {
                    let (path, stream) = (path.display(), shown::line(&kept.stream));
                    bail!(
                        "{path} is the state of {stream} of a broker that was restarted since, or \
                         of another one: that stream is not here. Remove {path} to begin with a \
                         new one"
                    );
                }
                Some(StateFile::new(path, broker.to_owned(), place_name, lock))
            }
            None => None,
        };
        let tail = Tail {
            progress: Progress::new(None, output.is_file()),
            shared: Arc::new(Shared::new(output, state)),
            lost: Lost::default(),
            go_on,
            clock: Clock::start(),
            confirm: None,
            follow,
            start_cause: if kept.is_some() { Cause::Away } else { Cause::Late },
            farewell: None,
        };
        Ok((tail, find))
    }

    fn run(mut self, mut find: Find) -> anyhow::Result<Exit> {
        let result = self.copy_all(&mut find);
        if self.shared.is_stopped() {
            self.say_farewell(&mut find);
        }
        // What came is as good as ever, however it ended.
        let saved = self.shared.copied.lock().save();
        let error = match (result, saved) {
            (Ok(Some((ended, has_place))), Ok(())) => {
                find.tell_cut_off(&ended);
                self.leave(find, has_place.then_some(ended));
                return Ok(self.exit());
            }
            (Ok(None), _) => return Ok(Exit::Failed),
            (Ok(_), Err(error)) => error,
            (Err(error), saved) => {
                if let Err(unsaved) = saved {
                    self.progress.say(&format!("weir tail: {}", describe(&unsaved)));
                }
                error
            }
        };
        match Exit::of(&error) {
            Exit::Disconnected if self.lost.is_any() => {
                self.progress.say(&format!("weir: {}", describe(&error)));
                return Ok(self.exit());
            }
            Exit::Disconnected => {}
            _ => {
                let known = self.shared.known().map(|(stream, _)| stream);
                self.leave(find, known.filter(|_| self.confirm.is_some()));
            }
        }
        Err(error)
    }

    /// Ends the channel in good order, so that nothing is held for it any more: not even a place,
    /// unless another run is to take it up.
    fn leave(&self, find: Find, placed: Option<String>) {
        if let Some(stream) = placed.as_deref().and_then(|stream| find.passing(stream, true)) {
            find.connection.sender().disconnect(stream);
        }
        // Everything is read; how the channel ends no longer matters.
        let (sender, receiver) = find.into_connection().split();
        let _ = sender.end();
        let _ = receiver.drain(CLOSE_PATIENCE);
    }

    /// A signal has stopped the copying: takes in what the broker still says, so that it hears all
    /// of our end, and waits for the thread that ends the program.
    fn say_farewell(&self, find: &mut Find) -> ! {
        let receiver = find.connection.receiver();
        while let Ok(true) = receiver.fill_within(CLOSE_PATIENCE) {
            while let Ok(Some(_)) = receiver.buffered() {}
        }
        if let Some(farewell) = &self.farewell {
            let _ = farewell.try_send(());
        }
        loop {
            thread::park();
        }
    }

    /// Copies one stream after the other. Gives the last, and whether it has a place there; `None`:
    /// there was none.
    fn copy_all(&mut self, find: &mut Find) -> anyhow::Result<Option<(String, bool)>> {
        loop {
            let found = match find.next_stream() {
                Ok(found) => found,
                Err(error) if self.shared.is_stopped() => return Err(error),
                Err(error) => {
                    let unread = find.come_back(error)?;
                    unread.iter().for_each(|id| self.tell_lost(None, id, 0, Cause::Gone));
                    continue;
                }
            };
            let Some(found) = found else { return Ok(None) };
            self.tell_start(find, &found);
            let has_place = found.has_place;
            match self.copy(find, &found)? {
                Ending::Ended if self.follow => {
                    find.tell_cut_off(&found.id);
                    find.pass(&found.id);
                    if let Some(stream) = find.passing(&found.id, has_place) {
                        find.connection.sender().disconnect(stream);
                    }
                }
                Ending::Ended => return Ok(Some((found.id, has_place))),
                Ending::Refused(error) => find.give_up(&found.id, error)?,
                Ending::Gone => {}
            }
        }
    }

    /// Says what is not there of a stream that was there before.
    fn tell_start(&mut self, find: &Find, found: &Found) {
        let Found { id, position, lost, .. } = found;
        match find.from() {
            _ if *lost > 0 => {
                let begin = position.saturating_sub(*lost);
                self.tell_lost(Some(*lost), id, begin, self.start_cause);
            }
            Position::Oldest if *position > 0 => self.progress.say(&format!(
                "weir tail: {id} starts at byte {position}, what was before it is gone (a longer \
                 --history, or --hold, where it is written keeps more for late readers)"
            )),
            Position::Latest => {
                self.progress.say(&format!("weir tail: {id} is read from byte {position} on"));
            }
            _ => {}
        }
    }

    /// Copies one stream, over as many connections as it takes.
    fn copy(&mut self, find: &mut Find, found: &Found) -> anyhow::Result<Ending> {
        let id = &found.id;
        let mut attached = (found.position, found.has_place);
        self.note_type(find, id)?;
        loop {
            let (position, has_place) = attached;
            let passing = find.passing(id, has_place);
            self.shared.read_by(find.connection.sender(), passing);
            self.shared.begin(id, position)?;
            let now = self.clock.now().instant;
            self.confirm = has_place.then(|| Confirm::from(position, now));
            let error = match self.copy_until_end(find, id) {
                Ok(ending) => return Ok(ending),
                Err(error) if self.shared.is_stopped() => return Err(error),
                Err(error) => error,
            };
            // What came before the connection broke is as good as ever.
            let flushed = if error.is::<OutputError>() {
                Err(error)
            } else {
                self.shared.flush().map(|_| error)
            };
            let position = self.shared.copied.lock().offset();
            let how = self.go_on.command(id, position);
            let stream = shown::line(id).into_owned();
            let error = match flushed {
                Ok(error) => error,
                Err(error) if copied::is_unwanted(&error) => return Err(error),
                Err(error) => {
                    return Err(error.context(format!(
                        "{stream} is in the output up to offset {position} (go on with {how})"
                    )));
                }
            };
            let place = || format!("{stream} broke off at offset {position} (go on with {how})");
            match find.resume(id, position, error).map_err(|error| error.context(place()))? {
                Resumed::At(taken) => {
                    if taken.attached.lost > 0 {
                        self.tell_lost(Some(taken.attached.lost), id, position, Cause::Away);
                    }
                    attached = (taken.attached.position, taken.has_place);
                }
                Resumed::Gone { why, unread } => {
                    let text = format!("{stream} cannot be read on from offset {position}: {why}");
                    if !find.may_go_on() {
                        return Err(Interrupted(text).into());
                    }
                    self.progress.say(&format!("weir tail: {text}"));
                    self.tell_lost(None, id, position, Cause::Gone);
                    unread.iter().for_each(|id| self.tell_lost(None, id, 0, Cause::Gone));
                    return Ok(Ending::Gone);
                }
            }
        }
    }

    /// Notes the stream's type where a file keeps it.
    fn note_type(&mut self, find: &mut Find, id: &str) -> anyhow::Result<()> {
        if self.shared.copied.lock().state.is_none() {
            return Ok(());
        }
        // Where it is gone by now, the copying says so.
        let stream_type = find.type_of(id)?.unwrap_or_default();
        if let Some(state) = &mut self.shared.copied.lock().state {
            state.stream_type = stream_type;
        }
        Ok(())
    }

    /// `None`: nobody knows how many.
    fn tell_lost(&mut self, bytes: Option<u64>, id: &str, position: u64, cause: Cause) {
        self.progress.say(&self.lost.add(bytes, id, position, cause));
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

/// Goes on where an earlier run stopped.
fn take_up(args: &mut TailArgs, kept: &Kept, output: &RawOutput) -> anyhow::Result<()> {
    let path = args.state.clone().unwrap_or_default();
    let (shown, stream) = (path.display(), shown::line(&kept.stream));
    let remedy = format!("give another file, or remove {shown} to begin again");
    if let Some(id) = args.id.as_ref().filter(|id| **id != kept.stream) {
        bail!("{shown} is the state of {stream}, not of {}: {remedy}", shown::line(id));
    }
    if let Some(wanted) = args.r#type.as_ref().filter(|wanted| **wanted != kept.stream_type) {
        let (is, wanted) = (shown::line(&kept.stream_type), shown::line(wanted));
        bail!("{shown} is the state of {stream} of type {is}, not {wanted}: {remedy}");
    }
    let more = kept.check_output(&path, output)?;
    if more > 0 {
        say::line(&format!(
            "weir tail: the output has {more} bytes more than {shown} knows of; those that are the \
             stream's come again"
        ));
    }
    args.id = Some(kept.stream.clone());
    args.from = Position::Offset(kept.offset);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use clap::Parser;
    use parking_lot::Mutex;

    use super::reading::READS;
    use super::*;
    use crate::cli::args::{Args, Verb};
    use crate::client::script::{HELLO_ZERO_COPY, Peer, peer};

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
        let result =
            Tail::new(args, RawOutput::to(output.clone())).and_then(|(tail, find)| tail.run(find));
        thread.join().unwrap();
        let exit = result.unwrap_or_else(|error| Exit::of(&error));
        let bytes = output.0.lock().clone();
        (exit, String::from_utf8(bytes).unwrap())
    }

    /// The first thing that a tail asks.
    fn tell_broker_id(peer: &mut Peer) {
        peer.say(HELLO_ZERO_COPY);
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
