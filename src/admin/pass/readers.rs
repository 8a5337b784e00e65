//! The readers of one stream in a pass, where they are more than one piece holds.

use crate::admin::pass::source::{Source, Stage};
use crate::admin::snapshot::StreamContext;
use crate::id::WorkerId;
use crate::inside::Silent;
use crate::stream::{ReaderReport, ReadersWanted};
use crate::time::Instant;

/// A stream of which more readers come than one piece holds, and what comes behind them.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) stream: StreamContext,
    /// By worker: from which place on.
    pub(super) parts: Vec<(WorkerId, usize)>,
    pub(super) has_reader: bool,
    pub(super) left: usize,
    pub(super) then: Stage,
}

impl Source {
    pub(super) async fn go_on_readers(
        &mut self,
        mut rest: Rest,
        text: &mut Vec<u8>,
    ) -> Result<(), Silent> {
        let readers = self.more_readers(&mut rest).await?;
        self.put_readers(&mut rest, readers, text);
        if rest.parts.is_empty() || rest.left == 0 {
            text.extend(b"]}");
            self.stage = rest.then;
        } else {
            self.stage = Stage::Readers(Box::new(rest));
        }
        Ok(())
    }

    pub(super) async fn more_readers(
        &self,
        rest: &mut Rest,
    ) -> Result<Vec<(ReaderReport, Instant)>, Silent> {
        let Some((worker, from)) = rest.parts.pop() else { return Ok(Vec::new()) };
        let wanted = vec![ReadersWanted { stream: rest.stream.id(), from }];
        let (now, reports) = self.gather.readers(worker, wanted).await?;
        let mut readers = Vec::new();
        for report in reports {
            rest.parts.extend(report.next.map(|next| (worker, next)));
            readers.extend(report.rows.into_iter().map(|reader| (reader, now)));
        }
        Ok(readers)
    }

    pub(super) fn put_readers(
        &mut self,
        rest: &mut Rest,
        readers: Vec<(ReaderReport, Instant)>,
        text: &mut Vec<u8>,
    ) {
        for (reader, now) in readers {
            if rest.left == 0 {
                return;
            }
            rest.left -= 1;
            if std::mem::replace(&mut rest.has_reader, true) {
                text.push(b',');
            }
            text.extend(rest.stream.reader_json(&reader, now));
            if self.selection().stream.is_some() {
                self.named.push(reader.channel);
            }
        }
    }
}
