//! Goes through the rows of all workers, a piece at a time, and makes JSON of them.
//!
//! A source holds where it is and no row, so that it can be copied and go on for somebody else.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::admin::About;
use crate::admin::gather::Gather;
use crate::admin::pass::order::Largest;
use crate::admin::pass::readers::Rest;
use crate::admin::snapshot::{Head, Joined, Part, Selection, Sort};
use crate::id::{ChannelId, StreamId, WorkerId};
use crate::inside::Silent;
use crate::stream::{ReadersWanted, StreamRow};
use crate::time::Instant;
use crate::worker::ROWS_MAX;

/// Readers of one stream that are sorted together. Where a stream has more, the rest is in the
/// order of coming: no list of any length is held for the sake of its order.
const SORTED_READERS_MAX: usize = 1024;

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// `/stats`.
    Stats(Selection),
    /// `/streams`.
    List,
    /// `/streams/ID`.
    One(StreamId),
}

/// Where a pass is, and how it goes on.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) gather: Gather,
    pub(super) about: Arc<About>,
    pub(super) wanted: Wanted,
    pub(super) stage: Stage,
    begun: Instant,
    /// Whether a row has come before in the list that is under way.
    pub(super) has_row: bool,
    /// Streams that may still come.
    pub(super) left: usize,
    /// The channels of the readers that came, where they are asked for.
    pub(super) named: Vec<ChannelId>,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    Begin,
    /// By home: behind which stream it goes on; `None` where it has no more.
    ByAge(Vec<Option<After>>),
    /// These, from a place on.
    Chosen(Arc<[StreamId]>, usize),
    /// Readers of a stream that has more of them than one piece holds, and what comes behind.
    Readers(Box<Rest>),
    /// A worker's channels, from a slot on.
    Channels(WorkerId, usize),
    ChosenChannels(Arc<[ChannelId]>, usize),
    Over,
}

pub(super) type After = Option<StreamId>;

impl Source {
    pub(super) fn new(gather: Gather, about: Arc<About>, wanted: Wanted) -> Source {
        let left = match wanted {
            Wanted::Stats(selection) => selection.top.unwrap_or(usize::MAX),
            Wanted::List | Wanted::One(_) => usize::MAX,
        };
        let begun = about.clock.now().instant;
        Source {
            gather,
            about,
            wanted,
            stage: Stage::Begin,
            begun,
            has_row: false,
            left,
            named: Vec::new(),
        }
    }

    pub(super) fn selection(&self) -> Selection {
        match self.wanted {
            Wanted::Stats(selection) => selection,
            Wanted::List => Selection::default(),
            Wanted::One(stream) => Selection { stream: Some(stream), ..Selection::default() },
        }
    }

