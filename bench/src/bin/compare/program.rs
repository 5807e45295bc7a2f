//! Programs on a core of their own, bounded in time, and why they failed.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The library that is measured has this core to itself, and what it talks to has the other.
pub const MEASURED: u8 = 0;
pub const OTHER: u8 = 1;

/// How long a program may take to start, to connect everything and to end, its own time not counted.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(10);

/// A directory for sockets and output, gone with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Endpoints that nobody has.
    pub fn endpoints<const N: usize>(&self, transport: &str) -> io::Result<[String; N]> {
        let mut listeners = Vec::new();
        let mut endpoints = [const { String::new() }; N];
        for (i, endpoint) in endpoints.iter_mut().enumerate() {
            *endpoint = if transport == "tcp" {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let address = listener.local_addr()?;
                listeners.push(listener);
                format!("tcp://{address}")
            } else {
                format!("ipc://{}/{i}", self.0.display())
            };
        }
        Ok(endpoints)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that ends with this value.
pub struct Program {
    child: Child,
    output: PathBuf,
    complaints: PathBuf,
}

impl Program {
    pub fn start(core: u8, name: &str, args: &[&str], scratch: &Scratch) -> io::Result<Self> {
        let path = std::env::current_exe()?.with_file_name(name);
        let [output, complaints] =
            ["out", "err"].map(|end| scratch.0.join(format!("{name}.{end}")));
        // taskset becomes the program, so its number is the program's.
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(path)
            .args(args)
            .stdout(File::create(&output)?)
            .stderr(File::create(&complaints)?)
            .spawn()?;
        Ok(Self { child, output, complaints })
    }

    /// One that listens once it says `ready`.
    pub fn serve(core: u8, name: &str, args: &[&str], scratch: &Scratch) -> io::Result<Self> {
        let mut program = Self::start(core, name, args, scratch)?;
        program.wait_until(PATIENCE, |program| program.printed().starts_with("ready\n"))?;
        Ok(program)
    }

    pub fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Waits for its end and returns the numbers that it printed.
    pub fn finish<const N: usize>(mut self, time: Duration) -> io::Result<[f64; N]> {
        self.wait_until(PATIENCE + time, |_| false)?;
        let printed = self.printed();
        let numbers: Vec<f64> = printed.split_whitespace().flat_map(str::parse).collect();
        numbers.try_into().map_err(|_| io::Error::other(format!("it printed {printed:?}")))
    }

    /// `error`, or why this program has ended where that is the reason.
    pub fn blame(mut self, error: io::Error) -> io::Error {
        sleep(Duration::from_millis(100));
        match self.child.try_wait() {
            Ok(Some(status)) => io::Error::other(format!("{status}: {}", self.complaint())),
            _ => error,
        }
    }

    /// Waits until something is so or the program has ended well.
    fn wait_until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        let end = Instant::now() + time;
        while !done(self) {
            if let Some(status) = self.child.try_wait()? {
                let why = || io::Error::other(format!("{status}: {}", self.complaint()));
                return status.success().then_some(()).ok_or_else(why);
            }
            if Instant::now() > end {
                return Err(io::Error::other(format!("not done after {} s", time.as_secs())));
            }
            sleep(STEP);
        }
        Ok(())
    }

    fn printed(&self) -> String {
        read(&self.output)
    }

    /// The last line on its standard error, but for the advice that Rust adds to a panic.
    fn complaint(&self) -> String {
        let text = read(&self.complaints);
        let mut lines = text.lines().rev().filter(|line| !line.starts_with("note: "));
        lines.next().unwrap_or("without a word").to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
