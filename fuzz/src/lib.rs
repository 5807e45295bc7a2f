//! What the fuzz targets check, and how much memory they may take for it.

mod checks;

use peak_alloc::PeakAlloc;

pub use checks::*;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Runs a check that may hold at most 96 KiB and three times its input at a time.
pub fn bounded(data: &[u8], check: fn(&[u8])) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    check(data);
    let peak = MEMORY.peak_usage().saturating_sub(before);
    let bound = (96 << 10) + 3 * data.len();
    assert!(peak <= bound, "{peak} bytes held for an input of {}, {bound} allowed", data.len());
}