    /// The next piece of the answer; `None` behind the last.
    ///
    /// # Errors
    /// [`Silent`]: a worker does not answer.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Silent> {
        let mut text = Vec::new();
        while text.is_empty() {
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Over => return Ok(None),
                Stage::Begin => self.begin(&mut text).await?,
                Stage::ByAge(homes) => self.go_on_by_age(homes, &mut text).await?,
                Stage::Chosen(ids, at) => self.go_on_chosen(ids, at, &mut text).await?,
                Stage::Readers(rest) => self.go_on_readers(*rest, &mut text).await?,
                Stage::Channels(worker, slot) => {
                    self.go_on_channels(worker, slot, &mut text).await?;
                }
                Stage::ChosenChannels(ids, at) => {
                    self.go_on_chosen_channels(ids, at, &mut text).await?;
                }
            }
        }
        Ok(Some(text.into()))
    }

    async fn begin(&mut self, text: &mut Vec<u8>) -> Result<(), Silent> {
        let selection = self.selection();
        match self.wanted {
            Wanted::One(_) => {}
            Wanted::List => text.push(b'['),
            Wanted::Stats(_) => {
                let summary = self.gather.summary().await?;
                let head = Head::new(&self.about.name, self.about.clock.now().instant, &summary);
                *text = serde_json::to_vec(&head).expect("strings and numbers make JSON");
                text.pop();
                text.extend(br#","streams":["#);
            }
        }
        self.stage = match (selection.stream, selection.sort) {
            (Some(stream), _) => Stage::Chosen([stream].into(), 0),
            (None, Sort::Age) => {
                Stage::ByAge(self.gather.workers().ids().map(|_| Some(None)).collect())
            }
            (None, sort) => Stage::Chosen(self.sorted(sort, selection.top).await?.into(), 0),
        };
        Ok(())
    }

    /// The streams in the order that is asked for.
    async fn sorted(&self, sort: Sort, top: Option<usize>) -> Result<Vec<StreamId>, Silent> {
        let mut largest = Largest::new(top);
        let mut homes: Vec<Option<After>> =
            self.gather.workers().ids().map(|_| Some(None)).collect();
        while homes.iter().any(Option::is_some) {
            for row in self.rows_by_age(&mut homes).await? {
                largest.put(sort.of_stream(&row), row.context().id());
            }
        }
        Ok(largest.into_sorted())
    }

    /// The next streams in the order of age, joined, and where to go on behind them.
    async fn rows_by_age(&self, homes: &mut [Option<After>]) -> Result<Vec<Joined>, Silent> {
        let age = |row: &StreamRow| (row.stream.created_at, row.stream.id);
        let mut rows: Vec<(Instant, StreamRow)> = Vec::new();
        let mut have_more = vec![false; homes.len()];
        // Before what is behind the last row of a worker, its next rows may have to come.
        let mut horizon: Option<(Instant, StreamId)> = None;
        for worker in self.gather.workers().ids() {
            let Some(after) = homes[worker.index()] else { continue };
            let (now, more, has_more) = self.gather.rows(worker, after).await?;
            have_more[worker.index()] = has_more;
            if let Some(last) = more.last().map(age).filter(|_| has_more) {
                horizon = Some(horizon.map_or(last, |other| other.min(last)));
            }
            rows.extend(more.into_iter().map(|row| (now, row)));
        }
        rows.sort_by_key(|(_, row)| age(row));
        let is_due = |row: &StreamRow| horizon.is_none_or(|last| age(row) <= last);
        // The others are asked for again.
        let later = rows.split_off(rows.partition_point(|(_, row)| is_due(row)));
        for worker in self.gather.workers().ids() {
            let own = |(_, row): &&(Instant, StreamRow)| {
                self.gather.workers().home(row.stream.id) == worker
            };
            let Some(after) = homes[worker.index()] else { continue };
            let is_over = !have_more[worker.index()] && !later.iter().any(|row| own(&row));
            let last = rows.iter().rfind(own).map(|(_, row)| row.stream.id).or(after);
            homes[worker.index()] = (!is_over).then_some(last);
        }
        self.join(rows).await
    }

    /// Asks the other workers for the readers of these streams.
    async fn join(&self, rows: Vec<(Instant, StreamRow)>) -> Result<Vec<Joined>, Silent> {
        let mut wanted: FxHashMap<WorkerId, Vec<usize>> = FxHashMap::default();
        for (place, (_, row)) in rows.iter().enumerate() {
            for viewer in &row.viewers {
                wanted.entry(*viewer).or_default().push(place);
            }
        }
        let mut parts: Vec<Vec<Part>> = rows.iter().map(|_| Vec::new()).collect();
        for worker in self.gather.workers().ids() {
            let Some(places) = wanted.remove(&worker) else { continue };
            let ids = places.iter().map(|place| rows[*place].1.stream.id);
            let ids = ids.map(|stream| ReadersWanted { stream, from: 0 }).collect();
            let (now, reports) = self.gather.readers(worker, ids).await?;
            for (place, readers) in places.into_iter().zip(reports) {
                parts[place].push(Part { worker, now, readers });
            }
        }
        let join = |((now, row), mut parts): ((Instant, StreamRow), Vec<Part>)| {
            let worker = self.gather.workers().home(row.stream.id);
            parts.insert(0, Part { worker, now, readers: row.readers });
            Joined::new(row.stream, row.marks, now, parts)
        };
        Ok(rows.into_iter().zip(parts).map(join).collect())
    }

    async fn go_on_by_age(
        &mut self,
        mut homes: Vec<Option<After>>,
        text: &mut Vec<u8>,
    ) -> Result<(), Silent> {
        if self.left == 0 || homes.iter().all(Option::is_none) {
            return self.end_streams(text).await;
        }
        let before = homes.clone();
        let rows = self.rows_by_age(&mut homes).await?;
        let mut told = before;
        for row in &rows {
            let home = self.gather.workers().home(row.context().id()).index();
            told[home] = Some(Some(row.context().id()));
            if let Some(rest) = self.put(row, text).await? {
                // Whoever comes behind this one is asked for again.
                let then = Stage::ByAge(told);
                self.stage = Stage::Readers(Box::new(Rest { then, ..rest }));
                return Ok(());
            }
            if self.left == 0 {
                break;
            }
        }
        self.stage = Stage::ByAge(homes);
        Ok(())
    }

    async fn go_on_chosen(
        &mut self,
        ids: Arc<[StreamId]>,
        at: usize,
        text: &mut Vec<u8>,
    ) -> Result<(), Silent> {
        if at == ids.len() {
            return self.end_streams(text).await;
        }
        let piece = &ids[at..ids.len().min(at + ROWS_MAX)];
        let mut found: FxHashMap<StreamId, (Instant, StreamRow)> = FxHashMap::default();
        // The first that a worker has not looked at, since there was too much to tell before it.
        let mut end = piece.len();
        for worker in self.gather.workers().ids() {
            let own = |id: &&StreamId| self.gather.workers().home(**id) == worker;
            let own: Vec<StreamId> = piece.iter().filter(own).copied().collect();
            if own.is_empty() {
                continue;
            }
            let (now, rows, looked) = self.gather.rows_of(worker, own.clone()).await?;
            found.extend(rows.into_iter().map(|row| (row.stream.id, (now, row))));
            if let Some(missed) = own.get(looked) {
                end = end.min(piece.iter().position(|id| id == missed).unwrap_or(end));
            }
        }
        let rows = piece[..end].iter().filter_map(|id| found.remove(id)).collect();
        let mut rows = self.join(rows).await?;
        // What they are sorted by has changed meanwhile.
        let sort = self.selection().sort;
        if sort != Sort::Age && ids.len() <= ROWS_MAX {
            rows.sort_by_key(|row| std::cmp::Reverse(sort.of_stream(row)));
        }
        for row in &rows {
            if let Some(rest) = self.put(row, text).await? {
                let behind = ids.iter().position(|id| *id == row.context().id());
                let then = Stage::Chosen(Arc::clone(&ids), behind.map_or(at + end, |at| at + 1));
                self.stage = Stage::Readers(Box::new(Rest { then, ..rest }));
                return Ok(());
            }
        }
        self.stage = Stage::Chosen(ids, at + end);
        Ok(())
    }

    /// Writes a stream's row. Returns what is left of its readers, where they are too many.
    async fn put(&mut self, row: &Joined, text: &mut Vec<u8>) -> Result<Option<Rest>, Silent> {
        self.left -= 1;
        if std::mem::replace(&mut self.has_row, true) {
            text.push(b',');
        }
        let json = row.to_json();
        if self.wanted == Wanted::List {
            text.extend(json);
            return Ok(None);
        }
        text.extend(&json[..json.len() - 1]);
        text.extend(br#","readers":["#);
        let selection = self.selection();
        let mut rest = Rest {
            stream: row.context().clone(),
            parts: Vec::new(),
            has_reader: false,
            left: selection.top.unwrap_or(usize::MAX),
            then: Stage::Over,
        };
        let mut readers = Vec::new();
        for part in row.parts() {
            readers.extend(part.readers.rows.iter().map(|reader| (reader.clone(), part.now)));
            rest.parts.extend(part.readers.next.map(|next| (part.worker, next)));
        }
        if selection.sort != Sort::Age {
            while !rest.parts.is_empty() && readers.len() < SORTED_READERS_MAX {
                readers.extend(self.more_readers(&mut rest).await?);
            }
            let key = |(reader, _): &(_, _)| selection.sort.of_reader(&rest.stream, reader);
            readers.sort_by_key(|row| std::cmp::Reverse(key(row)));
        }
        self.put_readers(&mut rest, readers, text);
        if rest.parts.is_empty() || rest.left == 0 {
            text.extend(b"]}");
            return Ok(None);
        }
        Ok(Some(rest))
    }

    pub(super) fn end(&self, text: &mut Vec<u8>) {
        let took = self.about.clock.now().instant.since(self.begun);
        let end = format!("],\"gathered_ms\":{}}}\n", took.as_millis());
        text.extend(end.as_bytes());
    }
}
