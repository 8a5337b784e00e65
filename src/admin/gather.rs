//! Asks workers for copies of their numbers, a piece at a time: of each worker one question at most
//! is under way, whoever wants to know what. What many ask for at once is gathered once.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::id::{ChannelId, StreamId, WorkerId};
use crate::inside::{ANSWER_TIMEOUT, Silent, Workers};
use crate::stream::{ReadersReport, ReadersWanted, StreamRow};
use crate::time;
use crate::worker::{
    Answer, AnswerBody, ChannelReport, Inquiry, Mail, Question, ShardGauges, ShardWalk,
    WorkerTotals,
};

/// What one worker counts, and what its rows come to.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSummary {
    pub(crate) totals: WorkerTotals,
    pub(crate) gauges: ShardGauges,
}

/// What all workers say without a row, in their order. The totals were taken within milliseconds of
/// each other, the gauges right behind them, piece by piece.
pub(crate) type Summary = Vec<WorkerSummary>;

/// Asks the workers.
#[derive(Clone, Debug)]
pub(crate) struct Gather(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workers: Workers,
    /// By worker: held as long as a question to it is under way. Served in order.
    turns: Vec<Arc<tokio::sync::Mutex<()>>>,
    waiting: Mutex<Waiting>,
}

/// Those who want a summary.
#[derive(Debug, Default)]
struct Waiting {
    is_under_way: bool,
    /// Those who have come since the one under way began: they get the next. No more than there are
    /// HTTP connections.
    next: Vec<oneshot::Sender<Result<Arc<Summary>, Silent>>>,
}

