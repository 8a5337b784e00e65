//! Which stream to copy, and how to come by it without missing a byte.

use std::collections::{HashSet, VecDeque};

use anyhow::bail;

use crate::cli::args::TailArgs;
use crate::client::{
    AttachOptions, CallError, ClientError, Connection, Event, Position, StallTimeout, StreamEntry,
};

/// Streams kept for later while another one is copied. Each holds memory of the broker.
const NEXT_MAX: usize = 8;

/// Finds streams, one after the other.
pub(super) struct Find {
    pub(super) connection: Connection,
    args: TailArgs,
    is_subscribed: bool,
    /// Whether the broker's list has been looked through.
    is_listed: bool,
    /// The stream that is being copied.
    current: Option<String>,
    /// Streams that came while another one was copied, in the order in which they came.
    next: VecDeque<String>,
    /// Streams that are not wanted (any more).
    passed: HashSet<String>,
}

/// A stream that this channel is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: String,
    /// The offset of the first byte that it will bring.
    pub(super) position: u64,
    /// Bytes that were asked for and are gone.
    pub(super) lost: u64,
}

impl Find {
    pub(super) fn new(args: TailArgs, connection: Connection) -> Find {
        Find {
            connection,
            args,
            is_subscribed: false,
            is_listed: false,
            current: None,
            next: VecDeque::new(),
            passed: HashSet::new(),
        }
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// The next stream to copy, waiting for it. `None`: there is none, and the user does not want to wait.
    pub(super) fn next_stream(&mut self) -> anyhow::Result<Option<Found>> {
        self.current = None;
        let found = self.search()?;
        self.current = found.as_ref().map(|found| found.id.clone());
        Ok(found)
    }

    fn search(&mut self) -> anyhow::Result<Option<Found>> {
        if let Some(id) = self.args.id.clone() {
            return match self.attach(&id, self.args.from) {
                Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                    bail!("there is no stream {id}; `weir ls` shows those there are")
                }
                result => Ok(Some(result?)),
            };
        }
        if self.args.follow {
            // Before the list, so that no stream falls between the two.
            self.subscribe()?;
        }
        while let Some(id) = self.next.pop_front() {
            if let Some(found) = self.begin_at_first_byte(&id)? {
                return Ok(Some(found));
            }
        }
        if !self.is_listed
            && let Some(found) = self.search_list()?
        {
            return Ok(Some(found));
        }
        if self.args.no_wait {
            eprintln!("weir: there is no stream{}", self.of_type());
            return Ok(None);
        }
        self.wait().map(Some)
    }

