//! This program under valgrind.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::subject::Subject;
use crate::{Case, lockstep};

/// Instructions of a whole run of `count` messages or jobs, and how many of them there were.
pub fn count(case: &Case, count: u64) -> io::Result<(u64, u64)> {
    let program = std::env::current_exe()?;
    let profile = profile(&program, case, count)?;
    let (control, stdin) = UnixStream::pair()?;
    let mut child = Command::new("valgrind")
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["run", case.name, &count.to_string()])
        .stdin(OwnedFd::from(stdin))
        .stdout(Stdio::null())
        .spawn()
        .map_err(explain)?;
    let served = match case.subject {
        Subject::Broker(clients, workers) | Subject::Watched(clients, workers) => {
            lockstep::serve(control, clients, workers, count)
        }
        _ => Ok(count),
    };
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("{}: valgrind ended with {status}", case.name)));
    }
    Ok((total(&profile)?, served?))
}

/// Where callgrind writes to: kept, for `callgrind_annotate`.
fn profile(program: &Path, case: &Case, count: u64) -> io::Result<PathBuf> {
    let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let directory = target.join("instructions");
    std::fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{}.{count}.out", case.name.replace(' ', "-"))))
}

fn explain(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound {
        return io::Error::other(
            "valgrind is not installed; install it (`apt install valgrind`) and try again",
        );
    }
    error
}

fn total(profile: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(profile)?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.parse().ok());
    total.ok_or_else(|| io::Error::other(format!("{} has no total", profile.display())))
}
