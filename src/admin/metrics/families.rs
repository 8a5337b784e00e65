//! Which metrics there are.

use std::collections::BTreeMap;

use prometheus_client::registry::Unit;

use crate::admin::metrics::names::{Names, OTHER};
use crate::admin::metrics::{Family, Labels, Number, Samples};
use crate::admin::snapshot::Snapshot;
use crate::id::Door;
use crate::stats::Histogram;
use crate::stream::{Policy, TypeTraffic};
use crate::worker::WorkerReport;

/// Readers with the largest lags that have a series of their own.
const RANKS_MAX: usize = 5;

/// Something that a worker counts.
type Count = fn(&WorkerReport) -> u64;

const NANOSECONDS: f64 = 1e9;

fn counter(name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) -> Family {
    let samples =
        samples.into_iter().map(|(labels, value)| (labels, Number::Count(value))).collect();
    Family { name, help, unit: None, samples: Samples::Counter(samples) }
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) -> Family {
    let samples =
        samples.into_iter().map(|(labels, value)| (labels, Number::Count(value))).collect();
    Family { name, help, unit: None, samples: Samples::Gauge(samples) }
}

impl Family {
    fn of_unit(self, unit: Unit) -> Family {
        Family { unit: Some(unit), ..self }
    }
}

/// What the workers count themselves.
pub(super) fn of_workers(reports: &[WorkerReport], names: &mut Names) -> Vec<Family> {
    let mut families = of_types(reports, names);
    families.extend(of_each_worker(reports));
    families.extend(of_failures(reports));
    families.extend(histograms(reports));
    families
}

fn of_types(reports: &[WorkerReport], names: &mut Names) -> Vec<Family> {
    let mut types: BTreeMap<String, TypeTraffic> = BTreeMap::new();
    // Always there, so that a query never finds nothing.
    types.insert(OTHER.to_owned(), TypeTraffic::default());
    for report in reports {
        let traffic = &report.shard.engine.traffic;
        for (name, counts) in traffic.named() {
            types.entry(names.label(name).to_owned()).or_default().add(counts);
        }
        types.entry(OTHER.to_owned()).or_default().add(traffic.others());
    }
    let each = |of: fn(&TypeTraffic) -> u64| -> Vec<(Labels, u64)> {
        types.iter().map(|(name, traffic)| (vec![("type", name.clone())], of(traffic))).collect()
    };
    let (mut delivered, mut lost) = (Vec::new(), Vec::new());
    for (name, traffic) in &types {
        for door in Door::ALL {
            let labels = vec![("type", name.clone()), ("front", door.as_str().to_owned())];
            delivered.push((labels, traffic.delivery.delivered_through(door)));
        }
        for policy in Policy::ALL {
            let labels = vec![("type", name.clone()), ("policy", policy.as_str().to_owned())];
            lost.push((labels, traffic.delivery.lost_under(policy)));
        }
    }
    vec![
        gauge("weir_streams", "Streams.", each(|traffic| traffic.streams)),
        counter("weir_ingest", "Bytes that came into streams.", each(|t| t.accepted_bytes))
            .of_unit(Unit::Bytes),
        counter("weir_delivered", "Bytes that went to readers.", delivered).of_unit(Unit::Bytes),
        counter("weir_lost", "Bytes that readers have lost.", lost).of_unit(Unit::Bytes),
        gauge("weir_ring", "Bytes that streams keep.", each(|traffic| traffic.buffered_bytes))
            .of_unit(Unit::Bytes),
        gauge("weir_ring_limit", "Bytes that streams may keep.", each(|t| t.buffer_bytes))
            .of_unit(Unit::Bytes),
    ]
}

fn of_each_worker(reports: &[WorkerReport]) -> Vec<Family> {
    let label = |report: &WorkerReport| vec![("worker", report.worker.to_string())];
    let each = |of: fn(&WorkerReport) -> u64| -> Vec<(Labels, u64)> {
        reports.iter().map(|report| (label(report), of(report))).collect()
    };
    let exact = |of: fn(&WorkerReport) -> f64| -> Vec<(Labels, Number)> {
        reports.iter().map(|report| (label(report), Number::Measure(of(report)))).collect()
    };
    vec![
        counter("weir_commands", "Commands received.", each(|r| r.shard.commands)),
        counter(
            "weir_command_errors",
            "Commands answered with an error, or not known.",
            each(|r| r.shard.errors),
        ),
        counter("weir_received", "Bytes read from sockets.", each(|r| r.counters.received_bytes))
            .of_unit(Unit::Bytes),
        counter("weir_sent", "Bytes written to sockets.", each(|r| r.counters.sent_bytes))
            .of_unit(Unit::Bytes),
        counter("weir_channels_opened", "Channels opened.", each(|r| r.shard.channels_opened)),
        counter(
            "weir_stalls",
            "Readers that stalled past their timeout and were left behind.",
            each(|r| r.shard.engine.stalls),
        ),
        counter("weir_turns", "Turns of the worker's loop.", each(|r| r.counters.turns)),
        Family {
            name: "weir_busy",
            help: "Time that the worker did not wait.",
            unit: Some(Unit::Seconds),
            samples: Samples::Counter(exact(|r| r.counters.busy.as_secs_f64())),
        },
        Family {
            name: "weir_busy_ratio",
            help: "The share of the last second that the worker was busy.",
            unit: None,
            samples: Samples::Gauge(exact(|r| r.busy_ratio)),
        },
        gauge("weir_mailbox_messages", "Messages that wait for it.", each(|r| r.inbox_mail as u64)),
        gauge(
            "weir_held",
            "What counts against the memory limit.",
            each(|r| r.shard.engine.held_bytes),
        )
        .of_unit(Unit::Bytes),
        gauge(
            "weir_held_limit",
            "The worker's share of the memory limit.",
            each(|r| r.shard.engine.held_bytes_max),
        )
        .of_unit(Unit::Bytes),
    ]
}

