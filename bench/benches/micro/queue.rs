//! A job through the queue: a request, its dispatch, and its reply.

use bench::lru::Lru;
use criterion::{Criterion, Throughput};

pub fn job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    for (clients, workers) in [(1, 1), (200, 50), (10_000, 50)] {
        let mut lru = Lru::new(clients, workers).expect("sockets");
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{clients} x {workers}"), |b| b.iter(|| lru.job()));
    }
}
