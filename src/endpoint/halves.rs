//! Both halves of one peer, where one thread drives them.

use crate::endpoint::{Inbound, Outbound, Pauses};
use crate::wire::{ErrorReport, WireLimits};

/// One peer.
#[derive(Debug)]
pub struct Endpoint<N> {
    /// What it says.
    pub inbound: Inbound,
    /// What is said to it.
    pub outbound: Outbound<N>,
    /// Why it is not read now.
    pub pauses: Pauses,
    /// What our end of stream will tell, once what pends is answered.
    report: Option<ErrorReport>,
}

/// Bytes that an endpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Of a message under way.
    pub receiving: u64,
    /// That wait to be sent, in whole units of `COUNTED_EACH`.
    pub unsent: u64,
}

/// The unit in which unsent bytes are counted: an ordinary reply is none, and costs no counting.
const COUNTED_EACH: usize = 1 << 10;

impl<N> Endpoint<N> {
    /// A new channel; our Hello is in its output.
    pub fn open(services: &[&str], limits: &WireLimits) -> Endpoint<N> {
        Endpoint {
            inbound: Inbound::new(limits),
            outbound: Outbound::new(services),
            pauses: Pauses::default(),
            report: None,
        }
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (Inbound, Outbound<N>) {
        (self.inbound, self.outbound)
    }

    /// Whether further bytes of the peer are to be read.
    pub fn wants_input(&self) -> bool {
        self.inbound.takes_input() && self.pauses.is_empty()
    }

    /// Lets no further input count. Whoever drives the endpoint answers what pends, then calls
    /// [`Endpoint::close`], which tells the report. False where the end had begun before; its
    /// report stays.
    pub fn finish(&mut self, report: Option<ErrorReport>) -> bool {
        let begins = self.inbound.stop();
        if begins {
            self.report = report;
        }
        begins
    }

    /// Queues our end of stream, once. Nothing counts any more in either direction.
    pub fn close(&mut self) {
        self.inbound.stop();
        self.outbound.end(self.report.as_ref());
    }

    /// Whether our end of stream is queued, or has left.
    pub fn is_closed(&self) -> bool {
        self.outbound.is_ended()
    }

    /// What it holds now that nobody else has.
    pub fn held(&self) -> Held {
        Held {
            receiving: self.inbound.held_bytes() as u64,
            unsent: (self.outbound.output.own_bytes() / COUNTED_EACH * COUNTED_EACH) as u64,
        }
    }
}
