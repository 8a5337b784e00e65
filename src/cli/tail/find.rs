//! Which stream to copy, and how to come by it without missing a byte.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use anyhow::bail;

use crate::cli::args::TailArgs;
use crate::cli::connect::Caller;
use crate::cli::retry::Retry;
use crate::cli::say;
use crate::cli::tail::place::{Place, Taken};
use crate::client::{
    AttachOptions, CallError, ClientError, Connection, Event, Position, StallTimeout, StreamEntry,
};
use crate::shown;

/// Streams kept for later while another one is copied. Each holds memory of the broker.
const NEXT_MAX: usize = 8;

/// A stream is kept for its turn, but must not wait for it: what it loses will be told.
const KEPT_FOR_LATER: AttachOptions = AttachOptions {
    from: Some(Position::Offset(0)),
    stall_timeout: Some(StallTimeout::AfterMs(0)),
    place: None,
    keep_for_ms: None,
};

/// Finds streams, one after the other.
pub(super) struct Find {
    pub(super) connection: Connection,
    args: TailArgs,
    retry: Retry,
    place: Place,
    /// Which process the broker is: a stream's ID means the same within one. `None`: it does not
    /// say.
    broker_id: Option<String>,
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
    /// Whether the broker holds for it what is not confirmed.
    pub(super) has_place: bool,
}

/// What became of a stream while there was no connection.
#[derive(Debug)]
pub(super) enum Resumed {
    /// This channel is attached to it again.
    At(Taken),
    /// It cannot be read on.
    Gone {
        why: String,
        /// Streams that waited for their turn and are gone too.
        unread: Vec<String>,
    },
}

impl Find {
    pub(super) fn new(args: TailArgs, caller: Caller, place: Place) -> Result<Find, ClientError> {
        let mut connection = caller.connect()?;
        let broker_id = ask_broker_id(&mut connection)?;
        let patience = Duration::from_millis(args.retry_for);
        Ok(Find {
            retry: Retry::new("tail", caller, patience),
            broker_id,
            connection,
            args,
            place,
            is_subscribed: false,
            is_listed: false,
            current: None,
            next: VecDeque::new(),
            passed: HashSet::new(),
        })
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Which process the broker is.
    pub(super) fn broker_id(&self) -> Option<&str> {
        self.broker_id.as_deref()
    }

    /// Where the user wants to start.
    pub(super) fn from(&self) -> Position {
        self.args.from
    }

    /// The type of a stream. `None`: there is no such stream any more.
    pub(super) fn type_of(&mut self, id: &str) -> Result<Option<String>, ClientError> {
        let entries = self.connection.list(self.args.r#type.as_deref())?;
        let entry = entries.into_iter().find(|entry| entry.id == id);
        Ok(entry.map(|entry| entry.stream_type))
    }

    /// The stream in which this reader has a place that goes with it.
    pub(super) fn passing<'a>(&self, id: &'a str, has_place: bool) -> Option<&'a str> {
        (has_place && self.place.is_passing()).then_some(id)
    }

    /// The next stream to copy, waiting for it. `None`: there is none, and the user does not want
    /// to wait.
    pub(super) fn next_stream(&mut self) -> anyhow::Result<Option<Found>> {
        self.current = None;
        let found = self.search()?;
        self.current = found.as_ref().map(|found| found.id.clone());
        Ok(found)
    }

