//! `weir pub`: standard input or a file into a new stream.
//!
//! One thread reads the input and sends what each read gives at once; the main thread takes in the
//! broker's answers, so that it notices the broker's end also while the input is silent. With a key
//! it also brings the stream over to a new connection when the old one breaks.

mod input;
mod keeping;
mod unaccepted;

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use bytes::BytesMut;

use crate::cli::Exit;
use crate::cli::args::PubArgs;
use crate::cli::connect::Caller;
use crate::cli::progress::Progress;
use crate::cli::quantity::grouped;
use crate::cli::retry::Interrupted;
use crate::cli::say;
use crate::client::{CallError, ClientError, ConnectOptions, Incoming, Receiver, Reply, Sender};
use crate::shown;

use input::Input;
use keeping::{Keeping, TakenUp};
use unaccepted::Unaccepted;

/// Bytes asked of the input at once, and so the most that one write carries.
const PIECE_BYTES: usize = 64 << 10;
/// Unanswered writes and their bytes: enough to hide a round trip, too little to fill a memory.
const WRITES_MAX: usize = 64;
const UNANSWERED_BYTES_MAX: usize = 4 << 20;
/// How long the broker may take for its end of stream after ours.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a write may wait for its answer before the user is told why.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// Publishes the input, and ends when the broker has taken all of it.
pub(crate) fn run(args: &PubArgs) -> anyhow::Result<Exit> {
    // The input comes first: a file that is not there must not leave an empty stream behind.
    let input = Input::open(args.file.as_deref())?;
    let caller = Caller::new("pub", &args.broker);
    let keeping = Keeping::new(args, caller.clone());
    let connection = caller.connect()?;
    let (connection, stream) = keeping.create(connection, args)?;
    say::line(&format!("stream {stream}"));
    if input.is_typed {
        say::line("weir pub: reads what is typed here; Ctrl-D at the start of a line ends it");
    }
    let (sender, receiver) = connection.split();
    let bounds = (WRITES_MAX, UNANSWERED_BYTES_MAX);
    let unaccepted = Arc::new(Unaccepted::new(stream, keeping.is_kept(), sender, bounds));
    let reading = Arc::clone(&unaccepted);
    let (bytes, is_kept) = (input.bytes, keeping.is_kept());
    thread::Builder::new()
        .name("weir-input".to_owned())
        .spawn(move || copy_input(bytes, &reading, is_kept))
        .context("cannot start a thread")?;
    let progress = Progress::new(input.size, input.size.is_some());
    let copy = Copy {
        args,
        caller,
        keeping,
        unaccepted,
        progress,
        is_stall_told: false,
        is_cancelled: false,
    };
    copy.run(receiver)
}

/// The input thread: sends what each read gives, and the end of stream behind it. Sending fails
/// only where the connection is gone, which the other thread learns with the reason.
fn copy_input(mut input: impl Read, unaccepted: &Unaccepted, is_kept: bool) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.resize(PIECE_BYTES, 0);
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = unaccepted.fail(error).end();
                return;
            }
        };
        let sent = unaccepted.push(buffer.split_to(read).freeze()).flush();
        if sent.is_err() && !is_kept {
            return;
        }
    }
    let _ = unaccepted.end().flush();
}

/// The main thread's part.
struct Copy<'a> {
    args: &'a PubArgs,
    caller: Caller,
    keeping: Keeping,
    unaccepted: Arc<Unaccepted>,
    progress: Progress,
    /// Whether the user knows why nothing moves.
    is_stall_told: bool,
    /// Whether the broker has taken a command back.
    is_cancelled: bool,
}

