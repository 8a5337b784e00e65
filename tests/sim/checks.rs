//! What must hold of the broker's own numbers: at any time, at rest, and when everybody has left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir::id::{ChannelId, StreamId};
use weir::stream::{ReaderReport, StallTimeout, StreamReport};
use weir::worker::ShardReport;

use crate::asked::{Asked, Spec};
use crate::model::{Complaint, Key, Tie};
use crate::peer::Leaving;
use crate::world::World;

/// What each channel may always hold, of its own and of events that it has not taken in.
const CHANNEL_BYTES: u64 = 32 << 10;

/// More than an ordinary channel holds or asks for.
const MUCH_BYTES: u64 = 100_000;

fn streams(reports: &[ShardReport]) -> BTreeMap<u64, &StreamReport> {
    let streams = reports.iter().flat_map(|report| &report.engine.streams);
    streams.map(|stream| (stream.id.0, stream)).collect()
}

/// Whether the worker that says this may have no room for `bytes` more.
fn is_short_of_memory(report: &ShardReport, bytes: u64) -> bool {
    let engine = &report.totals.engine;
    engine.held_bytes + engine.held_bytes_max / 8 + bytes > engine.held_bytes_max
}

impl World {
    /// Accounts and bounds, at any time.
    pub fn check_now(&self) -> Result<(), Complaint> {
        let scale = self.scale.bytes;
        for report in self.broker.reports() {
            self.check_memory(&report)?;
            for reader in &report.engine.readers {
                if reader.start.0 + reader.delivered + reader.lost != reader.position.0 {
                    return Err(format!("an account does not balance: {reader:?}"));
                }
            }
            for stream in &report.engine.streams {
                if stream.end.since(stream.start) > stream.buffer_bytes {
                    return Err(format!("more than the buffer: {stream:?}"));
                }
                let channels = self.channels.len() as u64;
                let most = self.limits.stream.parked_bytes_max + 2 * scale;
                if stream.parked_bytes > channels * most {
                    return Err(format!("too much is parked: {stream:?}"));
                }
            }
            for channel in &report.channels {
                // One turn's reads in base64, what else pends, and the events of all streams.
                let reads = 2 * (self.limits.stream.served_bytes_per_turn as u64 + 3 * scale);
                let pending = self.limits.stream.pending_per_channel_max as u64;
                // Lists that were asked for in one turn name all streams, and tokens are echoed.
                let lists = if self.is_besieged() { self.limits.commands_per_turn } else { 0 };
                let tokens = self.limits.wire.token_bytes_max * (40 + lists) * lists.min(1);
                let lists = lists as u64 * self.names_bytes() + tokens as u64;
                let rest = 120 * pending + 2 * self.names_bytes() + lists;
                let most = self.limits.unsent_bytes_pause as u64 + reads + rest;
                if channel.unsent_bytes > most {
                    return Err(format!("more than {most} bytes unsent: {channel:?}"));
                }
            }
        }
        Ok(())
    }

    /// What a worker says that it holds is within its share of the memory limit, and what may come
    /// on top of it: a little for each channel and stream, short messages, one long message, and
    /// writes that must be taken whole.
    fn check_memory(&self, report: &ShardReport) -> Result<(), Complaint> {
        let engine = &report.totals.engine;
        let (held, most) = (engine.held_bytes, engine.held_bytes_max);
        let channels = report.channels.len() as u64 * CHANNEL_BYTES;
        let streams = report.engine.streams.len() as u64 * self.limits.stream.stream_bytes_min;
        let message = 20 * self.scale.bytes;
        match held <= most + most / 4 + channels + streams + message {
            true => Ok(()),
            false => Err(format!("{held} bytes held, of {most}: {:?}", report.channels)),
        }
    }

    /// What telling of all streams takes, at most.
    fn names_bytes(&self) -> u64 {
        let name = |spec: &Spec| 600 + 3 * spec.stream_type.len() as u64;
        self.model.specs.iter().map(name).sum()
    }

