//! What the system knows of a process.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many descriptors as the system allows.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("a limit that may be raised");
}

/// Microseconds of processor time, from the scheduler's own account.
pub fn processor_time(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let nanoseconds = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.flatten().map(|task| nanoseconds(task.path())).sum::<u64>() / 1000
}

/// KiB in memory now.
pub fn memory(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// KiB in memory at most so far.
pub fn peak_memory(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
