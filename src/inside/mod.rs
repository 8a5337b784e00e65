//! The doors from the control thread into the broker, for all that lives there: HTTP now, others
//! later. `workers` puts mail into the workers' mailboxes; `link` is a TCF channel to a worker
//! through a pair of sockets, so that whoever wants bytes is a reader or a writer like any other,
//! with the same accounts, bounds and rules, and no worker knows who it is.

#[cfg(unix)]
mod link;
mod workers;

#[cfg(unix)]
pub(crate) use link::{Link, LinkError};
pub(crate) use workers::{ANSWER_TIMEOUT, Silent};
pub use workers::{Workers, bell};
