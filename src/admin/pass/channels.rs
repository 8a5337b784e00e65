//! The channels of a pass, behind its streams.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::admin::pass::order::Largest;
use crate::admin::pass::source::{Source, Stage, Wanted};
use crate::admin::snapshot::{ChannelRow, Sort};
use crate::id::{ChannelId, WorkerId};
use crate::inside::Silent;
use crate::time::Instant;
use crate::worker::{ChannelReport, ROWS_MAX};

impl Source {
    /// What comes behind the streams.
    pub(super) async fn end_streams(&mut self, text: &mut Vec<u8>) -> Result<(), Silent> {
        let selection = self.selection();
        match self.wanted {
            Wanted::One(_) => {
                text.push(b'\n');
                return Ok(());
            }
            Wanted::List => {
                text.extend(b"]\n");
                return Ok(());
            }
            Wanted::Stats(_) => text.extend(br#"],"channels":["#),
        }
        self.has_row = false;
        self.left = selection.top.unwrap_or(usize::MAX);
        self.stage = match (selection.stream, selection.sort) {
            (Some(_), sort) => {
                let mut named = std::mem::take(&mut self.named);
                named.sort_unstable();
                match sort {
                    Sort::Age => Stage::ChosenChannels(named.into(), 0),
                    _ => {
                        let sorted =
                            self.sorted_channels(sort, selection.top, Some(&named)).await?;
                        Stage::ChosenChannels(sorted.into(), 0)
                    }
                }
            }
            (None, Sort::Age) => Stage::Channels(WorkerId(0), 0),
            (None, sort) => {
                let sorted = self.sorted_channels(sort, selection.top, None).await?;
                Stage::ChosenChannels(sorted.into(), 0)
            }
        };
        Ok(())
    }

    /// The channels in the order that is asked for; only those `named`, where some are.
    async fn sorted_channels(
        &self,
        sort: Sort,
        top: Option<usize>,
        named: Option<&[ChannelId]>,
    ) -> Result<Vec<ChannelId>, Silent> {
        let mut largest = Largest::new(top);
        for worker in self.gather.workers().ids() {
            let mut slot = Some(0);
            while let Some(from) = slot {
                let (_, rows, next) = self.gather.channels(worker, from).await?;
                for row in rows {
                    if named.is_none_or(|named| named.binary_search(&row.id).is_ok()) {
                        largest.put(sort.of_channel(&row), row.id);
                    }
                }
                slot = next;
            }
        }
        Ok(largest.into_sorted())
    }

    pub(super) async fn go_on_channels(
        &mut self,
        worker: WorkerId,
        slot: usize,
        text: &mut Vec<u8>,
    ) -> Result<(), Silent> {
        if self.left == 0 || worker.index() == self.gather.workers().ids().count() {
            self.end(text);
            return Ok(());
        }
        let (now, rows, next) = self.gather.channels(worker, slot).await?;
        self.put_channels(now, rows, text);
        self.stage = match next {
            Some(slot) => Stage::Channels(worker, slot),
            None => Stage::Channels(WorkerId(worker.0 + 1), 0),
        };
        Ok(())
    }

    pub(super) async fn go_on_chosen_channels(
        &mut self,
        ids: Arc<[ChannelId]>,
        at: usize,
        text: &mut Vec<u8>,
    ) -> Result<(), Silent> {
        if self.left == 0 || at == ids.len() {
            self.end(text);
            return Ok(());
        }
        let piece = &ids[at..ids.len().min(at + ROWS_MAX)];
        let mut found = FxHashMap::default();
        for worker in self.gather.workers().ids() {
            let own = piece.iter().filter(|id| id.worker == worker).copied();
            let own: Vec<ChannelId> = own.collect();
            if !own.is_empty() {
                let (now, rows) = self.gather.channels_of(worker, own).await?;
                found.extend(rows.into_iter().map(|row| (row.id, (now, row))));
            }
        }
        for (now, row) in piece.iter().filter_map(|id| found.remove(id)) {
            self.put_channels(now, vec![row], text);
        }
        self.stage = Stage::ChosenChannels(Arc::clone(&ids), at + piece.len());
        Ok(())
    }

    fn put_channels(&mut self, now: Instant, rows: Vec<ChannelReport>, text: &mut Vec<u8>) {
        for row in rows {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            if std::mem::replace(&mut self.has_row, true) {
                text.push(b',');
            }
            text.extend(ChannelRow::new(row, now).to_json());
        }
    }
}