impl Gather {
    pub(crate) fn new(workers: Workers) -> Gather {
        let turns = workers.ids().map(|_| Arc::default()).collect();
        Gather(Arc::new(Inner { workers, turns, waiting: Mutex::default() }))
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    /// The numbers as they are now, or a little later: one that was begun before it was asked for
    /// does not count.
    ///
    /// # Errors
    /// [`Silent`] names a worker that has not answered in time.
    pub(crate) async fn summary(&self) -> Result<Arc<Summary>, Silent> {
        let (sender, receiver) = oneshot::channel();
        let must_begin = {
            let mut waiting = self.0.waiting.lock();
            waiting.next.push(sender);
            !std::mem::replace(&mut waiting.is_under_way, true)
        };
        if must_begin {
            // In a task of its own: whoever waits for it may leave.
            tokio::spawn(self.clone().summarise());
        }
        receiver.await.unwrap_or(Err(Silent(WorkerId(0))))
    }

    async fn summarise(self) {
        loop {
            let asked = {
                let mut waiting = self.0.waiting.lock();
                if waiting.next.is_empty() {
                    waiting.is_under_way = false;
                    return;
                }
                std::mem::take(&mut waiting.next)
            };
            let summary = self.gather_summary().await.map(Arc::new);
            for sender in asked {
                let _ = sender.send(summary.clone());
            }
        }
    }

    async fn gather_summary(&self) -> Result<Summary, Silent> {
        let mut summary = Vec::new();
        for worker in self.0.workers.ids() {
            let AnswerBody::Totals(totals) = self.ask(worker, Question::Totals).await?.body else {
                unreachable!("a worker answers what it is asked")
            };
            summary.push(WorkerSummary { totals: *totals, gauges: ShardGauges::default() });
        }
        for (worker, summary) in self.0.workers.ids().zip(&mut summary) {
            let mut walk = Some(ShardWalk::BEGIN);
            while let Some(from) = walk.take() {
                let answer = self.ask(worker, Question::Gauges(from)).await?;
                let AnswerBody::Gauges(gauges, next) = answer.body else {
                    unreachable!("a worker answers what it is asked")
                };
                summary.gauges.add(&gauges);
                walk = next;
            }
        }
        Ok(summary)
    }

    /// Streams at home on a worker behind `after`, and whether there are more.
    pub(crate) async fn rows(
        &self,
        worker: WorkerId,
        after: Option<StreamId>,
    ) -> Result<(time::Instant, Vec<StreamRow>, bool), Silent> {
        let answer = self.ask(worker, Question::Rows(after)).await?;
        match answer.body {
            AnswerBody::Rows(rows, has_more) => Ok((answer.now.instant, rows, has_more)),
            other => unreachable!("a worker answers what it is asked: {other:?}"),
        }
    }

    /// These streams at home on a worker, as far as they are there, and how many of them have been
    /// looked at.
    pub(crate) async fn rows_of(
        &self,
        worker: WorkerId,
        ids: Vec<StreamId>,
    ) -> Result<(time::Instant, Vec<StreamRow>, usize), Silent> {
        let answer = self.ask(worker, Question::RowsOf(ids)).await?;
        match answer.body {
            AnswerBody::RowsOf(rows, looked) => Ok((answer.now.instant, rows, looked)),
            other => unreachable!("a worker answers what it is asked: {other:?}"),
        }
    }

    /// Readers that a worker has of these streams.
    pub(crate) async fn readers(
        &self,
        worker: WorkerId,
        wanted: Vec<ReadersWanted>,
    ) -> Result<(time::Instant, Vec<ReadersReport>), Silent> {
        let answer = self.ask(worker, Question::Readers(wanted)).await?;
        match answer.body {
            AnswerBody::Readers(reports) => Ok((answer.now.instant, reports)),
            other => unreachable!("a worker answers what it is asked: {other:?}"),
        }
    }

    /// A worker's channels from a slot on, and the slot where to go on.
    pub(crate) async fn channels(
        &self,
        worker: WorkerId,
        slot: usize,
    ) -> Result<(time::Instant, Vec<ChannelReport>, Option<usize>), Silent> {
        self.channels_as(worker, Question::Channels(slot)).await
    }

    /// These channels of a worker, as far as they are there.
    pub(crate) async fn channels_of(
        &self,
        worker: WorkerId,
        ids: Vec<ChannelId>,
    ) -> Result<(time::Instant, Vec<ChannelReport>), Silent> {
        let (now, rows, _) = self.channels_as(worker, Question::ChannelsOf(ids)).await?;
        Ok((now, rows))
    }

    async fn channels_as(
        &self,
        worker: WorkerId,
        question: Question,
    ) -> Result<(time::Instant, Vec<ChannelReport>, Option<usize>), Silent> {
        let answer = self.ask(worker, question).await?;
        match answer.body {
            AnswerBody::Channels(rows, next) => Ok((answer.now.instant, rows, next)),
            other => unreachable!("a worker answers what it is asked: {other:?}"),
        }
    }

    async fn ask(&self, worker: WorkerId, question: Question) -> Result<Answer, Silent> {
        let turn = Arc::clone(&self.0.turns[worker.index()]).lock_owned().await;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let (answer, receiver) = oneshot::channel();
        // The turn goes with the question: it is over when that is answered, also where nobody
        // waits for the answer any more.
        let inquiry = Inquiry::new(question, move |said| {
            let _ = answer.send(said);
            drop(turn);
        });
        self.0.workers.send(worker, Mail::Report(inquiry), deadline).await?;
        match timeout_at(deadline, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Silent(worker)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::bell;
    use crate::time::Now;
    use crate::worker::{Counters, Inbox, Limits, Outbox, Placement, ShardTotals, Tuning, mailbox};

    fn workers(outboxes: Vec<Outbox<Mail>>) -> Workers {
        let placement = Arc::new(Placement::new(outboxes.len() as u16));
        Workers::new(outboxes, placement, Arc::new(Tuning::new(Limits::default(), 1)))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Stands in for a worker: answers one question, if one is there, and says which.
    fn answer(worker: u16, inbox: &mut Inbox<Mail>, turns: u64) -> Option<Question> {
        let Some(Mail::Report(inquiry)) = inbox.try_receive() else { return None };
        let (question, take) = inquiry.open();
        let body = match &question {
            Question::Totals => AnswerBody::Totals(Box::new(WorkerTotals {
                worker: WorkerId(worker),
                now: Now::default(),
                shard: ShardTotals::default(),
                counters: Counters { turns, ..Counters::default() },
                busy_ratio: 0.0,
                inbox_mail: 0,
                lingering: 0,
            })),
            _ => AnswerBody::Gauges(Box::default(), None),
        };
        take(Answer { now: Now::default(), body });
        Some(question)
    }

    #[test]
    fn many_who_ask_share_one_report_that_began_after_they_asked() {
        let bell = bell();
        let (ends, mut inbox) = mailbox(64, &bell, &[Arc::clone(&bell)]);
        let gather = Gather::new(workers(ends));
        run(async move {
            let ask = || {
                let gather = gather.clone();
                tokio::spawn(
                    async move { gather.summary().await.unwrap()[0].totals.counters.turns },
                )
            };
            let mut asked = vec![ask()];
            while inbox.is_empty() {
                tokio::task::yield_now().await;
            }
            // They come while the first report is under way, and are not answered with it.
            asked.extend((0..100).map(|_| ask()));
            let (mut questions, mut totals) = (0, 0);
            while !asked.iter().all(|task| task.is_finished()) {
                tokio::task::yield_now().await;
                assert!(inbox.len() <= 1, "one question at a time");
                if let Some(question) = answer(0, &mut inbox, totals + 1) {
                    questions += 1;
                    totals += u64::from(matches!(question, Question::Totals));
                }
            }
            assert_eq!((questions, totals), (4, 2));
            for (number, task) in asked.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), if number == 0 { 1 } else { 2 });
            }
        });
    }

    #[test]
    fn a_worker_that_is_gone_is_named() {
        let bell = bell();
        let (ends, inbox) = mailbox::<Mail>(1, &bell, &[Arc::clone(&bell)]);
        drop(inbox);
        let error = run(async { Gather::new(workers(ends)).summary().await.map(drop) });
        assert_eq!(error.unwrap_err(), Silent(WorkerId(0)));
    }
}
