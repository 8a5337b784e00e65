//! One pass over the rows of all workers, which answers all who wait for it. `source` goes through
//! the rows a piece at a time and makes text of them; `readers` and `channels` have their part of
//! that. `passes` says who takes part in which pass, and what happens to those who take their
//! answer slowly.

mod channels;
mod order;
mod passes;
mod readers;
mod source;

pub(crate) use passes::Passes;
pub(crate) use source::Wanted;
