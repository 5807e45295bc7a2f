#![no_main]

#[path = "../../tests/sim/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "it is part of another crate as well, which has more to do with it"
)]
mod sim;

use sim::{Choices, Plan, World};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for journal in [false, true] {
        World::new(Choices::Given(data.to_vec(), 0), Plan { journal, ..Plan::USUAL }).run();
    }
});
