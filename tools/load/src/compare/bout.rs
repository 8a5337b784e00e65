//! Measuring in turns.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use weir::bench::{self, Report};

use crate::compare::rows::Figure;
use crate::compare::{Contender, Row, Server, median};

/// What one contender has shown on one row, round by round.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub Vec<Report>);

impl Samples {
    /// The median of a figure; NaN where there is none.
    pub fn median(&self, figure: Figure) -> f64 {
        let values: Vec<f64> = self.0.iter().map(|report| figure.of(report)).collect();
        median(&values)
    }

    /// The median of anything else.
    pub fn median_of(&self, of: impl Fn(&Report) -> f64) -> f64 {
        let values: Vec<f64> = self.0.iter().map(of).collect();
        median(&values)
    }
}

/// Rows, and what everybody has shown on them.
#[derive(Debug)]
pub struct Bout {
    /// The rows.
    pub rows: Vec<Row>,
    samples: HashMap<(usize, Contender), Samples>,
}

impl Bout {
    /// Measures every row on each of its contenders, so many rounds. In each round everybody has
    /// a turn on a row before the next row, and each round another begins.
    ///
    /// # Errors
    /// A load failed.
    pub fn measure(
        rows: Vec<Row>,
        servers: &[Server],
        rounds: usize,
        measured: Duration,
    ) -> Result<Bout> {
        let mut samples: HashMap<(usize, Contender), Samples> = HashMap::new();
        for round in 0..rounds {
            for (index, row) in rows.iter().enumerate() {
                let count = row.contenders.len();
                for turn in 0..count {
                    let contender = row.contenders[(turn + round) % count];
                    let server = servers.iter().find(|server| server.contender == contender);
                    let server = server.context("every contender has a server")?;
                    let plan = row.plan(measured, server.pid);
                    let mut protocol = server.protocol(row.options);
                    let report = bench::run(protocol.as_mut(), &plan)
                        .with_context(|| format!("{}, {}", row.name, contender.name()))?;
                    tell(round, rounds, row, contender, &report);
                    samples.entry((index, contender)).or_default().0.push(report);
                }
            }
        }
        Ok(Bout { rows, samples })
    }

    /// What a contender has shown on a row.
    pub fn samples(&self, row: usize, contender: Contender) -> Option<&Samples> {
        self.samples.get(&(row, contender))
    }

    /// The medians' ratio: one contender's figure divided by another's.
    pub fn ratio(
        &self,
        row: usize,
        figure: Figure,
        contender: Contender,
        against: Contender,
    ) -> f64 {
        let of = |who| self.samples(row, who).map_or(f64::NAN, |samples| samples.median(figure));
        of(contender) / of(against)
    }
}

fn tell(round: usize, rounds: usize, row: &Row, contender: Contender, report: &Report) {
    let cost = row.cost();
    eprintln!(
        "round {} of {rounds}: {}: {}: {:.1} MB/s, {:.0} writes/s, p50 {:.1} us, {} {:.3}, \
         generator {:.0} %",
        round + 1,
        row.name,
        contender.name(),
        report.bytes_per_second / 1e6,
        report.writes_per_second,
        report.round.p50_us,
        cost.name(),
        cost.of(report),
        report.generator_cpu * 100.0
    );
}
