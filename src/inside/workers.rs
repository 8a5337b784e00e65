//! The workers, as far as the control thread knows them: mailboxes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::id::{StreamId, WorkerId};
use crate::worker::{Doorbell, Mail, Outbox, Placement, Refused, Tuning, Wake};

/// How long workers may take to answer. A turn takes microseconds to milliseconds; one that takes
/// seconds is news.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Until a full mailbox is tried again. Rare, and nothing but the one answer waits for it.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// The control thread is not woken when a mailbox has room again: it looks by itself, a few times a
/// second.
struct LooksByItself;

impl Wake for LooksByItself {
    fn wake(&self) {}
}

/// The bell under which the control thread's outboxes are made.
pub fn bell() -> Arc<Doorbell> {
    Arc::new(Doorbell::new(LooksByItself))
}

/// A worker that has not answered in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} has not answered within {seconds} s", seconds = ANSWER_TIMEOUT.as_secs())]
pub(crate) struct Silent(pub(crate) WorkerId);

/// The workers' mailboxes, and what else is needed to hand them a connection.
#[derive(Clone, Debug)]
pub struct Workers {
    /// By worker. Locked only to put one message in, by the control thread alone.
    outboxes: Arc<Mutex<Vec<Outbox<Mail>>>>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) tuning: Arc<Tuning>,
    count: u16,
}

impl Workers {
    /// The workers behind these outboxes, in their order.
    pub fn new(
        outboxes: Vec<Outbox<Mail>>,
        placement: Arc<Placement>,
        tuning: Arc<Tuning>,
    ) -> Workers {
        let count = u16::try_from(outboxes.len()).expect("workers are counted in 16 bits");
        Workers { outboxes: Arc::new(Mutex::new(outboxes)), placement, tuning, count }
    }

    /// All of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = WorkerId> + use<> {
        (0..self.count).map(WorkerId)
    }

    /// Where a stream lives.
    pub(crate) fn home(&self, stream: StreamId) -> WorkerId {
        stream.home(self.count)
    }

    /// Puts mail into a worker's inbox, waiting for room until `deadline`.
    ///
    /// # Errors
    /// [`Silent`]: there was no room, or the worker is gone.
    pub(crate) async fn send(
        &self,
        worker: WorkerId,
        mut mail: Mail,
        deadline: Instant,
    ) -> Result<(), Silent> {
        loop {
            match self.put(worker, mail) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(back)) if Instant::now() < deadline => mail = back,
                Err(_) => return Err(Silent(worker)),
            }
            sleep(FULL_PAUSE).await;
        }
    }

    #[expect(clippy::result_large_err, reason = "the mailbox hands the mail itself back")]
    fn put(&self, worker: WorkerId, mail: Mail) -> Result<(), Refused<Mail>> {
        let outbox = &mut self.outboxes.lock()[worker.index()];
        outbox.try_send(mail)?;
        outbox.ring();
        Ok(())
    }
}
