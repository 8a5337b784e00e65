//! Who takes part in which pass.
//!
//! All who want the same share one pass: those who come while it is under way wait for the next. A
//! pass goes on as fast as they take their answers. Whoever takes nothing while the others do is
//! left behind and goes on alone, from where it is, so that it holds up nobody and loses nothing;
//! whoever takes nothing at all for a long time is cut off.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::admin::About;
use crate::admin::body::{Piece, growing_noticed};
use crate::admin::gather::Gather;
use crate::admin::pass::source::{Source, Wanted};
use crate::admin::serving::Peer;
use crate::inside::Silent;

/// Passes under way at once; others wait for one to end. Each holds a few pieces of text.
const PASSES_MAX: usize = 4;

/// How long a pass waits for somebody while none of its members takes anything.
const GAP: Duration = Duration::from_millis(250);

/// How long one pass waits so in all.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long somebody may take nothing of an answer before it is cut off.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of text that wait for those who were left behind, in units of [`UNIT_BYTES`].
const SLOW_UNITS_MAX: usize = (16 << 20) / UNIT_BYTES;
const UNIT_BYTES: usize = 1 << 10;

/// All passes.
#[derive(Clone, Debug)]
pub(crate) struct Passes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gather: Gather,
    about: Arc<About>,
    /// Those who wait for the next pass of a kind. A kind that is here has a pass under way, or is
    /// about to. Bounded by the HTTP connections.
    waiting: Mutex<FxHashMap<Wanted, Vec<Member>>>,
    under_way: Semaphore,
    /// Told when somebody has taken a piece.
    taken: Arc<Notify>,
    /// For the text of those who go on alone.
    slow: Arc<Semaphore>,
    /// Held by the one of them that makes text, until there is room for it.
    slow_turn: tokio::sync::Mutex<()>,
}

/// Somebody who gets an answer.
#[derive(Debug)]
struct Member {
    pieces: Sender<Piece>,
    /// Tells that the answer begins, or why it does not.
    begun: Option<oneshot::Sender<Result<(), Silent>>>,
    peer: Peer,
}

