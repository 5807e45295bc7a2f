//! Runs the brokers one after the other under the same loads, interleaved, and prints a table.
//!
//! `compare [ROUNDS [SECONDS]]`, five rounds of three seconds unless given. The broker has the first
//! core to itself and the load the second. Each figure is the median of its rounds.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The hand-written loop first: the others are held against it.
const BROKERS: [&str; 3] = ["floor", "ours", "libzmq"];

struct Load {
    name: &'static str,
    transport: &'static str,
    clients: usize,
    workers: usize,
    size: usize,
}

const LOADS: [Load; 6] = [
    Load { name: "ipc 10 x 3, 32 B", transport: "ipc", clients: 10, workers: 3, size: 32 },
    Load { name: "ipc 200 x 50, 32 B", transport: "ipc", clients: 200, workers: 50, size: 32 },
    Load { name: "tcp 200 x 50, 32 B", transport: "tcp", clients: 200, workers: 50, size: 32 },
    Load { name: "ipc 2000 x 50, 32 B", transport: "ipc", clients: 2000, workers: 50, size: 32 },
    Load { name: "ipc 1 x 1, 32 B", transport: "ipc", clients: 1, workers: 1, size: 32 },
    Load {
        name: "ipc 50 x 10, 64 KiB",
        transport: "ipc",
        clients: 50,
        workers: 10,
        size: 64 << 10,
    },
];

/// What one run came to.
#[derive(Clone, Copy)]
struct Figures {
    jobs_per_second: f64,
    /// Microseconds of the broker's processor time.
    cpu_per_job: f64,
    peak_kib: f64,
    /// Microseconds: the median, 99 % and 99.9 % of round trips.
    percentiles: [f64; 3],
}

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let (rounds, seconds) = (numbers.next().unwrap_or(5), numbers.next().unwrap_or(3));
    let mut table = String::from(
        "| load | broker | jobs/s | of the floor | CPU a job, us | of the floor | p50, us | p99, us \
         | p99.9, us | peak, MiB |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for load in &LOADS {
        let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); BROKERS.len()];
        let mut failures: Vec<Option<String>> = vec![None; BROKERS.len()];
        for round in 0..rounds {
            for (i, broker) in BROKERS.iter().enumerate() {
                eprint!("\r{}: round {} of {rounds}, {broker}        ", load.name, round + 1);
                io::stderr().flush()?;
                match run(broker, load, seconds) {
                    Ok(figures) => runs[i].push(figures),
                    Err(error) => failures[i] = Some(error.to_string()),
                }
            }
        }
        let floor = median(&runs[0]);
        for (i, broker) in BROKERS.iter().enumerate() {
            let row = row(load, broker, median(&runs[i]), floor, failures[i].as_deref());
            table.push_str(&row);
        }
    }
    eprintln!();
    print!("{table}");
    Ok(())
}

fn row(
    load: &Load,
    broker: &str,
    figures: Option<Figures>,
    floor: Option<Figures>,
    failure: Option<&str>,
) -> String {
    let (Some(figures), Some(floor)) = (figures, floor) else {
        return format!("| {} | {broker} | failed: {} |\n", load.name, failure.unwrap_or("?"));
    };
    let mut row = String::new();
    let [p50, p99, p999] = figures.percentiles;
    let _ = writeln!(
        row,
        "| {} | {broker} | {:.0} | {:.2} | {:.1} | {:.2} | {p50:.0} | {p99:.0} | {p999:.0} | {:.1} |",
        load.name,
        figures.jobs_per_second,
        figures.jobs_per_second / floor.jobs_per_second,
        figures.cpu_per_job,
        figures.cpu_per_job / floor.cpu_per_job,
        figures.peak_kib / 1024.0,
    );
    row
}

/// The median of each figure.
fn median(runs: &[Figures]) -> Option<Figures> {
    let of = |figure: &dyn Fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some(Figures {
        jobs_per_second: of(&|run| run.jobs_per_second)?,
        cpu_per_job: of(&|run| run.cpu_per_job)?,
        peak_kib: of(&|run| run.peak_kib)?,
        percentiles: [
            of(&|run| run.percentiles[0])?,
            of(&|run| run.percentiles[1])?,
            of(&|run| run.percentiles[2])?,
        ],
    })
}

/// A broker that ends with this.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(name: &str) -> PathBuf {
    std::env::current_exe().expect("a path of its own").with_file_name(name)
}

/// A program on one core.
fn on_core(core: u8, path: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(path);
    command
}

fn run(broker: &str, load: &Load, seconds: usize) -> io::Result<Figures> {
    let directory = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let port = free_port()?;
    let endpoints =
        [("frontend", port), ("backend", port + 1)].map(|(side, port)| match load.transport {
            "tcp" => format!("tcp://127.0.0.1:{port}"),
            _ => format!("ipc://{}/{side}", directory.display()),
        });
    let child = on_core(0, &program(broker)).args(&endpoints).stdout(Stdio::piped()).spawn()?;
    let mut broker = Broker(child);
    let stdout = broker.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line != "ready\n" {
        return Err(io::Error::other("it did not start"));
    }
    // taskset becomes the program, so this is the program's own number.
    let numbers = [load.clients, load.workers, load.size, seconds, broker.0.id() as usize];
    let mut command = on_core(1, &program("load"));
    command.args(&endpoints).args(numbers.map(|number| number.to_string()));
    let output = command.stderr(Stdio::inherit()).output()?;
    drop(broker);
    std::fs::remove_dir_all(&directory)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [jobs, elapsed, cpu, peak_kib, p50, p99, p999] = values[..] else {
        return Err(io::Error::other("the load failed"));
    };
    Ok(Figures {
        jobs_per_second: jobs / elapsed,
        cpu_per_job: cpu / jobs,
        peak_kib,
        percentiles: [p50, p99, p999],
    })
}

/// Two ports that nobody has.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().min(65_000))
}
