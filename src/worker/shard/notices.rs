//! Log lines about readers: each names the stream, the peer, the bytes, the rule that applied and
//! the knob that changes it. What happens to the same reader again and again is counted and told
//! with the next line, not repeated.

use std::time::Duration;

use rustc_hash::FxHashMap;
use tracing::{info, warn};

use crate::id::{ChannelId, StreamId, WorkerId};
use crate::stream::{Happening, Notice, StallTimeout};
use crate::time::Instant;
use crate::worker::shard::Shard;

/// Between two lines about losses of one reader.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// Readers whose losses are held back at once. Those beyond are counted together.
const READERS_MAX: usize = 256;

/// What changes the rule.
const KNOB: &str = "StallTimeout of create or attach, --stall-timeout, ?stall_timeout=";

/// Losses that have not been told.
#[derive(Debug)]
struct Held {
    notice: Notice,
    until: Instant,
    losses: u64,
    bytes: u64,
}

/// What was told lately, and what is held back since.
#[derive(Debug, Default)]
pub(super) struct Notices {
    held: FxHashMap<(StreamId, ChannelId), Held>,
    /// When the first of `held` is due, at the earliest.
    due: Option<Instant>,
    /// Losses that found no place in `held`.
    untold: u64,
}

impl Shard {
    /// Writes what the core wants the operator to hear.
    pub(super) fn tell_notices(&mut self) {
        let now = self.now.instant;
        while let Some(notice) = self.engine.poll_notice() {
            match notice.what {
                Happening::Stalled { lag, silent_for } => {
                    stalled(self.me, &notice, lag, silent_for);
                }
                Happening::LetGo { lost, silent_for } => let_go(self.me, &notice, lost, silent_for),
                Happening::Lost { bytes } => self.notices.lost(self.me, now, notice, bytes),
            }
        }
        if self.notices.due.is_some_and(|due| due <= now) {
            self.notices.untold += self.engine.take_missed_notices();
            self.notices.tell_held(self.me, now);
        }
    }
}

impl Notices {
    /// A loss: told at once if the reader has had none for some time.
    fn lost(&mut self, worker: WorkerId, now: Instant, notice: Notice, bytes: u64) {
        let key = (notice.stream, notice.channel);
        if let Some(held) = self.held.get_mut(&key) {
            held.losses += 1;
            held.bytes += bytes;
            return;
        }
        if self.held.len() == READERS_MAX {
            self.untold += 1;
            return;
        }
        lost(worker, &notice, bytes, 1);
        let until = now.plus(REPEAT_AFTER);
        self.held.insert(key, Held { notice, until, losses: 0, bytes: 0 });
        self.due.get_or_insert(until);
    }

    /// Tells what is due, and forgets readers that lost nothing more.
    fn tell_held(&mut self, worker: WorkerId, now: Instant) {
        self.held.retain(|_, held| {
            if held.until > now {
                return true;
            }
            let (losses, bytes) =
                (std::mem::take(&mut held.losses), std::mem::take(&mut held.bytes));
            if losses > 0 {
                lost(worker, &held.notice, bytes, losses);
                held.until = now.plus(REPEAT_AFTER);
            }
            losses > 0
        });
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            info!(%worker, losses = untold, "more readers lost bytes; /stats has all of them");
        }
        self.due = self.held.values().map(|held| held.until).min();
    }
}

fn stalled(worker: WorkerId, notice: &Notice, lag: u64, silent_for: Duration) {
    let Notice { stream, stream_type, channel, peer, stall_timeout, .. } = notice;
    let name = name(notice);
    // Escaped, since a peer's own bytes are in it and one line is what it gets.
    let stream_type = stream_type.escape_debug();
    let (rule, seconds) = (rule(*stall_timeout), silent_for.as_secs_f64());
    warn!(
        %worker, %stream, r#type = %stream_type, %channel, %peer, name, bytes = lag, seconds, rule,
        knob = KNOB, "reader stalled: the full stream goes on without it"
    );
}

fn let_go(worker: WorkerId, notice: &Notice, bytes: u64, silent_for: Duration) {
    let Notice { stream, stream_type, channel, peer, stall_timeout, .. } = notice;
    let name = name(notice);
    let stream_type = stream_type.escape_debug();
    let (rule, seconds) = (rule(*stall_timeout), silent_for.as_secs_f64());
    warn!(
        %worker, %stream, r#type = %stream_type, %channel, %peer, name, bytes, seconds, rule,
        knob = KNOB, "reader let go: the stream is disposed, and it reads nothing of it"
    );
}

fn lost(worker: WorkerId, notice: &Notice, bytes: u64, losses: u64) {
    let Notice { stream, stream_type, channel, peer, stall_timeout, .. } = notice;
    let name = name(notice);
    let stream_type = stream_type.escape_debug();
    let rule = rule(*stall_timeout);
    info!(
        %worker, %stream, r#type = %stream_type, %channel, %peer, name, bytes, losses, rule,
        knob = KNOB, "reader lost bytes"
    );
}

/// What the peer says of itself, escaped as its other words are.
fn name(notice: &Notice) -> Option<String> {
    Some(notice.introduction.as_ref()?.to_string().escape_debug().to_string())
}

fn rule(timeout: StallTimeout) -> String {
    match timeout {
        StallTimeout::After(time) if time.is_zero() => "never waited for".to_owned(),
        StallTimeout::After(time) => format!("waited for {time:?}"),
        StallTimeout::Never => "waited for for ever".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(slot: u32) -> Notice {
        Notice {
            stream: StreamId(1),
            stream_type: "T".into(),
            channel: ChannelId { worker: WorkerId(0), slot, generation: 0 },
            peer: "peer".into(),
            introduction: None,
            stall_timeout: StallTimeout::After(Duration::ZERO),
            what: Happening::Lost { bytes: 5 },
        }
    }

    #[test]
    fn losses_that_repeat_are_counted_and_readers_that_go_on_well_forgotten() {
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        let mut notices = Notices::default();
        for _ in 0..1000 {
            notices.lost(WorkerId(0), at(1), notice(1), 5);
        }
        let held = notices.held.values().next().unwrap();
        assert_eq!((held.losses, held.bytes, notices.due), (999, 4995, Some(at(11))));
        notices.tell_held(WorkerId(0), at(11));
        assert_eq!((notices.held.len(), notices.due), (1, Some(at(21))));
        notices.tell_held(WorkerId(0), at(21));
        assert_eq!((notices.held.len(), notices.due), (0, None));
    }

    #[test]
    fn memory_for_what_is_held_back_is_bounded() {
        let mut notices = Notices::default();
        for slot in 0..=READERS_MAX as u32 {
            notices.lost(WorkerId(0), Instant(1), notice(slot), 5);
        }
        assert_eq!((notices.held.len(), notices.untold), (READERS_MAX, 1));
    }
}
