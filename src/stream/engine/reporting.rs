//! Copies of the numbers, in pieces: whoever asks for many rows gets so many at a time, and says
//! where to go on. What one call gives is of one moment.

use crate::id::{Door, Offset, StreamId};
use crate::stream::engine::Engine;
use crate::stream::home::Stream;
use crate::stream::parties::Attachment;
use crate::stream::readers::{Reader, Readers};
use crate::stream::{
    EngineReport, EngineTotals, Gauges, Lag, ReaderReport, ReadersReport, ReadersWanted,
    STALLED_AFTER, StreamRow, Walk,
};
use crate::time::Instant;

/// Bytes of the names in the rows of one call, above which no further row is copied. A name may
/// have many kilobytes.
const NAME_BYTES_MAX: usize = 64 << 10;

impl Engine {
    /// Everything at once, for whoever drives engines in tests: it takes as long as there is much.
    pub fn report(&self) -> EngineReport {
        let totals = self.totals();
        let mut report =
            EngineReport { held_bytes: totals.held_bytes, totals, ..Default::default() };
        for id in self.streams.after(None).chain(self.views.keys().copied()) {
            let wanted = [ReadersWanted { stream: id, from: 0 }];
            report.readers.extend(self.readers_of(&wanted, usize::MAX).remove(0).rows);
            if let Some(stream) = self.streams.get(&id) {
                report.streams.push(self.report_stream(stream));
                report.marks.push((id, stream.marks.clone()));
            }
        }
        report
    }

    /// What is counted, all of one moment.
    pub fn totals(&self) -> EngineTotals {
        let sum = self.traffic.sum();
        EngineTotals {
            streams: self.streams.len() as u64,
            held_bytes: self.front.budget.held(),
            held_bytes_max: self.front.limits.memory_bytes_max,
            accepted_bytes: sum.accepted_bytes,
            delivered_bytes: sum.delivery.delivered(),
            lost_bytes: sum.delivery.lost(),
            traffic: self.traffic.clone(),
            stalls: self.front.stalls,
            park_time: Some(self.front.park_time),
            reader_lag: Some(self.front.reader_lag),
        }
    }

    /// Goes on with a walk: what about `most` streams and readers come to, and where it goes on.
    pub fn gauges(&self, now: Instant, walk: Walk, most: usize) -> (Gauges, Option<Walk>) {
        let mut gauges = Gauges::default();
        match walk {
            Walk::Streams(after) => {
                let mut last = after;
                for id in self.streams.after(after) {
                    if gauges.seen >= most {
                        return (gauges, Some(Walk::Streams(last)));
                    }
                    last = Some(id);
                    let Some(stream) = self.streams.get(&id) else { continue };
                    gauges.seen += 1 + stream.readers.len();
                    gauges.note_stream(stream);
                    self.note_readers(&mut gauges, now, &Seen::of(stream));
                }
                let views = self.views.keys().copied().collect();
                (gauges, Some(Walk::Views(views)))
            }
            Walk::Views(mut views) => {
                while let Some(id) = views.pop() {
                    let Some(view) = self.views.get(&id) else { continue };
                    let (end, full_since) = (view.log.end(), view.full_since);
                    gauges.seen += 1 + view.readers.len();
                    let readers = &view.readers;
                    self.note_readers(&mut gauges, now, &Seen { id, readers, end, full_since });
                    if gauges.seen >= most {
                        break;
                    }
                }
                let next = (!views.is_empty()).then_some(Walk::Views(views));
                (gauges, next)
            }
        }
    }

    /// The streams at home behind `after`, oldest first: at most `most` rows, readers among them,
    /// and at least one stream if there is one. True: there are more.
    pub fn rows_after(&self, after: Option<StreamId>, most: usize) -> (Vec<StreamRow>, bool) {
        self.rows(self.streams.after(after), most)
    }

    /// The same for these streams; those that are not there are left out. The count is that of the
    /// IDs that were looked at.
    pub fn rows_of(&self, ids: &[StreamId], most: usize) -> (Vec<StreamRow>, usize) {
        let mut looked = 0;
        let (rows, has_more) = self.rows(ids.iter().copied().inspect(|_| looked += 1), most);
        // The one that was looked at behind the last row is yet to come.
        (rows, looked - usize::from(has_more))
    }

    fn rows(&self, ids: impl Iterator<Item = StreamId>, most: usize) -> (Vec<StreamRow>, bool) {
        let mut rows = Vec::new();
        let (mut left, mut name_bytes) = (most, 0);
        for id in ids {
            if left == 0 || name_bytes > NAME_BYTES_MAX {
                return (rows, true);
            }
            let Some(stream) = self.streams.get(&id) else { continue };
            left -= 1;
            let readers = self.readers_at_home(stream, 0, left);
            left = left.saturating_sub(readers.rows.len());
            let viewers = stream.views.iter().map(|view| view.worker).collect();
            let (stream, marks) = (self.report_stream(stream), stream.marks.clone());
            let names = [stream.context.as_ref(), stream.name.as_ref(), stream.owner.as_ref()];
            let names = names.into_iter().flatten().map(|name| name.len()).sum::<usize>();
            name_bytes += stream.stream_type.len() + names;
            rows.push(StreamRow { stream, marks, viewers, readers });
        }
        (rows, false)
    }

