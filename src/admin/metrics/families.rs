//! Which metrics there are.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::registry::Unit;

use crate::admin::gather::{Summary, WorkerSummary};
use crate::admin::metrics::names::{Names, OTHER};
use crate::admin::metrics::{Family, Labels, Number, Samples};
use crate::id::Door;
use crate::stats::Histogram;
use crate::stream::{Held, Policy, TypeSlot, TypeTraffic};
use crate::worker::{ShardGauges, WorkerTotals};

/// Something that a worker counts.
type Count = fn(&WorkerTotals) -> u64;

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
pub(super) fn of_workers(summary: &Summary, names: &mut Names) -> Vec<Family> {
    let mut families = of_types(summary, names);
    families.extend(of_each_worker(summary));
    families.extend(of_failures(summary));
    families.extend(histograms(summary));
    families
}

fn of_types(summary: &Summary, names: &mut Names) -> Vec<Family> {
    let mut types: BTreeMap<String, (TypeTraffic, Held)> = BTreeMap::new();
    // Always there, so that a query never finds nothing.
    types.insert(OTHER.to_owned(), Default::default());
    for WorkerSummary { totals, gauges } in summary {
        let (traffic, held) = (&totals.shard.engine.traffic, &gauges.engine.held);
        let others = (OTHER, TypeSlot::OTHERS, traffic.others());
        let named = traffic.named().map(|(name, slot, counts)| (names.label(name), slot, counts));
        let all: Vec<(&str, TypeSlot, &TypeTraffic)> = named.chain([others]).collect();
        for (label, slot, counts) in all {
            let (sum, now) = types.entry(label.to_owned()).or_default();
            sum.add(counts);
            now.add(held.of(slot));
        }
    }
    let each = |of: fn(&(TypeTraffic, Held)) -> u64| -> Vec<(Labels, u64)> {
        types.iter().map(|(name, counts)| (vec![("type", name.clone())], of(counts))).collect()
    };
    let (mut delivered, mut lost) = (Vec::new(), Vec::new());
    for (name, (traffic, _)) in &types {
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
        gauge("weir_streams", "Streams.", each(|(_, held)| held.streams)),
        counter("weir_ingest", "Bytes that came into streams.", each(|(t, _)| t.accepted_bytes))
            .of_unit(Unit::Bytes),
        counter("weir_delivered", "Bytes that went to readers.", delivered).of_unit(Unit::Bytes),
        counter("weir_lost", "Bytes that readers have lost.", lost).of_unit(Unit::Bytes),
        gauge("weir_ring", "Bytes that streams keep.", each(|(_, held)| held.buffered_bytes))
            .of_unit(Unit::Bytes),
        gauge(
            "weir_ring_limit",
            "Bytes that streams may keep.",
            each(|(_, held)| held.buffer_bytes),
        )
        .of_unit(Unit::Bytes),
    ]
}

fn of_each_worker(summary: &Summary) -> Vec<Family> {
    let label = |worker: &WorkerSummary| vec![("worker", worker.totals.worker.to_string())];
    let each = |of: fn(&WorkerTotals) -> u64| -> Vec<(Labels, u64)> {
        summary.iter().map(|worker| (label(worker), of(&worker.totals))).collect()
    };
    let exact = |of: fn(&WorkerTotals) -> f64| -> Vec<(Labels, Number)> {
        summary.iter().map(|worker| (label(worker), Number::Measure(of(&worker.totals)))).collect()
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

fn of_failures(summary: &Summary) -> Vec<Family> {
    let reasons: [(&str, Count); 4] = [
        ("broken", |r| r.counters.broken.saturating_sub(r.shard.abandoned)),
        ("bad_input", |r| r.shard.malformed),
        ("no_hello", |r| r.shard.without_hello),
        ("stuck", |r| r.shard.abandoned),
    ];
    let sum = |of: Count| summary.iter().map(|worker| of(&worker.totals)).sum();
    let samples = reasons.map(|(reason, of)| (vec![("reason", reason.to_owned())], sum(of)));
    let help = "Channels that did not end in good order.";
    vec![counter("weir_channels_failed", help, samples.to_vec())]
}

fn histograms(summary: &Summary) -> Vec<Family> {
    let merged = |of: fn(&WorkerTotals) -> Option<Histogram>| {
        let mut all = summary.iter().filter_map(|worker| of(&worker.totals));
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

/// What rows come to.
pub(super) fn of_rows(
    summary: &Summary,
    lags: &[(u64, Duration)],
    uptime: Duration,
) -> Vec<Family> {
    let sum = |of: fn(&ShardGauges) -> u64| {
        let sum = summary.iter().map(|worker| of(&worker.gauges)).sum::<u64>();
        vec![(Vec::new(), sum)]
    };
    let by_front = |of: fn(&ShardGauges, usize) -> u64| -> Vec<(Labels, u64)> {
        let sample = |door: Door| {
            let labels = vec![("front", door.as_str().to_owned())];
            (labels, summary.iter().map(|worker| of(&worker.gauges, door as usize)).sum())
        };
        Door::ALL.map(sample).to_vec()
    };
    let ranked = |of: fn(&(u64, Duration)) -> Number| -> Vec<(Labels, Number)> {
        let lags = lags.iter().enumerate();
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
        gauge("weir_channels", "Open channels.", by_front(|gauges, door| gauges.channels[door])),
        gauge(
            "weir_readers",
            "Readers of streams.",
            by_front(|gauges, door| gauges.engine.readers[door]),
        ),
        gauge("weir_readers_lagging", "Readers left behind.", sum(|g| g.engine.lagging)),
        gauge(
            "weir_readers_stalled",
            "Readers that hold a full stream.",
            sum(|g| g.engine.stalled),
        ),
        gauge("weir_streams_full", "Streams in which writes wait.", sum(|g| g.engine.full)),
        gauge("weir_parked_writes", "Writes that wait for space.", sum(|g| g.engine.parked_writes)),
        gauge("weir_parked", "Bytes of writes that wait.", sum(|g| g.engine.parked_bytes))
            .of_unit(Unit::Bytes),
        gauge("weir_parked_reads", "Reads that wait for bytes.", sum(|g| g.engine.parked_reads)),
        gauge("weir_unsent", "Bytes that wait for sockets.", sum(|g| g.unsent_bytes))
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
            ranked(|(_, age)| Number::Measure(age.as_secs_f64())),
        ),
        exact(
            "weir_uptime",
            "Since the broker's start.",
            Unit::Seconds,
            vec![(Vec::new(), Number::Measure(uptime.as_secs_f64()))],
        ),
        Family {
            name: "weir_build",
            help: "Which broker this is.",
            unit: None,
            samples: Samples::Info(version),
        },
    ]
}