    /// Looks through the list until a stream is attached or none is left.
    fn search_list(&mut self) -> anyhow::Result<Option<Found>> {
        loop {
            let entries = self.connection.list(self.args.r#type.as_deref())?;
            let Some(chosen) = choose(&entries, &self.passed) else { break };
            // A stream that is gone since the list was made leaves the choice to the next list.
            if let Some(found) = self.try_attach(&chosen.id, self.args.from)? {
                if self.args.follow {
                    self.is_listed = true;
                    self.pass_others(&entries, &found.id);
                }
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Waits for a stream to be created. Its subscribers are connected to it from its first byte on.
    fn wait(&mut self) -> anyhow::Result<Found> {
        eprintln!("weir: waiting for a stream{}", self.of_type());
        self.is_listed = true;
        self.subscribe()?;
        loop {
            let Event::Created { id, .. } = self.connection.wait_event()? else { continue };
            if self.passed.contains(&id) {
                self.connection.sender().disconnect(&id);
                continue;
            }
            self.current = Some(id.clone());
            if !self.args.follow {
                self.unsubscribe();
            }
            if self.args.stall_timeout.is_none() {
                return Ok(Found { id, position: 0, lost: 0 });
            }
            match self.begin_at_first_byte(&id)? {
                Some(found) => return Ok(found),
                None => self.subscribe()?,
            }
        }
    }

    /// Takes note of a stream that came or went while another one is copied.
    pub(super) fn handle_event(&mut self, event: &Event) {
        let Event::Created { id, .. } = event else { return };
        if self.current.as_ref() == Some(id) || self.next.contains(id) {
            return;
        }
        if self.args.follow && !self.passed.contains(id) && self.next.len() < NEXT_MAX {
            // It is kept for its turn, but must not wait for it: what it loses will be told.
            let options = AttachOptions {
                from: Some(Position::Offset(0)),
                stall_timeout: Some(StallTimeout::AfterMs(0)),
            };
            self.connection.sender().attach(id, &options);
            self.next.push_back(id.clone());
        } else {
            self.connection.sender().disconnect(id);
            if self.args.follow && self.passed.insert(id.clone()) {
                eprintln!("weir: too many streams at once, {id} is left out");
            }
        }
    }

    /// The stream is done with.
    pub(super) fn pass(&mut self, id: &str) {
        self.passed.insert(id.to_owned());
    }

    /// The stream turned out to be unreadable. An error where it was the only one wanted.
    pub(super) fn give_up(&mut self, id: &str, error: CallError) -> anyhow::Result<()> {
        if self.args.id.is_some() {
            return Err(ClientError::Call(error).into());
        }
        self.connection.sender().disconnect(id);
        self.pass(id);
        Ok(())
    }

    fn attach(&mut self, id: &str, from: Position) -> Result<Found, ClientError> {
        let options = AttachOptions { from: Some(from), stall_timeout: self.args.stall_timeout };
        let attached = self.connection.attach(id, &options)?;
        Ok(Found { id: id.to_owned(), position: attached.position, lost: attached.lost })
    }

    /// `None`: the stream is gone or not for reading, and will not be tried again.
    fn try_attach(&mut self, id: &str, from: Position) -> Result<Option<Found>, ClientError> {
        match self.attach(id, from) {
            Err(ClientError::Call(error))
                if matches!(error.code, CallError::INVALID_CONTEXT | CallError::UNSUPPORTED) =>
            {
                self.pass(id);
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Makes the most of a stream that this channel is connected to since its creation.
    fn begin_at_first_byte(&mut self, id: &str) -> Result<Option<Found>, ClientError> {
        match self.attach(id, Position::Offset(0)) {
            // Disposed already, so that nobody else can attach. Those who are connected still can read.
            Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                Ok(Some(Found { id: id.to_owned(), position: 0, lost: 0 }))
            }
            Err(ClientError::Call(error)) if error.code == CallError::UNSUPPORTED => {
                self.pass(id);
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    fn subscribe(&mut self) -> Result<(), ClientError> {
        if !self.is_subscribed {
            let stream_type = self.subscription();
            self.connection.subscribe(&stream_type)?;
            self.is_subscribed = true;
        }
        Ok(())
    }

    fn unsubscribe(&mut self) {
        let stream_type = self.subscription();
        self.connection.sender().unsubscribe(&stream_type);
        self.is_subscribed = false;
    }

    fn subscription(&self) -> String {
        self.args.r#type.clone().unwrap_or_else(|| "*".to_owned())
    }

    fn of_type(&self) -> String {
        self.args.r#type.as_ref().map(|name| format!(" of type {name}")).unwrap_or_default()
    }

    /// With `--follow`, streams that were there before are not what comes next.
    fn pass_others(&mut self, entries: &[StreamEntry], chosen: &str) {
        let others = entries.iter().filter(|entry| entry.id != chosen);
        self.passed.extend(others.map(|entry| entry.id.clone()));
    }
}

/// The newest stream that is alive, else the newest that can still be read. `entries` is oldest first.
fn choose<'a>(entries: &'a [StreamEntry], passed: &HashSet<String>) -> Option<&'a StreamEntry> {
    let readable =
        || entries.iter().rev().filter(|e| e.direction != "in" && !passed.contains(&e.id));
    readable().find(|entry| !entry.eos).or_else(|| readable().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, direction: &str, eos: bool) -> StreamEntry {
        StreamEntry {
            id: id.to_owned(),
            direction: direction.to_owned(),
            eos,
            ..StreamEntry::default()
        }
    }

    #[test]
    fn the_newest_live_stream_that_can_be_read_is_chosen() {
        let entries = [
            entry("VS0", "out", false),
            entry("VS1", "bus", false),
            entry("VS2", "out", true),
            entry("VS3", "in", false),
        ];
        let mut passed = HashSet::new();
        let mut order = Vec::new();
        while let Some(entry) = choose(&entries, &passed) {
            order.push(entry.id.clone());
            passed.insert(entry.id.clone());
        }
        assert_eq!(order, ["VS1", "VS0", "VS2"]);
    }
}