fn of_failures(reports: &[WorkerReport]) -> Vec<Family> {
    let reasons: [(&str, Count); 4] = [
        ("broken", |r| r.counters.broken.saturating_sub(r.shard.abandoned)),
        ("bad_input", |r| r.shard.malformed),
        ("no_hello", |r| r.shard.without_hello),
        ("stuck", |r| r.shard.abandoned),
    ];
    let sum = |of: Count| reports.iter().map(of).sum();
    let samples = reasons.map(|(reason, of)| (vec![("reason", reason.to_owned())], sum(of)));
    let help = "Channels that did not end in good order.";
    vec![counter("weir_channels_failed", help, samples.to_vec())]
}

fn histograms(reports: &[WorkerReport]) -> Vec<Family> {
    let merged = |of: fn(&WorkerReport) -> Option<Histogram>| {
        let mut all = reports.iter().filter_map(of);
        let first = all.next();
        first.map(|mut first| {
            all.for_each(|other| first.merge(&other));
            first
        })
    };
    let kinds: [(&str, &str, Unit, f64, Option<Histogram>); 3] = [
        (
            "weir_parked_write",
            "How long writes waited for space.",
            Unit::Seconds,
            NANOSECONDS,
            merged(|r| r.shard.engine.park_time),
        ),
        (
            "weir_reader_lag",
            "What waited for a reader when a read of it was answered.",
            Unit::Bytes,
            1.0,
            merged(|r| r.shard.engine.reader_lag),
        ),
        (
            "weir_turn",
            "How long turns of workers took.",
            Unit::Seconds,
            NANOSECONDS,
            merged(|r| Some(r.counters.turn_time.0)),
        ),
    ];
    let family = |(name, help, unit, per_unit, histogram): (_, _, _, _, Option<Histogram>)| {
        let samples = Samples::Histogram(histogram?, per_unit);
        Some(Family { name, help, unit: Some(unit), samples })
    };
    kinds.into_iter().filter_map(family).collect()
}

/// What the joined numbers say.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> Vec<Family> {
    let summary = snapshot.summary(RANKS_MAX);
    let one = |value: u64| vec![(Vec::new(), value)];
    let by_front = |values: [u64; 2]| -> Vec<(Labels, u64)> {
        let labels = Door::ALL.map(|door| vec![("front", door.as_str().to_owned())]);
        labels.into_iter().zip(values).collect()
    };
    let ranked = |of: fn(&(u64, u64)) -> Number| -> Vec<(Labels, Number)> {
        let lags = summary.largest_lags.iter().enumerate();
        lags.map(|(index, lag)| (vec![("rank", (index + 1).to_string())], of(lag))).collect()
    };
    let exact = |name, help, unit, samples| Family {
        name,
        help,
        unit: Some(unit),
        samples: Samples::Gauge(samples),
    };
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    vec![
        gauge("weir_channels", "Open channels.", by_front(summary.channels)),
        gauge("weir_readers", "Readers of streams.", by_front(summary.readers)),
        gauge("weir_readers_lagging", "Readers left behind.", one(summary.lagging)),
        gauge("weir_readers_stalled", "Readers that hold a full stream.", one(summary.stalled)),
        gauge("weir_streams_full", "Streams in which writes wait.", one(summary.full)),
        gauge("weir_parked_writes", "Writes that wait for space.", one(summary.parked_writes)),
        gauge("weir_parked", "Bytes of writes that wait.", one(summary.parked_bytes))
            .of_unit(Unit::Bytes),
        gauge("weir_parked_reads", "Reads that wait for bytes.", one(summary.parked_reads)),
        gauge("weir_unsent", "Bytes that wait for sockets.", one(summary.unsent_bytes))
            .of_unit(Unit::Bytes),
        exact(
            "weir_largest_lag",
            "Lag of the readers that are furthest back, the furthest first.",
            Unit::Bytes,
            ranked(|(bytes, _)| Number::Count(*bytes)),
        ),
        exact(
            "weir_largest_lag",
            "Age of what waits for these readers.",
            Unit::Seconds,
            ranked(|(_, ms)| Number::Measure(*ms as f64 / 1000.0)),
        ),
        exact(
            "weir_uptime",
            "Since the broker's start.",
            Unit::Seconds,
            vec![(Vec::new(), Number::Measure(summary.uptime_ms as f64 / 1000.0))],
        ),
        Family {
            name: "weir_build",
            help: "Which broker this is.",
            unit: None,
            samples: Samples::Info(version),
        },
    ]
}
