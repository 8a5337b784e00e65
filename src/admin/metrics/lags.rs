//! The readers that are furthest behind, for metrics.

use std::time::Duration;

use crate::admin::gather::{Gather, Summary};
use crate::inside::Silent;
use crate::stream::{Gauges, Lag};

/// How far behind the readers are that are furthest behind, and how old what waits for them is; the
/// furthest first. The age is known where the stream lives.
///
/// # Errors
/// [`Silent`]: a worker does not answer.
pub(crate) async fn largest(
    gather: &Gather,
    summary: &Summary,
) -> Result<Vec<(u64, Duration)>, Silent> {
    let mut lags: Vec<Lag> =
        summary.iter().flat_map(|worker| &worker.gauges.engine.lags).copied().collect();
    lags.sort_unstable_by_key(|lag| std::cmp::Reverse(*lag));
    lags.truncate(Gauges::LAGS_MAX);
    let mut largest = Vec::with_capacity(lags.len());
    for Lag { bytes, stream, position } in lags {
        let age = match bytes {
            0 => None,
            _ => {
                let home = gather.workers().home(stream);
                let (now, rows, _) = gather.rows_of(home, vec![stream]).await?;
                rows.first().and_then(|row| row.marks.age(now, position))
            }
        };
        largest.push((bytes, age.unwrap_or_default()));
    }
    Ok(largest)
}
