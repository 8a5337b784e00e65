//! Counts the segments of logs wherever they are: a reader's output may hold one for long after its
//! log has let it go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// What counts the segments of one engine. Many outputs, here and on other workers, may share a
/// segment; it counts once and whole, until the last of them has sent it.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments(Arc<Counts>);

/// Relaxed orders do: each is a sum that nothing else depends on.
#[derive(Debug)]
struct Counts {
    /// Bytes of segments that anybody holds. Any thread takes away from it.
    live: AtomicU64,
    /// Bytes of those that logs here have. Only the engine's own thread changes it.
    kept: AtomicU64,
    /// Bytes that may wait to be sent before little of a segment may no longer hold all of it.
    unsent_max: AtomicU64,
}

impl Default for Counts {
    fn default() -> Counts {
        let [live, kept] = [AtomicU64::new(0), AtomicU64::new(0)];
        Counts { live, kept, unsent_max: AtomicU64::new(u64::MAX) }
    }
}

/// A segment that knows when nobody holds it any more.
#[derive(Debug)]
struct Counted {
    bytes: Bytes,
    segments: Segments,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.segments.0.live.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

impl Segments {
    /// Counts a segment until nobody holds it.
    pub(super) fn count(&self, bytes: Bytes) -> Bytes {
        self.0.live.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Counted { bytes, segments: self.clone() })
    }

    /// Bytes of counted segments that logs here have.
    pub(super) fn kept(&self) -> u64 {
        self.0.kept.load(Ordering::Relaxed)
    }

    /// Says how much may wait to be sent before outputs should hold no more than they need.
    pub(super) fn set_unsent_max(&self, bytes: u64) {
        self.0.unsent_max.store(bytes, Ordering::Relaxed);
    }

    /// Whether so much waits to be sent that an output should hold no more than it needs.
    pub(super) fn is_crowded(&self) -> bool {
        self.unsent() > self.0.unsent_max.load(Ordering::Relaxed)
    }

    /// Bytes that no log has and that somebody holds: they wait to be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.0.live.load(Ordering::Relaxed).saturating_sub(self.kept())
    }
}

/// What one log has of counted segments. All of it is let go with the log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    segments: Segments,
    bytes: u64,
}

impl Kept {
    pub(super) fn new(segments: Segments) -> Kept {
        Kept { segments, bytes: 0 }
    }

    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The log has so many bytes of counted segments more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.segments.0.kept.store(self.segments.kept() + bytes, Ordering::Relaxed);
    }

    /// The log has let so many go.
    pub(super) fn remove(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.segments.0.kept.store(self.segments.kept() - bytes, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A view's log has none, and is dropped on another thread: it must not touch the sum.
        if self.bytes > 0 {
            self.remove(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_counts_once_whoever_shares_it_and_until_nobody_does() {
        let segments = Segments::default();
        let segment = segments.count(Bytes::from(vec![7; 1000]));
        let mut kept = Kept::new(segments.clone());
        kept.add(1000);
        let readers = [segment.slice(..100), segment.slice(500..)];
        assert_eq!((segments.kept(), segments.unsent()), (1000, 0), "the log has it");
        drop(segment);
        kept.remove(400);
        assert_eq!((segments.kept(), segments.unsent()), (600, 400));
        drop(kept);
        assert_eq!((segments.kept(), segments.unsent()), (0, 1000));
        let [first, second] = readers;
        drop(first);
        assert_eq!(segments.unsent(), 1000);
        std::thread::spawn(|| drop(second)).join().unwrap();
        assert_eq!(segments.unsent(), 0);
    }

    #[test]
    fn a_view_that_goes_on_another_thread_leaves_the_sum_of_the_home_alone() {
        let segments = Segments::default();
        let mut home = Kept::new(segments.clone());
        let (views, count) = (segments.clone(), 200_000);
        let other = std::thread::spawn(move || {
            while views.kept() < count {
                drop(Kept::new(views.clone()));
            }
        });
        while home.bytes() < count {
            home.add(1);
            assert_eq!(segments.kept(), home.bytes());
        }
        other.join().unwrap();
    }
}
