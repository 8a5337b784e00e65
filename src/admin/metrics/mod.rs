//! `GET /metrics`: numbers for Prometheus, in the OpenMetrics text format.
//!
//! Nothing is counted here: the workers' copies become samples when somebody scrapes. `families`
//! says which metrics there are, `docs/METRICS.md` what they mean. No label holds what a peer or a
//! stream is called, and stream types only up to a bound, so that the number of series stays small.

mod families;
pub(crate) mod lags;
mod names;
pub(crate) mod plain;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use crate::admin::gather::Summary;
use crate::stats::Histogram;

use names::Names;

/// What the answer is, for `Content-Type`.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes answers. Remembers which stream types have a name in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    names: Arc<Mutex<Names>>,
}

/// One metric and its samples.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: Samples,
}

type Labels = Vec<(&'static str, String)>;

/// A sample's value. Counts stay whole numbers, however large.
#[derive(Clone, Copy, Debug)]
enum Number {
    Count(u64),
    Measure(f64),
}

#[derive(Debug)]
enum Samples {
    Counter(Vec<(Labels, Number)>),
    Gauge(Vec<(Labels, Number)>),
    /// The histogram, and what one of a metric's units is in the histogram's.
    Histogram(Histogram, f64),
    Info(Labels),
}

/// What is encoded once.
#[derive(Debug)]
struct Copies(Vec<Family>);

impl Metrics {
    /// The answer's text.
    pub(crate) fn text(
        &self,
        summary: &Summary,
        lags: &[(u64, Duration)],
        uptime: Duration,
    ) -> String {
        let mut families = families::of_workers(summary, &mut self.names.lock());
        families.extend(families::of_rows(summary, lags, uptime));
        families.extend(process::families());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Copies(families)));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes every text");
        text
    }
}

impl Collector for Copies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kind = match self.samples {
            Samples::Counter(_) => MetricType::Counter,
            Samples::Gauge(_) => MetricType::Gauge,
            Samples::Histogram(..) => MetricType::Histogram,
            Samples::Info(_) => MetricType::Info,
        };
        let unit = self.unit.as_ref();
        let mut encoder = encoder.encode_descriptor(self.name, self.help, unit, kind)?;
        match &self.samples {
            Samples::Counter(samples) => samples.iter().try_for_each(|(labels, value)| {
                // Without labels there are to be no braces either.
                match labels.is_empty() {
                    true => value.encode_counter(&mut encoder),
                    false => value.encode_counter(&mut encoder.encode_family(labels)?),
                }
            }),
            Samples::Gauge(samples) => {
                samples.iter().try_for_each(|(labels, value)| match labels.is_empty() {
                    true => value.encode_gauge(&mut encoder),
                    false => value.encode_gauge(&mut encoder.encode_family(labels)?),
                })
            }
            Samples::Histogram(histogram, per_unit) => {
                let buckets: Vec<(f64, u64)> = histogram
                    .buckets()
                    .map(|(bound, count)| {
                        (bound.map_or(f64::INFINITY, |bound| bound as f64 / per_unit), count)
                    })
                    .collect();
                let sum = histogram.sum() as f64 / per_unit;
                encoder.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
            }
            Samples::Info(labels) => encoder.encode_info(labels),
        }
    }
}

impl Number {
    fn encode_counter(self, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let no_exemplar: Option<&Exemplar<NoLabelSet, f64>> = None;
        match self {
            Number::Count(count) => encoder.encode_counter(&count, no_exemplar),
            Number::Measure(value) => encoder.encode_counter(&value, no_exemplar),
        }
    }

    fn encode_gauge(self, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Number::Count(count) => encoder.encode_gauge(&count),
            Number::Measure(value) => encoder.encode_gauge(&value),
        }
    }
}
