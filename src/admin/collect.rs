//! Asks every worker for a copy of its numbers.

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::id::WorkerId;
use crate::inside::{ANSWER_TIMEOUT, Silent, Workers};
use crate::worker::{Mail, ReportSink, WorkerReport};

/// A report of each worker, in their order.
///
/// # Errors
/// [`Silent`] names the first worker that has not answered in time.
pub(crate) async fn collect(workers: &Workers) -> Result<Vec<WorkerReport>, Silent> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let mut answers = Vec::new();
    // All are asked before the first is waited for, so that their answers are of about the same
    // time.
    for worker in workers.ids() {
        answers.push((worker, ask(workers, worker, deadline).await?));
    }
    let mut reports = Vec::with_capacity(answers.len());
    for (worker, answer) in answers {
        match timeout_at(deadline, answer).await {
            Ok(Ok(report)) => reports.push(report),
            Ok(Err(_)) | Err(_) => return Err(Silent(worker)),
        }
    }
    Ok(reports)
}

async fn ask(
    workers: &Workers,
    worker: WorkerId,
    deadline: Instant,
) -> Result<oneshot::Receiver<WorkerReport>, Silent> {
    let (answer, receiver) = oneshot::channel();
    let mail = Mail::Report(ReportSink::new(move |report| drop(answer.send(report))));
    workers.send(worker, mail, deadline).await?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::inside::bell;
    use crate::worker::{Counters, Limits, Outbox, Placement, ShardReport, Tuning, mailbox};

    fn workers(outboxes: Vec<Outbox<Mail>>) -> Workers {
        let placement = Arc::new(Placement::new(outboxes.len() as u16));
        Workers::new(outboxes, placement, Arc::new(Tuning::new(Limits::default(), 1)))
    }

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
        let bell = bell();
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
        let reports = run(collect(&workers(ends))).unwrap();
        let order: Vec<u16> = reports.iter().map(|report| report.worker.0).collect();
        assert_eq!(order, [0, 1, 2]);
        worker.join().unwrap();
    }

    #[test]
    fn a_worker_that_is_gone_is_named() {
        let bell = bell();
        let (ends, inbox) = mailbox::<Mail>(1, &bell, &[Arc::clone(&bell)]);
        drop(inbox);
        assert_eq!(run(collect(&workers(ends))).unwrap_err(), Silent(WorkerId(0)));
    }
}