    /// Connections whose peers are there and take part.
    fn open_channels(&self) -> BTreeMap<ChannelId, Key> {
        let links = self.peers.iter().filter_map(|peer| peer.link.as_ref());
        let open = links.filter(|link| {
            link.reads
                && link.leaving == Leaving::No
                && link.has_greeted
                && !link.sent_nonsense
                && self.model.channel(link.key).end.is_none()
        });
        open.map(|link| (self.channels[&link.key], link.key)).collect()
    }

    /// Nothing moves: what was told is what is, and whoever waits has a reason.
    pub fn check_at_rest(&self, have_stalls_passed: bool) -> Result<(), Complaint> {
        let reports = self.broker.reports();
        let streams = streams(&reports);
        let readers: Vec<&ReaderReport> =
            reports.iter().flat_map(|report| &report.engine.readers).collect();
        let open = self.open_channels();
        for reader in &readers {
            if let Some(key) = open.get(&reader.channel) {
                self.check_account(*key, reader)?;
            }
            let end = streams.get(&reader.stream.0).map(|stream| stream.end);
            let is_behind = end.is_some_and(|end| reader.end > end);
            if is_behind || (reader.pending_reads > 0 && reader.position < reader.end) {
                let is_paused = !open.contains_key(&reader.channel);
                if is_behind || !is_paused {
                    return Err(format!("bytes up to {end:?}, and yet {reader:?}"));
                }
            }
            // Bytes that the home has and that a reader who waits has not been sent.
            let lacks = end.is_some_and(|end| reader.end < end);
            if lacks && reader.pending_reads > 0 && open.contains_key(&reader.channel) {
                return Err(format!("bytes up to {end:?} are not at {reader:?}"));
            }
        }
        self.model.check_places(&readers, &open.values().copied().collect())?;
        let is_away = |reader: &&&ReaderReport| {
            reader.place.as_ref().is_some_and(|place| place.away_until.is_some())
        };
        if have_stalls_passed && let Some(place) = readers.iter().find(is_away) {
            return Err(format!("nobody has come for it: {place:?}"));
        }
        for &key in open.values() {
            // A long message of one that holds much waits for memory, and what is behind it too.
            let report = &reports[self.channels[&key].worker.index()];
            let may_wait = is_short_of_memory(report, MUCH_BYTES) || self.is_hostile(key);
            if !self.model.is_tight || !may_wait {
                self.check_waiting(key, &streams)?;
            }
            for (id, tie) in &self.model.channel(key).ties {
                if *tie == Tie::Attached && !streams.contains_key(id) {
                    return Err(format!("channel {key} was not told that VS{id} is gone"));
                }
            }
        }
        let short = reports.iter().filter(|report| is_short_of_memory(report, MUCH_BYTES));
        let short = short.flat_map(|report| &report.engine.streams).map(|stream| stream.id);
        let short: BTreeSet<StreamId> = short.collect();
        for stream in streams.values().filter(|stream| stream.parked_writes > 0) {
            if short.contains(&stream.id) {
                continue;
            }
            let spec = self.model.streams.get(&stream.id.0).map(|stream| &stream.spec);
            let is_held = spec.is_none_or(|spec| spec.hold);
            // One that has caught up with what its worker had counts again, also behind the oldest
            // byte.
            let holds = |reader: &&&ReaderReport| {
                let is_viewer = reader.stall_timeout == StallTimeout::After(Duration::ZERO);
                reader.stream == stream.id && !reader.lagging && !is_viewer
            };
            let places = readers.iter().filter(|reader| reader.stream == stream.id);
            let confirmed = places.filter_map(|reader| Some(reader.place.as_ref()?.confirmed));
            let positions = readers.iter().filter(holds).map(|reader| reader.position);
            let lowest = positions.chain(confirmed).min();
            let kept_from = if is_held { stream.start } else { lowest.unwrap_or(stream.end) };
            let kept = stream.end.since(kept_from.max(stream.start));
            // What waits is whole, unless it is larger than the buffer.
            let first_max = stream.parked_bytes.min(stream.buffer_bytes).max(1);
            if kept + first_max <= stream.buffer_bytes {
                let readers: Vec<_> = readers.iter().filter(|r| r.stream == stream.id).collect();
                return Err(format!("nobody is in the way of {stream:?}, {readers:?}"));
            }
            let waits_for_ever = readers.iter().any(|reader| {
                let key = self.channels.iter().find(|(_, id)| **id == reader.channel);
                let account =
                    key.and_then(|(key, _)| self.model.channel(*key).readers.get(&reader.stream.0));
                // A peer that does not listen may have asked for more than it has been told.
                let is_uncertain = !open.contains_key(&reader.channel);
                // Its place has a timeout of its own.
                let has_place =
                    reader.place.as_ref().is_some_and(|place| place.away_until.is_none());
                reader.stream == stream.id
                    && (has_place
                        || account.is_none_or(|account| {
                            is_uncertain || account.is_uncertain || account.stall.is_none()
                        }))
            });
            if have_stalls_passed && !is_held && !waits_for_ever {
                let readers: Vec<_> = readers.iter().filter(|r| r.stream == stream.id).collect();
                return Err(format!("the stall timeouts are over: {stream:?}, {readers:?}"));
            }
        }
        Ok(())
    }

