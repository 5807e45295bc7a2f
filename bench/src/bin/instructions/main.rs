//! Counts the instructions of a message and of a job, and holds them against `bench/instructions.txt`.
//!
//! `instructions` fails if one has become more than 5 % worse; `instructions --write` renews the
//! file. Each case runs under valgrind twice, the second time for twice as long: the difference is
//! what the work takes, without what it takes to begin and to end.

mod baseline;
mod lockstep;
mod subject;
mod valgrind;

use std::io;
use std::process::ExitCode;

use baseline::Baseline;
use subject::Subject;

/// By how much of what it was a count may grow.
const TOLERANCE: f64 = 0.05;

struct Case {
    name: &'static str,
    subject: Subject,
    /// Messages or jobs in the shorter run.
    count: u64,
}

const CASES: [Case; 10] = [
    Case { name: "decode 32 B", subject: Subject::Decode("32 B"), count: 10_000 },
    Case { name: "decode 64 x 32 B", subject: Subject::Decode("64 x 32 B"), count: 12_800 },
    Case { name: "encode 32 B", subject: Subject::Encode("32 B"), count: 10_000 },
    Case { name: "queue 200 x 50", subject: Subject::Queue(200, 50), count: 50_000 },
    Case { name: "broker 1 x 1", subject: Subject::Broker(1, 1), count: 1_000 },
    Case { name: "broker 10 x 3", subject: Subject::Broker(10, 3), count: 3_000 },
    Case { name: "broker 200 x 50", subject: Subject::Broker(200, 50), count: 5_000 },
    Case { name: "watched 1 x 1", subject: Subject::Watched(1, 1), count: 1_000 },
    Case { name: "watched 10 x 3", subject: Subject::Watched(10, 3), count: 3_000 },
    Case { name: "watched 200 x 50", subject: Subject::Watched(200, 50), count: 5_000 },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        [] => compare(),
        ["--write"] => renew(),
        // What this program starts under valgrind.
        ["run", name, count] => run(name, count).map(|()| true),
        _ => Err(io::Error::other("use: instructions [--write]")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, count: &str) -> io::Result<()> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| io::Error::other("there is no such case"))?;
    case.subject.run(count.parse().map_err(io::Error::other)?)
}

fn renew() -> io::Result<bool> {
    let mut baseline = Baseline::new();
    for case in &CASES {
        let count = measure(case)?;
        println!("{:<18}{count:>12}", case.name);
        baseline.set(case.name, count);
    }
    baseline.write().map(|()| true)
}

fn compare() -> io::Result<bool> {
    let baseline = Baseline::read()?;
    let mut worse = Vec::new();
    println!("{:<18}{:>12}{:>12}{:>10}", "instructions", "now", "before", "change");
    for case in &CASES {
        let (name, now) = (case.name, measure(case)?);
        let Some(before) = baseline.get(name) else {
            println!("{name:<18}{now:>12}{:>12}{:>10}", "-", "new");
            continue;
        };
        let change = now as f64 / before as f64 - 1.0;
        let percent = 100.0 * change;
        println!("{name:<18}{now:>12}{before:>12}{percent:>+8.1} %");
        if change > TOLERANCE {
            worse.push(format!("{name} is {percent:.1} % worse: {before} before, {now} now"));
        }
    }
    let toolchain = baseline::toolchain();
    if toolchain != baseline.toolchain {
        println!(
            "Not judged: this is {toolchain}, the baseline {}. `--write` renews it.",
            baseline.toolchain
        );
        return Ok(true);
    }
    for line in &worse {
        eprintln!("instructions: {line}");
    }
    Ok(worse.is_empty())
}

/// Instructions for one message or job.
fn measure(case: &Case) -> io::Result<u64> {
    let (short, done_in_short) = valgrind::count(case, case.count)?;
    let (long, done_in_long) = valgrind::count(case, 2 * case.count)?;
    Ok((long - short) / (done_in_long - done_in_short))
}
