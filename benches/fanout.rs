//! Fan-out in the core: what readers on one worker and on several add to a write, without sockets.

mod cluster;

use cluster::Cluster;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// One segment of a transfer.
const WRITE_BYTES: usize = 16 << 10;

/// How many such segments a turn brings.
const WRITES_PER_TURN: usize = 4;

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fanout");
    let data = vec![b'x'; WRITE_BYTES];
    for (workers, readers) in [(1, 1), (1, 64), (1, 4096), (2, 64), (4, 64), (4, 4096)] {
        let mut cluster = Cluster::new(workers);
        let (agent, stream) = cluster.agent(0);
        let hosts: Vec<_> =
            (0..readers).map(|reader| cluster.host(reader % workers, stream)).collect();
        let bytes = WRITES_PER_TURN * WRITE_BYTES * hosts.len();
        group.throughput(Throughput::Bytes(bytes as u64));
        let id = BenchmarkId::new(format!("{workers}-workers"), readers);
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                for host in &hosts {
                    cluster.read(*host, stream);
                }
                for _ in 0..WRITES_PER_TURN {
                    cluster.write(agent, stream, &data);
                }
                assert_eq!(cluster.settle(), bytes);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
