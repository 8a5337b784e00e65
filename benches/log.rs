//! A stream's log, through the core: appending writes of several sizes, and reading what was
//! written.

mod cluster;

use std::hint::black_box;

use bytes::Bytes;
use cluster::Cluster;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir::stream::Payload;

/// Bytes written before what has been read is let go: as many as a turn brings.
const TURN_BYTES: usize = 256 << 10;

/// A log line, a packet, a block of a transfer. The last is appended without a copy.
const SIZES: [usize; 3] = [64, 1 << 10, 64 << 10];

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log/append");
    for size in SIZES {
        let data = Bytes::from(vec![b'x'; size]);
        let mut cluster = Cluster::new(1);
        let (agent, stream) = cluster.agent(0);
        group.throughput(Throughput::Bytes(TURN_BYTES as u64));
        group.bench_function(size.to_string(), |bencher| {
            bencher.iter(|| {
                let mut writes = cluster.engines[0].writes(agent, stream).expect("nobody waits");
                for _ in 0..TURN_BYTES / size {
                    let data = match size {
                        0..16_384 => Payload::Borrowed(&data),
                        _ => Payload::Owned(data.clone()),
                    };
                    assert!(writes.append(black_box(&data)), "there is space");
                }
                drop(writes);
                cluster.settle();
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("log/read");
    for size in SIZES {
        let data = Bytes::from(vec![b'x'; size]);
        let mut cluster = Cluster::new(1);
        let (agent, stream) = cluster.agent(0);
        let host = cluster.host(0, stream);
        group.throughput(Throughput::Bytes(TURN_BYTES as u64));
        group.bench_function(size.to_string(), |bencher| {
            bencher.iter(|| {
                for _ in 0..TURN_BYTES / size {
                    cluster.write(agent, stream, &data);
                }
                cluster.read(host, stream);
                assert_eq!(cluster.settle(), TURN_BYTES);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
