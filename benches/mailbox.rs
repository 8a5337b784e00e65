//! Mailboxes: handing messages from one worker to another.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir::worker::{Doorbell, mailbox};

/// Messages handed over at once, as many as a busy turn has.
const MESSAGES: u64 = 64;

/// Room in the mailbox.
const CAPACITY: usize = 256;

/// Ends the other thread.
const STOP: u64 = u64::MAX;

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("same-thread", |bencher| {
        let bell = Arc::new(Doorbell::new(thread::current()));
        let (mut outboxes, mut inbox) = mailbox(CAPACITY, &bell, &[Arc::clone(&bell)]);
        let mut outbox = outboxes.remove(0);
        bencher.iter(|| {
            for message in 0..MESSAGES {
                outbox.try_send(black_box(message)).expect("there is room");
            }
            outbox.ring();
            while let Some(message) = inbox.try_receive() {
                black_box(message);
            }
            inbox.release();
        });
    });
    group.bench_function("two-threads", |bencher| {
        let ours = Arc::new(Doorbell::new(thread::current()));
        let (handle, (mut outbox, mut inbox)) = echo(&ours);
        bencher.iter(|| {
            for message in 0..MESSAGES {
                outbox.try_send(message).expect("there is room");
            }
            outbox.ring();
            let mut back = 0;
            while back < MESSAGES {
                ours.begin_turn();
                while inbox.try_receive().is_some() {
                    back += 1;
                }
                inbox.release();
                if back < MESSAGES && ours.may_rest() {
                    thread::park();
                }
            }
        });
        outbox.try_send(STOP).expect("there is room");
        outbox.ring();
        handle.join().expect("the other thread ends");
    });
    group.finish();
}

type Ends = (weir::worker::Outbox<u64>, weir::worker::Inbox<u64>);

/// A thread that sends back what it gets, until nobody sends any more.
fn echo(ours: &Arc<Doorbell>) -> (thread::JoinHandle<()>, Ends) {
    let (ends, theirs) = std::sync::mpsc::channel();
    let ours = Arc::clone(ours);
    let handle = thread::spawn(move || {
        let bell = Arc::new(Doorbell::new(thread::current()));
        let (mut to_us, mut inbox) = mailbox(CAPACITY, &bell, &[Arc::clone(&ours)]);
        let (mut to_them, their_inbox) = mailbox(CAPACITY, &ours, &[Arc::clone(&bell)]);
        let mut outbox = to_them.remove(0);
        ends.send((to_us.remove(0), their_inbox)).expect("the bench waits");
        loop {
            bell.begin_turn();
            while let Some(message) = inbox.try_receive() {
                if message == STOP {
                    return;
                }
                outbox.try_send(message).expect("no more are under way than fit");
            }
            inbox.release();
            outbox.ring();
            if bell.may_rest() {
                thread::park();
            }
        }
    });
    (handle, theirs.recv().expect("the thread makes the mailboxes"))
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
