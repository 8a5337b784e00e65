//! Reading one stream over one connection: some reads on their way, what they bring in the output,
//! and what is due meanwhile.

use std::time::Duration;

use crate::cli::tail::Tail;
use crate::cli::tail::confirm::Due;
use crate::cli::tail::find::Find;
use crate::cli::tail::lost::Cause;
use crate::cli::tail::state::StateFile;
use crate::client::{CallError, Incoming, ReadReply, Reply};

/// Reads on their way, and the most that each may bring.
pub(super) const READS: usize = 8;
const READ_BYTES: u64 = 64 << 10;

/// How the copying of one stream came to its end.
pub(super) enum Ending {
    /// All is read.
    Ended,
    /// The stream cannot be read, or is gone.
    Refused(CallError),
    /// It was gone when the connection was back, and that has been told.
    Gone,
}

impl Tail {
    /// Reads until the stream's end, and writes what comes.
    pub(super) fn copy_until_end(&mut self, find: &mut Find, id: &str) -> anyhow::Result<Ending> {
        for _ in 0..READS {
            find.connection.sender().read(id, READ_BYTES);
        }
        let mut outstanding = READS;
        let mut ending = None;
        while outstanding > 0 {
            let incoming = match self.next_incoming(find, id) {
                // The rest of the answers would only say the same again.
                Err(_) if matches!(ending, Some(Ending::Ended)) => break,
                result => result?,
            };
            match incoming {
                Incoming::Event(event) => find.handle_event(&event),
                Incoming::Reply { result: Ok(Reply::Read(reply)), .. } => {
                    outstanding -= 1;
                    self.take(&reply, id)?;
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
                // Answers to what handle_event sent, and to confirms: a stream that is gone by now
                // is no loss.
                Incoming::Reply { .. } => {}
            }
        }
        self.shared.flush()?;
        Ok(ending.expect("the last read is answered only once the stream has ended"))
    }

    /// What comes next. Where that has to be waited for, everything before it is on its way.
    fn next_incoming(&mut self, find: &mut Find, id: &str) -> anyhow::Result<Incoming> {
        loop {
            if let Some(incoming) = find.connection.receiver().buffered()? {
                return Ok(incoming);
            }
            let due_in = self.settle(find, id)?;
            // Where sending fails the receiving half tells why.
            let _ = find.connection.sender().flush();
            match due_in {
                None => find.connection.receiver().fill()?,
                Some(wait) => drop(find.connection.receiver().fill_within(wait)?),
            }
        }
    }

    /// Puts what came into the output, keeps the offset and confirms it, each when it is due. Gives
    /// when that is again, if only for what came so far.
    fn settle(&mut self, find: &Find, id: &str) -> anyhow::Result<Option<Duration>> {
        /// What a timer can be told at least.
        const LEAST: Duration = Duration::from_millis(1);
        let mut safe = self.shared.flush()?;
        let mut save_in = None;
        let mut copied = self.shared.copied.lock();
        if copied.state.as_ref().and_then(StateFile::due_in) == Some(Duration::ZERO) {
            copied.save()?;
        }
        if let Some(state) = &copied.state {
            save_in = state.due_in();
            // A crash of ours makes the next run begin there.
            safe = state.saved().unwrap_or(0);
        }
        drop(copied);
        let now = self.clock.now().instant;
        let confirm_in = match self.confirm.as_mut().map(|confirm| confirm.due(safe, now)) {
            Some(Due::Now) => {
                find.connection.sender().confirm(id, safe);
                None
            }
            Some(Due::In(wait)) => Some(wait),
            Some(Due::Nothing) | None => None,
        };
        Ok(save_in.into_iter().chain(confirm_in).min().map(|wait| wait.max(LEAST)))
    }

    fn take(&mut self, reply: &ReadReply, id: &str) -> anyhow::Result<()> {
        if reply.lost != Some(0) {
            // The notice belongs behind the bytes that came before the gap.
            let position = self.shared.flush()?;
            self.tell_lost(reply.lost, id, position, Cause::Slow);
            self.shared.skip(reply.lost.unwrap_or_default())?;
        }
        self.progress.advance(reply.data.len());
        self.shared.write(&reply.data)
    }
}
