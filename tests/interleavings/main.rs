//! The mailbox and bell protocol, its very source, under a scheduler that tries the orders in which
//! threads may step: no message is lost, nobody sleeps over mail or room, and full mailboxes do not
//! deadlock. A run in which everybody sleeps is a deadlock, which the scheduler reports with the
//! schedule that replays it.

mod protocol;
mod worker;