impl Copy<'_> {
    /// Counts the answers, over as many connections as it takes, then lets the stream go and closes
    /// the channel.
    fn run(mut self, mut receiver: Receiver) -> anyhow::Result<Exit> {
        loop {
            let Err(error) = self.take_answers(&mut receiver) else { break };
            if let Some(why) = self.unaccepted.input_error() {
                anyhow::bail!("cannot read the input: {why}");
            }
            match error.downcast_ref::<ClientError>() {
                Some(breakage) if self.keeping.may_mend(breakage) => match self.resume(breakage)? {
                    Some(resumed) => receiver = resumed,
                    None => return Ok(Exit::Ok),
                },
                Some(ClientError::Closed { .. } | ClientError::Disconnected(_)) => {
                    let doubt = self.doubt();
                    return Err(error.context(format!(
                        "{doubt} (with --keep-for 60s it would go on when the connection is back)"
                    )));
                }
                _ => return Err(error),
            }
        }
        self.tell_unread(&mut receiver);
        let sender = self.unaccepted.sender();
        let dispose = sender.dispose(self.unaccepted.stream());
        let _ = sender.flush();
        match receiver.wait(dispose) {
            // Nobody is left who could read, so the broker has forgotten the stream already.
            Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {}
            // The stream has all its bytes and its end; it goes with the channel too.
            Err(error) if self.keeping.may_mend(&error) => {}
            result => drop(result?),
        }
        // Everything has arrived; whatever happens to the connection now is no failure.
        let _ = sender.end();
        let _ = receiver.drain(CLOSE_PATIENCE);
        Ok(Exit::Ok)
    }

    /// Says how much went before anybody read, as far as the broker knows.
    fn tell_unread(&self, receiver: &mut Receiver) {
        let sender = self.unaccepted.sender();
        let list = sender.list(Some(&self.args.r#type));
        let _ = sender.flush();
        // Where the connection is gone, what comes next says so.
        let Ok(Reply::Listed(entries)) = receiver.wait(list) else { return };
        let stream = self.unaccepted.stream();
        let Some(entry) = entries.iter().find(|entry| entry.id == stream) else { return };
        if entry.unread > 0 {
            self.progress.say(&format!(
                "weir pub: {} of {} bytes went before anybody read: --hold or --history keep them",
                grouped(entry.unread),
                grouped(entry.end)
            ));
        }
    }

    /// Ends when the end of the stream is answered.
    fn take_answers(&mut self, receiver: &mut Receiver) -> anyhow::Result<()> {
        loop {
            let Some(incoming) = receiver.buffered()? else {
                if !receiver.fill_within(QUIET_FOR)? {
                    self.bear_silence()?;
                }
                continue;
            };
            let Incoming::Reply { command, result, .. } = incoming else { continue };
            match result {
                // The broker is going down: its end of stream says so in a moment.
                Err(error) if error.code == CallError::CANCELLED => {
                    self.is_cancelled = true;
                    continue;
                }
                Err(error) if error.code == CallError::UNSUPPORTED && self.keeping.is_kept() => {
                    return Err(self.taken_over());
                }
                Err(error) => return Err(ClientError::Call(error).into()),
                Ok(_) => {}
            }
            match command {
                "Streams.write" => {
                    let (size, sender) = self.unaccepted.confirm();
                    self.progress.advance(size);
                    if let Some(sender) = sender {
                        // Where it fails the next answer does not come, and tells why.
                        let _ = sender.flush();
                    }
                }
                "Streams.eos" => return Ok(()),
                _ => {}
            }
        }
    }

    /// The broker has said nothing for a while.
    fn bear_silence(&mut self) -> anyhow::Result<()> {
        if self.is_cancelled && self.keeping.is_kept() {
            return Err(self.taken_over());
        }
        if !self.is_stall_told && self.unaccepted.counts().1 > 0 {
            self.is_stall_told = true;
            if let Some(why) = self.explain_stall() {
                self.progress.say(&format!("weir pub: {why}"));
            }
        }
        Ok(())
    }

    /// Why writes are not answered. Asked on a channel of its own: while much waits on this one the
    /// broker does not listen to it.
    fn explain_stall(&self) -> Option<String> {
        let options = ConnectOptions { timeout: QUIET_FOR, ..ConnectOptions::default() };
        let mut connection = self.caller.connect_with(options).ok()?;
        let entries = connection.list(Some(&self.args.r#type)).ok()?;
        let _ = connection.sender().end();
        let stream = self.unaccepted.stream();
        let entry = entries.into_iter().find(|entry| entry.id == stream)?;
        let who = match (entry.parked_writes, entry.readers) {
            (0, _) => return None,
            (_, 0) => "the first reader to come (--hold)".to_owned(),
            (_, 1) => "its reader".to_owned(),
            (_, readers) => format!("the slowest of its {readers} readers"),
        };
        Some(format!(
            "the buffer of {stream} is full ({} bytes): waiting for {who}",
            entry.buffer_size
        ))
    }

    /// Goes on over a new connection. `None`: there is nothing left to do.
    fn resume(&mut self, breakage: &ClientError) -> anyhow::Result<Option<Receiver>> {
        // Who still sends on the old connection must not wait for it.
        self.unaccepted.sender().abort();
        let stream = self.unaccepted.stream();
        let doubt = || self.doubt();
        let (connection, taken_up) = self.keeping.take_up(breakage, stream).with_context(doubt)?;
        let position = match taken_up {
            TakenUp::At(position) => position,
            // The end of a kept stream is asked for when all its bytes are known to be taken.
            TakenUp::Ended | TakenUp::Gone if self.unaccepted.is_complete() => return Ok(None),
            TakenUp::Ended | TakenUp::CutOff => {
                let why = "it was ended before this program came back".to_owned();
                return Err(anyhow::Error::from(Interrupted(why)).context(doubt()));
            }
            TakenUp::Gone => {
                let why = "the broker does not know it, or not by this key: either the broker was \
                           restarted, or the time to come back was over"
                    .to_owned();
                return Err(anyhow::Error::from(Interrupted(why)).context(doubt()));
            }
        };
        let (sender, receiver) = connection.split();
        let taken = self.unaccepted.resume(sender.clone(), position).with_context(doubt)?;
        self.is_cancelled = false;
        self.progress.advance(taken as usize);
        self.progress.say(&format!("weir pub: connected again, {stream} goes on at {position}"));
        self.send_again(sender)?;
        Ok(Some(receiver))
    }

    /// How far the stream has certainly come.
    fn doubt(&self) -> String {
        let stream = shown::line(self.unaccepted.stream());
        let (accepted, unanswered) = self.unaccepted.counts();
        format!(
            "{stream} is not complete: {accepted} bytes are known to have been taken, {unanswered} \
             more were sent"
        )
    }

    /// Sends what is queued from a thread of its own: the broker may not read before others have,
    /// and its answers must be taken in meanwhile.
    fn send_again(&self, sender: Sender) -> anyhow::Result<()> {
        let has_failed = self.unaccepted.input_error().is_some();
        let send = move || {
            let _ = if has_failed { sender.end() } else { sender.flush() };
        };
        let thread = thread::Builder::new().name("weir-resend".to_owned()).spawn(send);
        thread.map(drop).context("cannot start a thread")
    }

    fn taken_over(&self) -> anyhow::Error {
        let stream = shown::line(self.unaccepted.stream());
        anyhow::anyhow!("{stream} was taken over by somebody who has its key")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Verb};
    use crate::client::script::{HELLO_PLAIN, HELLO_ZERO_COPY, Peer, peer};

    fn publish(content: &[u8], script: impl FnOnce(Peer) + Send + 'static) -> anyhow::Result<Exit> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input");
        std::fs::write(&file, content).unwrap();
        let (address, thread) = peer(script);
        let line = format!("weir pub --broker {address} --type t --linger 0 --hold");
        let words = line.split(' ').map(Into::into).chain([file.into_os_string()]);
        let args = Args::try_parse_from(words).unwrap();
        let Some(Verb::Pub(args)) = args.verb else { panic!("pub is a verb") };
        let result = run(&args);
        thread.join().unwrap();
        result
    }

    #[test]
    fn the_stream_is_let_go_only_once_the_broker_has_taken_everything() {
        let exit = publish(b"hello", |mut peer| {
            peer.say(HELLO_PLAIN);
            peer.hear(r#"C|1|StreamBroker|create|"t"|{"Hold":true}|$"#);
            peer.say(r#"R|1||"VS7"|$"#);
            peer.hear(r#"C|2|Streams|write|"VS7"|5|"aGVsbG8="|$C|3|Streams|eos|"VS7"|$"#);
            peer.say("R|2||$R|3||$");
            peer.hear(r#"C|4|StreamBroker|list|"t"|$"#);
            peer.say("R|4||[]|$");
            peer.hear(r#"C|5|StreamBroker|dispose|"VS7"|$"#);
            peer.say("R|5||$");
            peer.hear("#|$");
            peer.say("#|$");
        });
        assert_eq!(exit.unwrap(), Exit::Ok);
    }

    #[test]
    fn a_refused_write_is_a_failure_and_a_closing_broker_is_another() {
        let error = publish(b"hello", |mut peer| {
            peer.say(HELLO_ZERO_COPY);
            peer.hear(r#"C|1|StreamBroker|create|"t"|{"Hold":true}|$"#);
            peer.say(r#"R|1||"VS7"|$"#);
            peer.hear(r#"C|2|Streams|write|"VS7"|5|"#);
            peer.say(r#"R|2|{"Code":9,"Time":1,"Format":"End of file"}|$"#);
        });
        let error = error.unwrap_err();
        assert_eq!(
            (Exit::of(&error), error.to_string().as_str()),
            (Exit::Failed, "Streams.write: End of file")
        );

        let error = publish(b"hello", |mut peer| {
            peer.say(HELLO_ZERO_COPY);
            peer.hear(r#"C|1|StreamBroker|create|"t"|{"Hold":true}|$"#);
            peer.say(r#"R|1||"VS7"|$"#);
            peer.hear(r#"C|2|Streams|write|"VS7"|5|"#);
            peer.say(r#"R|2|{"Code":6,"Time":1,"Format":"Command canceled"}|$#|$"#);
        });
        assert_eq!(Exit::of(&error.unwrap_err()), Exit::Disconnected);
    }
}