    fn check_account(&self, key: Key, report: &ReaderReport) -> Result<(), Complaint> {
        let Some(reader) = self.model.channel(key).readers.get(&report.stream.0) else {
            return Err(format!("channel {key} never connected: {report:?}"));
        };
        if reader.is_uncertain {
            return Ok(());
        }
        let is_placed =
            reader.places.as_ref().is_none_or(|places| places.contains(&report.position.0));
        if reader.got != report.delivered || reader.lost != report.lost || !is_placed {
            let (got, lost, places) = (reader.got, reader.lost, &reader.places);
            return Err(format!("replies told {got}, {lost}, at {places:?}: {report:?}"));
        }
        Ok(())
    }

    /// A channel's commands pend only with a reason: reads for bytes, writes and ends for space,
    /// and others only behind writes, since a channel with too much parked is not heard.
    fn check_waiting(
        &self,
        key: Key,
        streams: &BTreeMap<u64, &StreamReport>,
    ) -> Result<(), Complaint> {
        let mut is_behind_writes = false;
        for (token, asked) in &self.model.channel(key).pending {
            match asked {
                Asked::Write { stream, .. }
                | Asked::WriteRecord { stream, .. }
                | Asked::Eos(stream) => {
                    let is_parked =
                        streams.get(stream).is_some_and(|stream| stream.parked_writes > 0);
                    if !is_parked && !is_behind_writes {
                        return Err(format!(
                            "channel {key}: nothing is in the way of {token}, {asked:?}"
                        ));
                    }
                    is_behind_writes = true;
                }
                Asked::Read { stream, .. } => {
                    if !streams.contains_key(stream) && !is_behind_writes {
                        return Err(format!(
                            "channel {key}: {token} reads VS{stream}, which is gone"
                        ));
                    }
                    if streams.get(stream).is_some_and(|stream| stream.eos) && !is_behind_writes {
                        return Err(format!(
                            "channel {key}: {token} reads VS{stream}, which is over"
                        ));
                    }
                }
                _ if is_behind_writes => {}
                _ => return Err(format!("channel {key}: no reply to {token} {asked:?}")),
            }
        }
        Ok(())
    }

    /// Everybody has left, and all timers have run.
    pub fn check_empty(&self) -> Result<(), Complaint> {
        for peer in &self.peers {
            if let Some(link) = &peer.link {
                return Err(format!("channel {} is not closed", link.key));
            }
        }
        for worker in &self.broker.workers {
            let report = worker.shard().report();
            // A broker that stops ends no stream: its readers would take that for the writer's end.
            let has_streams = !self.is_draining && !report.engine.streams.is_empty();
            let has_any = has_streams
                || !report.engine.readers.is_empty()
                || !report.channels.is_empty()
                || worker.shard().channel_count() > 0;
            if has_any {
                return Err(format!("left behind: {report:?}"));
            }
            if let Some(at) = worker.shard().next_deadline()
                && !self.is_draining
            {
                return Err(format!("a timer is left, at {at:?}"));
            }
            if !worker.is_idle() {
                return Err("a connection or mail is left".to_owned());
            }
        }
        Ok(())
    }
}
