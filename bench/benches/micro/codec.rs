//! Bytes to messages and messages to bytes, in memory.

use bench::codec::{self, connection, shapes};
use criterion::{Criterion, Throughput};

pub fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for shape in shapes() {
        let (mut connection, wire) = (connection(), shape.wire());
        group.throughput(Throughput::Elements(shape.batch as u64));
        group.bench_function(shape.name, |b| b.iter(|| codec::decode(&mut connection, &wire)));
    }
}

pub fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for shape in shapes() {
        let mut connection = connection();
        group.throughput(Throughput::Elements(shape.batch as u64));
        group.bench_function(shape.name, |b| b.iter(|| codec::encode(&mut connection, &shape)));
    }
}
