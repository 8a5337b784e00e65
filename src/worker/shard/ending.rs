//! How a channel comes to its end: what came before is answered, then our end of stream leaves.

use crate::id::ChannelId;
use crate::time::Now;
use crate::wire::ErrorReport;
use crate::worker::shard::Shard;

impl Shard {
    /// Begins the end of a channel whose peer has said its last. What came before counts, so it is
    /// first answered as far as it can be: that takes until a turn gives the channel nothing more.
    pub(super) fn end(&mut self, now: Now, channel: ChannelId, report: Option<ErrorReport>) {
        self.forget_hello_deadline(channel);
        let Some(peer) = self.peers.get_mut(channel) else { return };
        if peer.endpoint.finish(report) {
            peer.begin_answering();
            self.answering.push(channel);
            self.mark_ready(channel);
            self.expect_end(now, channel);
        }
    }

    /// The peer will send nothing more, though not all that it sent has been taken in: from now on
    /// it is to take in what waits for it. A paused channel is not read, so nothing else would tell
    /// that the peer is gone for good.
    pub fn expect_end(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        if !peer.has_end_deadline {
            peer.has_end_deadline = true;
            peer.sent_at_check = peer.endpoint.outbound.output.sent_bytes();
            let deadline = now.instant.plus(self.limits.linger_timeout);
            self.end_deadlines.push_back((deadline, channel));
        }
    }

    /// Ends a channel: once the core has answered what pends, our end of stream leaves.
    pub(super) fn end_now(&mut self, now: Now, channel: ChannelId, report: Option<ErrorReport>) {
        self.end(now, channel, report);
        self.stop_answering(now, channel);
    }

    fn stop_answering(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        if peer.stop_answering() {
            self.engine.finish(now.instant, channel);
            self.take_effects(now);
        }
    }

    /// Goes on with the ends that are under way, after a turn's answers.
    pub(super) fn go_on_ending(&mut self, now: Now) {
        for channel in std::mem::take(&mut self.answering) {
            let Some(peer) = self.peers.get_mut(channel) else { continue };
            if peer.may_get_more() {
                self.answering.push(channel);
            } else {
                self.stop_answering(now, channel);
            }
        }
    }

    /// Drops the first deadlines where their channels are gone.
    pub(super) fn forget_end_deadlines(&mut self) {
        while let Some((_, channel)) = self.end_deadlines.front()
            && self.peers.get(*channel).is_none()
        {
            self.end_deadlines.pop_front();
        }
    }

    /// Gives up the ends whose peers have taken nothing in for the linger timeout. What a slow peer
    /// takes in, however little, gives it the whole time again.
    pub(super) fn abandon_stuck_ends(&mut self, now: Now) {
        while let Some(&(deadline, channel)) = self.end_deadlines.front() {
            if deadline > now.instant {
                break;
            }
            self.end_deadlines.pop_front();
            let Some(peer) = self.peers.get_mut(channel) else { continue };
            let sent = peer.endpoint.outbound.output.sent_bytes();
            // With nothing unsent it is not the peer that the end waits for.
            if sent > peer.sent_at_check || peer.endpoint.outbound.output.is_empty() {
                peer.sent_at_check = sent;
                let deadline = now.instant.plus(self.limits.linger_timeout);
                self.end_deadlines.push_back((deadline, channel));
                continue;
            }
            let unsent = peer.endpoint.outbound.output.len();
            let seconds = self.limits.linger_timeout.as_secs_f64();
            let text = "gave the channel up at its end: the peer takes nothing in";
            tracing::info!(
                worker = %self.me, %channel, peer = %peer.address, bytes = unsent, seconds,
                knob = "limits.linger_timeout", "{text}"
            );
            self.abort(now, channel);
            self.given_up += 1;
            self.abandoned.push_back(channel);
        }
    }
}
