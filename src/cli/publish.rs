//! `weir pub`: standard input or a file into a new stream.
//!
//! One thread reads the input and sends what each read gives at once; the main thread takes in the
//! broker's answers, so that it notices the broker's end also while the input is silent.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use bytes::BytesMut;

use crate::cli::Exit;
use crate::cli::args::PubArgs;
use crate::cli::progress::Progress;
use crate::cli::window::Window;
use crate::client::{
    CallError, ClientError, Connection, CreateOptions, Incoming, Receiver, Sender,
};

/// Bytes asked of the input at once, and so the most that one write carries.
const PIECE_BYTES: usize = 64 << 10;
/// Unanswered writes and their bytes: enough to hide a round trip, too little to fill a memory.
const WRITES_MAX: usize = 64;
const UNANSWERED_BYTES_MAX: usize = 4 << 20;
/// How long the broker may take for its end of stream after ours.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// What the two threads share.
struct Copy {
    stream: String,
    sender: Sender,
    window: Window,
    /// Why the input could not be read to its end.
    input_error: OnceLock<io::Error>,
}

/// Publishes the input, and ends when the broker has taken all of it.
pub(crate) fn run(args: &PubArgs) -> anyhow::Result<Exit> {
    // The input comes first: a file that is not there must not leave an empty stream behind.
    let input = Input::open(args.file.as_deref())?;
    let mut connection = Connection::connect(&args.broker.broker)?;
    let stream = connection.create(&args.r#type, &create_options(args))?;
    eprintln!("stream {stream}");
    let (sender, receiver) = connection.split();
    let progress = Progress::new(input.size, input.size.is_some());
    let copy = Arc::new(Copy {
        stream,
        sender,
        window: Window::new(WRITES_MAX, UNANSWERED_BYTES_MAX),
        input_error: OnceLock::new(),
    });
    let reading = Arc::clone(&copy);
    thread::Builder::new()
        .name("weir-input".to_owned())
        .spawn(move || reading.copy_input(input.bytes))
        .context("cannot start a thread")?;
    match copy.take_answers(receiver, progress) {
        Err(_) if copy.input_error.get().is_some() => {
            Err(anyhow::anyhow!("cannot read the input: {}", copy.input_error.wait()))
        }
        result => result.map(|()| Exit::Ok).map_err(anyhow::Error::from),
    }
}

fn create_options(args: &PubArgs) -> CreateOptions {
    CreateOptions {
        context: args.context.clone(),
        name: args.name.clone(),
        buffer_bytes: args.buffer,
        history_bytes: args.history,
        stall_timeout: args.stall_timeout,
        hold: args.hold,
        linger_ms: (args.linger > 0).then_some(args.linger),
        ..CreateOptions::default()
    }
}

/// Where the bytes come from.
struct Input {
    bytes: Box<dyn Read + Send>,
    /// The count of bytes, for a file.
    size: Option<u64>,
}

impl Input {
    fn open(path: Option<&Path>) -> anyhow::Result<Input> {
        match path {
            None => Ok(Input { bytes: Box::new(io::stdin()), size: None }),
            Some(path) if path == Path::new("-") => Input::open(None),
            Some(path) => {
                let open = || {
                    let file = File::open(path)?;
                    let metadata = file.metadata()?;
                    match metadata.is_dir() {
                        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
                        false => Ok((file, metadata.is_file().then_some(metadata.len()))),
                    }
                };
                let (file, size) =
                    open().with_context(|| format!("cannot read {}", path.display()))?;
                Ok(Input { bytes: Box::new(file), size })
            }
        }
    }
}

impl Copy {
    /// The input thread: sends what each read gives, and the end of stream behind it. Sending fails only
    /// where the connection is gone, which the other thread learns with the reason.
    fn copy_input(&self, mut input: impl Read) {
        let mut buffer = BytesMut::new();
        loop {
            buffer.resize(PIECE_BYTES, 0);
            let read = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Without `eos`, so that readers and the broker see that the stream was cut off.
                    let _ = self.input_error.set(error);
                    let _ = self.sender.end();
                    return;
                }
            };
            self.window.enter(read);
            self.sender.write(&self.stream, buffer.split_to(read).freeze());
            if self.sender.flush().is_err() {
                return;
            }
        }
        self.sender.eos(&self.stream);
        let _ = self.sender.flush();
    }

    /// The main thread: counts the answers, then lets the stream go and closes the channel.
    fn take_answers(
        &self,
        mut receiver: Receiver,
        mut progress: Progress,
    ) -> Result<(), ClientError> {
        loop {
            let Incoming::Reply { command, result, .. } = receiver.receive()? else { continue };
            match result {
                // The broker is going down: its end of stream says so in a moment.
                Err(error) if error.code == CallError::CANCELLED => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            match command {
                "Streams.write" => progress.advance(self.window.leave()),
                "Streams.eos" => break,
                _ => {}
            }
        }
        let dispose = self.sender.dispose(&self.stream);
        let _ = self.sender.flush();
        match receiver.wait(dispose) {
            // Nobody is left who could read, so the broker has forgotten the stream already.
            Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {}
            result => drop(result?),
        }
        // Everything has arrived; whatever happens to the connection now is no failure.
        let _ = self.sender.end();
        let _ = receiver.drain(CLOSE_PATIENCE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Verb};
    use crate::client::script::{HELLO, HELLO_PLAIN, Peer, peer};

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
            peer.hear(r#"C|4|StreamBroker|dispose|"VS7"|$"#);
            peer.say("R|4||$");
            peer.hear("#|$");
            peer.say("#|$");
        });
        assert_eq!(exit.unwrap(), Exit::Ok);
    }

    #[test]
    fn a_refused_write_is_a_failure_and_a_closing_broker_is_another() {
        let error = publish(b"hello", |mut peer| {
            peer.say(HELLO);
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
            peer.say(HELLO);
            peer.hear(r#"C|1|StreamBroker|create|"t"|{"Hold":true}|$"#);
            peer.say(r#"R|1||"VS7"|$"#);
            peer.hear(r#"C|2|Streams|write|"VS7"|5|"#);
            peer.say(r#"R|2|{"Code":6,"Time":1,"Format":"Command canceled"}|$#|$"#);
        });
        assert_eq!(Exit::of(&error.unwrap_err()), Exit::Disconnected);
    }
}