/// Text that counts until it is gone.
struct Charged {
    text: Bytes,
    _permit: OwnedSemaphorePermit,
    /// Dropped with it, so that somebody learns of it.
    _gone: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Passes {
    pub(crate) fn new(gather: Gather, about: Arc<About>) -> Passes {
        Passes(Arc::new(Inner {
            gather,
            about,
            waiting: Mutex::default(),
            under_way: Semaphore::new(PASSES_MAX),
            taken: Arc::default(),
            slow: Arc::new(Semaphore::new(SLOW_UNITS_MAX)),
            slow_turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Takes part in the next pass. Returns when it begins, with the answer's body.
    ///
    /// # Errors
    /// [`Silent`]: a worker does not answer.
    pub(crate) async fn take_part(&self, wanted: Wanted, peer: Peer) -> Result<Body, Silent> {
        let (pieces, body) = growing_noticed(Some(Arc::clone(&self.0.taken)));
        let (begun, beginning) = oneshot::channel();
        let member = Member { pieces, begun: Some(begun), peer };
        let must_begin = {
            let mut waiting = self.0.waiting.lock();
            let is_known = waiting.contains_key(&wanted);
            waiting.entry(wanted).or_default().push(member);
            !is_known
        };
        if must_begin {
            // In a task of its own: whoever came first may leave first.
            tokio::spawn(Arc::clone(&self.0).run(wanted));
        }
        match beginning.await {
            Ok(Ok(())) => Ok(body),
            Ok(Err(silent)) => Err(silent),
            Err(_) => Err(Silent(crate::id::WorkerId(0))),
        }
    }
}

impl Inner {
    /// One pass after the other, as long as somebody waits for one of this kind.
    async fn run(self: Arc<Self>, wanted: Wanted) {
        loop {
            let _permit = self.under_way.acquire().await.expect("it is never closed");
            let members = {
                let mut waiting = self.waiting.lock();
                match waiting.get_mut(&wanted).map(std::mem::take) {
                    Some(members) if !members.is_empty() => members,
                    _ => {
                        waiting.remove(&wanted);
                        return;
                    }
                }
            };
            self.pass(wanted, members).await;
        }
    }

    async fn pass(self: &Arc<Self>, wanted: Wanted, mut members: Vec<Member>) {
        let mut source = Source::new(self.gather.clone(), Arc::clone(&self.about), wanted);
        let mut patience = PATIENCE;
        loop {
            let text = match source.next().await {
                Ok(text) => text,
                Err(silent) => return members.into_iter().for_each(|member| member.fail(&silent)),
            };
            for member in self.wait_for_room(&mut members, &mut patience).await {
                let (source, text) = (source.clone(), text.clone());
                tokio::spawn(Arc::clone(self).go_on_alone(member, source, text));
            }
            let piece = || text.clone().map_or_else(Piece::end, Piece::Bytes);
            // One that has no room is gone: the others were waited for.
            members.retain_mut(|member| {
                member.begin();
                member.pieces.try_send(piece()).is_ok()
            });
            if text.is_none() || members.is_empty() {
                return;
            }
        }
    }

    /// Waits until all members have taken the last piece. Takes out those who do not.
    async fn wait_for_room(
        &self,
        members: &mut Vec<Member>,
        patience: &mut Duration,
    ) -> Vec<Member> {
        let late = |members: &[Member]| members.iter().filter(|member| member.is_late()).count();
        let mut before = usize::MAX;
        let mut deadline = Instant::now() + GAP.min(*patience);
        loop {
            let taken = self.taken.notified();
            let mut taken = std::pin::pin!(taken);
            taken.as_mut().enable();
            let now_late = late(members);
            if now_late == 0 {
                return Vec::new();
            }
            if now_late < before {
                before = now_late;
                deadline = Instant::now() + GAP.min(*patience);
            }
            if timeout_at(deadline, taken).await.is_err() && late(members) == now_late {
                *patience = patience.saturating_sub(GAP);
                let all = std::mem::take(members).into_iter();
                let (behind, others) = all.partition(Member::is_late);
                *members = others;
                return behind;
            }
        }
    }

    /// Gives one member what is still to come, as slowly as it takes it.
    async fn go_on_alone(
        self: Arc<Self>,
        mut member: Member,
        mut source: Source,
        text: Option<Bytes>,
    ) {
        member.begin();
        let mut next = match text {
            Some(text) => Some(self.charge(text).await),
            None => None,
        };
        let mut gone = None;
        loop {
            let piece = match next.take() {
                Some((text, text_gone)) => {
                    gone = Some(text_gone);
                    Piece::Bytes(text)
                }
                None => Piece::end(),
            };
            let is_last = matches!(piece, Piece::End(_));
            match timeout(STALL_TIMEOUT, member.pieces.send(piece)).await {
                Ok(Ok(())) if !is_last => {}
                Ok(Ok(())) => break,
                Ok(Err(_)) => return,
                Err(_) => return member.peer.cut(),
            }
            let _turn = self.slow_turn.lock().await;
            next = match source.next().await {
                Ok(Some(text)) => Some(self.charge(text).await),
                Ok(None) => None,
                Err(silent) => return member.fail(&silent),
            };
        }
        // The last piece counts until the connection has sent it.
        if let Some(gone) = gone
            && timeout(STALL_TIMEOUT, gone).await.is_err()
        {
            member.peer.cut();
        }
    }

    /// Text that counts among that of the slow ones; waits until there is room for it.
    async fn charge(&self, text: Bytes) -> (Bytes, oneshot::Receiver<()>) {
        let units = text.len().div_ceil(UNIT_BYTES).min(SLOW_UNITS_MAX);
        let units = u32::try_from(units).expect("the bound is small");
        let permit = Arc::clone(&self.slow).acquire_many_owned(units).await;
        let _permit = permit.expect("it is never closed");
        let (_gone, gone) = oneshot::channel();
        (Bytes::from_owner(Charged { text, _permit, _gone }), gone)
    }
}

impl Member {
    fn is_late(&self) -> bool {
        self.pieces.capacity() == 0 && !self.pieces.is_closed()
    }

    fn begin(&mut self) {
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(Ok(()));
        }
    }

    /// Says why there is no answer, or breaks it off: what is dropped without an end is not whole.
    fn fail(self, silent: &Silent) {
        if let Some(begun) = self.begun {
            let _ = begun.send(Err(silent.clone()));
        }
    }
}
