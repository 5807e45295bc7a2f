//! Micro-benchmarks: the protocol core in memory, a ROUTER among raw peers, the queue without sockets.

mod codec;
mod queue;
mod routing;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = micro;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = codec::decode, codec::encode, routing::route, queue::job
}
criterion_main!(micro);