    fn search(&mut self) -> anyhow::Result<Option<Found>> {
        if let Some(id) = self.args.id.clone() {
            if let Some(stream_type) = &self.args.r#type
                && !self.connection.list(Some(stream_type))?.iter().any(|entry| entry.id == id)
            {
                let (id, stream_type) = (shown::line(&id), shown::line(stream_type));
                bail!(
                    "there is no stream {id} of type {stream_type}; `weir ls` shows those there are"
                )
            }
            return match self.attach(&id, self.args.from) {
                Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                    let id = shown::line(&id);
                    bail!("there is no stream {id}; `weir ls` shows those there are")
                }
                result => Ok(Some(result?)),
            };
        }
        if self.args.follow {
            // Before the list, so that no stream falls between the two.
            self.subscribe()?;
        }
        while let Some(id) = self.next.front().cloned() {
            let found = self.begin_at_first_byte(&id)?;
            // Not before: where the connection breaks here the stream keeps its turn.
            self.next.pop_front();
            if found.is_some() {
                return Ok(found);
            }
        }
        if !self.is_listed
            && let Some(found) = self.search_list()?
        {
            return Ok(Some(found));
        }
        if self.args.no_wait {
            say::line(&format!("weir tail: there is no stream{}", self.of_type()));
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

    /// Waits for a stream to be created. Its subscribers are connected to it from its first byte
    /// on.
    fn wait(&mut self) -> anyhow::Result<Found> {
        say::line(&format!("weir tail: no stream{} yet, waiting for one", self.of_type()));
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
            if !self.place.has_wishes() {
                return Ok(Found { id, position: 0, lost: 0, has_place: false });
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
            self.connection.sender().attach(id, &KEPT_FOR_LATER);
            self.next.push_back(id.clone());
        } else {
            self.connection.sender().disconnect(id);
            if self.args.follow && self.passed.insert(id.clone()) {
                say::line(&format!("weir tail: too many streams at once, {id} is left out"));
            }
        }
    }

    /// Whether other streams may follow one that is gone.
    pub(super) fn may_go_on(&self) -> bool {
        self.args.follow
    }

    /// Connects again after `error` broke the search for a stream. Gives the streams that waited
    /// for their turn and are gone.
    pub(super) fn come_back(&mut self, error: anyhow::Error) -> anyhow::Result<Vec<String>> {
        let (_, unread) = self.reconnect(error, |_, _| Ok(()))?;
        Ok(unread)
    }

    /// Connects again after `error` broke the reading of a stream, and reads it on from `position`.
    pub(super) fn resume(
        &mut self,
        id: &str,
        position: u64,
        error: anyhow::Error,
    ) -> anyhow::Result<Resumed> {
        let place = self.place.clone();
        let (taken, unread) = self.reconnect(error, |connection, is_same_broker| {
            if !is_same_broker {
                return Ok(Err("the broker was restarted and has lost its streams".to_owned()));
            }
            match place.attach(connection, id, Position::Offset(position)) {
                Ok(taken) => Ok(Ok(taken)),
                Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                    Ok(Err("it has ended meanwhile and is forgotten".to_owned()))
                }
                Err(ClientError::Call(error)) => Ok(Err(error.to_string())),
                Err(error) => Err(error),
            }
        })?;
        if let Ok(taken) = &taken {
            let position = taken.attached.position;
            say::line(&format!("weir tail: connected again, {id} goes on at {position}"));
        }
        Ok(taken.map_or_else(|why| Resumed::Gone { why, unread }, Resumed::At))
    }

    /// Replaces the connection and everything that depends on it. `then` is told whether the broker
    /// is still the same process; what it gives comes with the streams that waited for their turn
    /// and are gone.
    fn reconnect<T>(
        &mut self,
        error: anyhow::Error,
        mut then: impl FnMut(&mut Connection, bool) -> Result<T, ClientError>,
    ) -> anyhow::Result<(T, Vec<String>)> {
        let breakage = match error.downcast_ref::<ClientError>() {
            Some(breakage) if self.retry.may_mend(breakage) => breakage,
            _ => return Err(error),
        };
        // The old connection says no more.
        self.connection.sender().abort();
        let subscription = self.is_subscribed.then(|| self.subscription());
        let has_next = !self.next.is_empty();
        let (connection, (broker_id, entries, result)) =
            self.retry.until_connected(breakage, |connection| {
                let broker_id = ask_broker_id(connection)?;
                // Before the list, so that no stream falls between the two.
                if let Some(subscription) = &subscription {
                    connection.subscribe(subscription)?;
                }
                let entries = if has_next { connection.list(None)? } else { Vec::new() };
                let is_same_broker = broker_id == self.broker_id;
                let result = then(connection, is_same_broker)?;
                Ok((broker_id, entries, result))
            })?;
        self.connection = connection;
        let mut unread = Vec::new();
        if broker_id == self.broker_id {
            self.next.retain(|id| {
                let is_there = entries.iter().any(|entry| entry.id == *id);
                if !is_there {
                    unread.push(id.clone());
                }
                is_there
            });
            for id in &self.next {
                self.connection.sender().attach(id, &KEPT_FOR_LATER);
            }
        } else {
            // The same IDs are given out again.
            self.passed.clear();
            unread.extend(self.next.drain(..));
            self.broker_id = broker_id;
        }
        Ok((result, unread))
    }

    /// Says so where the stream that was read to its end was ended for want of its writer.
    pub(super) fn tell_cut_off(&mut self, id: &str) {
        // As far as is still known: a broker forgets a stream that everybody has read.
        let Ok(entries) = self.connection.list(self.args.r#type.as_deref()) else { return };
        if entries.iter().any(|entry| entry.id == id && entry.cut_off) {
            say::line(&format!(
                "weir tail: the writer of {id} broke off, so it may not be complete"
            ));
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
        let Taken { attached, has_place } = self.place.attach(&mut self.connection, id, from)?;
        let (position, lost) = (attached.position, attached.lost);
        Ok(Found { id: id.to_owned(), position, lost, has_place })
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
            // Disposed already, so that nobody else can attach. Those who are connected still can
            // read.
            Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                Ok(Some(Found { id: id.to_owned(), position: 0, lost: 0, has_place: false }))
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

fn ask_broker_id(connection: &mut Connection) -> Result<Option<String>, ClientError> {
    match connection.agent_id() {
        Err(ClientError::Call(_)) => Ok(None),
        result => result.map(Some),
    }
}

/// The newest stream that is alive, else the newest that can still be read. `entries` is oldest
/// first.
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
