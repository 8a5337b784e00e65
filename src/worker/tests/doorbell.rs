//! One bell, step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::worker::{Doorbell, Wake};

struct Count(Arc<AtomicUsize>);

impl Wake for Count {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn many_rings_wake_a_sleeper_once_and_one_awake_never() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let bell = Doorbell::new(Count(Arc::clone(&wakes)));
    bell.ring();
    bell.ring();
    assert_eq!(wakes.load(Ordering::Relaxed), 0);
    assert!(!bell.may_rest(), "somebody rang since the turn began");
    bell.begin_turn();
    assert!(bell.may_rest());
    bell.ring();
    bell.ring();
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
    bell.begin_turn();
    assert!(bell.may_rest());
}