    /// Readers here of these streams, at most `most` rows. Streams that have none here, any more,
    /// get an empty report.
    pub fn readers_of(&self, wanted: &[ReadersWanted], most: usize) -> Vec<ReadersReport> {
        let mut left = most;
        let mut report = |ReadersWanted { stream: id, from }: &ReadersWanted| {
            let report = match (self.streams.get(id), self.views.get(id)) {
                (Some(stream), _) => self.readers_at_home(stream, *from, left),
                (None, Some(view)) => {
                    let (end, full_since) = (view.log.end(), view.full_since);
                    let seen = Seen { id: *id, readers: &view.readers, end, full_since };
                    self.readers_report(&seen, *from, left)
                }
                (None, None) => return ReadersReport::default(),
            };
            left = left.saturating_sub(report.rows.len());
            report
        };
        wanted.iter().map(&mut report).collect()
    }

    /// Places whose hosts are away come first; there are only so many of them in a stream.
    fn readers_at_home(&self, stream: &Stream, from: usize, most: usize) -> ReadersReport {
        let away: Vec<ReaderReport> = stream.report_away().collect();
        let most = most.saturating_sub(if from == 0 { away.len() } else { 0 });
        let mut report = self.readers_report(&Seen::of(stream), from, most);
        report.count += away.len() as u64;
        for place in &away {
            report.lowest =
                Some(report.lowest.map_or(place.position, |low| low.min(place.position)));
            let is_behind = place.holds() && place.position < place.end;
            let holder = report.holder.as_ref().map(|holder| holder.position);
            if is_behind && holder.is_none_or(|holder| place.position < holder) {
                report.holder = Some(place.clone());
            }
        }
        if from == 0 {
            report.rows.splice(0..0, away);
        }
        report
    }

    fn readers_report(&self, seen: &Seen<'_>, from: usize, most: usize) -> ReadersReport {
        let mut report = ReadersReport { furthest: seen.end, ..ReadersReport::default() };
        let mut holder: Option<&Reader> = None;
        for reader in seen.readers.iter() {
            report.count += 1;
            report.lost += reader.lost;
            let lowest = report.lowest.get_or_insert(reader.cursor);
            *lowest = reader.cursor.min(*lowest);
            let is_behind = reader.holds() && reader.cursor < seen.end;
            if is_behind && holder.is_none_or(|other| reader.cursor < other.cursor) {
                holder = Some(reader);
            }
        }
        report.holder = holder.and_then(|reader| self.reader_report(seen, reader));
        for (place, reader) in seen.readers.from(from) {
            if report.rows.len() == most {
                report.next = Some(place);
                break;
            }
            report.rows.extend(self.reader_report(seen, reader));
        }
        report
    }

    fn reader_report(&self, seen: &Seen<'_>, reader: &Reader) -> Option<ReaderReport> {
        let party = self.front.parties.get(reader.channel)?;
        Some(ReaderReport {
            stream: seen.id,
            channel: reader.channel,
            peer: party.peer.clone(),
            door: party.door,
            introduction: party.introduction.clone(),
            start: reader.start,
            position: reader.cursor,
            end: seen.end,
            delivered: reader.delivered,
            lost: reader.lost,
            pending_reads: reader.reads.len() as u64,
            lagging: reader.is_lagging,
            stall_timeout: reader.stall_timeout,
            progress_at: reader.progress_at,
            place: party.attachments.get(&seen.id).and_then(Attachment::place_report),
        })
    }

    fn note_readers(&self, gauges: &mut Gauges, now: Instant, seen: &Seen<'_>) {
        for reader in seen.readers.iter() {
            let door = self.front.parties.get(reader.channel).map(|party| party.door);
            gauges.readers[door.unwrap_or_default() as usize] += 1;
            gauges.lagging += u64::from(reader.is_lagging);
            gauges.parked_reads += reader.reads.len() as u64;
            let bytes = seen.end.since(reader.cursor);
            let waited = |since| now.since(reader.progress_at.max(since)) >= STALLED_AFTER;
            let is_silent = seen.full_since.is_some_and(waited);
            gauges.stalled += u64::from(bytes > 0 && reader.holds() && is_silent);
            gauges.note_lag(Lag { bytes, stream: seen.id, position: reader.cursor });
        }
    }
}

/// A stream as its readers here see it, at home or in a view.
struct Seen<'a> {
    id: StreamId,
    readers: &'a Readers,
    end: Offset,
    full_since: Option<Instant>,
}

impl<'a> Seen<'a> {
    fn of(stream: &'a Stream) -> Seen<'a> {
        let (end, full_since) = (stream.log.end(), stream.full_since);
        Seen { id: stream.meta.id, readers: &stream.readers, end, full_since }
    }
}

impl Gauges {
    fn note_stream(&mut self, stream: &Stream) {
        let writes = stream.parked.count();
        self.readers[Door::Tcf as usize] += stream.report_away().count() as u64;
        self.full += u64::from(writes > 0);
        self.parked_writes += writes;
        self.parked_bytes += stream.parked.bytes();
        let held = self.held.of_mut(stream.type_slot);
        held.streams += 1;
        held.buffered_bytes += stream.log.len();
        held.buffer_bytes += stream.meta.buffer_bytes;
    }
}
