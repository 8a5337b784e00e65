//! Asks every worker for a copy of its numbers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::id::WorkerId;
use crate::worker::{Mail, Outbox, Refused, ReportSink, WorkerReport};

/// How long all workers may take. A turn takes microseconds to milliseconds; one that takes seconds
/// is news.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Until a full mailbox is tried again. Rare, and nothing but the one answer waits for it.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// A worker that has not answered in time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} has not answered within {seconds} s", seconds = ANSWER_TIMEOUT.as_secs())]
pub(crate) struct Silent(pub(crate) WorkerId);

/// Asks workers through their mailboxes.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    /// By worker. Locked only to put one message in, by the control thread alone.
    outboxes: Arc<Mutex<Vec<Outbox<Mail>>>>,
}

impl Collector {
    pub(crate) fn new(outboxes: Vec<Outbox<Mail>>) -> Collector {
        Collector { outboxes: Arc::new(Mutex::new(outboxes)) }
    }

    /// A report of each worker, in their order.
    ///
    /// # Errors
    /// [`Silent`] names the first worker that has not answered in time.
    pub(crate) async fn collect(&self) -> Result<Vec<WorkerReport>, Silent> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let workers = self.outboxes.lock().len();
        let mut answers = Vec::with_capacity(workers);
        // All are asked before the first is waited for, so that their answers are of about the same
        // time.
        for index in 0..workers {
            answers.push(self.ask(index, deadline).await?);
        }
        let mut reports = Vec::with_capacity(workers);
        for (index, answer) in answers.into_iter().enumerate() {
            match timeout_at(deadline, answer).await {
                Ok(Ok(report)) => reports.push(report),
                Ok(Err(_)) | Err(_) => return Err(Silent(WorkerId(index as u16))),
            }
        }
        Ok(reports)
    }

    async fn ask(
        &self,
        index: usize,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<WorkerReport>, Silent> {
        let silent = Silent(WorkerId(index as u16));
        let (answer, receiver) = oneshot::channel();
        let mut mail = Mail::Report(ReportSink::new(move |report| drop(answer.send(report))));
        loop {
            match self.put(index, mail) {
                Ok(()) => return Ok(receiver),
                Err(Refused::Full(back)) if Instant::now() < deadline => mail = back,
                Err(_) => return Err(silent),
            }
            sleep(FULL_PAUSE).await;
        }
    }

    #[expect(clippy::result_large_err, reason = "the mailbox hands the mail itself back")]
    fn put(&self, index: usize, mail: Mail) -> Result<(), Refused<Mail>> {
        let outbox = &mut self.outboxes.lock()[index];
        outbox.try_send(mail)?;
        outbox.ring();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Control;
    use crate::worker::{Counters, ShardReport, mailbox};

    fn report(worker: u16) -> WorkerReport {
        WorkerReport {
            worker: WorkerId(worker),
            now: crate::time::Now::default(),
            shard: ShardReport::default(),
            counters: Counters::default(),
            busy_ratio: 0.0,
            inbox_mail: 0,
            lingering: 0,
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn every_worker_is_asked_and_answers_are_in_their_order() {
        let bell = Control::bell();
        let (mut ends, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (end, inbox) = mailbox(1, &bell, &[Arc::clone(&bell)]);
            ends.extend(end);
            inboxes.push(inbox);
        }
        let worker = std::thread::spawn(move || {
            let mut answered = 0;
            while answered < 3 {
                for (index, inbox) in inboxes.iter_mut().enumerate() {
                    if let Some(Mail::Report(sink)) = inbox.try_receive() {
                        sink.put(report(index as u16));
                        answered += 1;
                    }
                }
                std::thread::yield_now();
            }
        });
        let reports = run(Collector::new(ends).collect()).unwrap();
        let order: Vec<u16> = reports.iter().map(|report| report.worker.0).collect();
        assert_eq!(order, [0, 1, 2]);
        worker.join().unwrap();
    }

    #[test]
    fn a_worker_that_is_gone_is_named() {
        let bell = Control::bell();
        let (ends, inbox) = mailbox::<Mail>(1, &bell, &[Arc::clone(&bell)]);
        drop(inbox);
        assert_eq!(run(Collector::new(ends).collect()).unwrap_err(), Silent(WorkerId(0)));
    }
}
