#![no_main]

#[path = "../../tests/sim/mod.rs"]
#[expect(unreachable_pub, reason = "it is part of another crate as well")]
mod sim;

use sim::{Choices, Plan, World};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for journal in [false, true] {
        World::new(Choices::Given(data.to_vec(), 0), Plan { journal, ..Plan::USUAL }).run();
    }
});
