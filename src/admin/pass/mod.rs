//! One pass over the rows of all workers, which answers all who wait for it. `source` goes through
//! the rows a piece at a time and makes text of them, `passes` says who takes part in which pass,
//! and what happens to those who take their answer slowly.

mod order;
mod passes;
mod source;

pub(crate) use passes::Passes;
pub(crate) use source::Wanted;
