//! An example as a running program.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running example. It ends with the test at the latest.
pub(crate) struct Program {
    child: Child,
    /// What is written to standard input, until it is dropped.
    input: Option<Sender<String>>,
    output: Receiver<String>,
    errors: Receiver<String>,
}

/// How a program ended, and what it said that had not been read before.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Program {
    pub(crate) fn start(example: &str, args: &[&str]) -> Self {
        let mut child = Command::new(path(example))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Some(write_all(child.stdin.take().unwrap()));
        let output = read_lines(child.stdout.take().unwrap());
        let errors = read_lines(child.stderr.take().unwrap());
        Self { child, input, output, errors }
    }

    pub(crate) fn cat(args: &[&str]) -> Self {
        Self::start("zmtp-cat", args)
    }

    /// A `zmtp-cat` that has bound an endpoint, and the endpoint.
    pub(crate) fn bound_cat(args: &[&str]) -> (Self, String) {
        let cat = Self::cat(args);
        let endpoint = cat.error_with("bound ").split_off("bound ".len());
        (cat, endpoint)
    }

    /// The next line of standard output.
    pub(crate) fn line(&self) -> String {
        let line = self.output.recv_timeout(PATIENCE).expect("a line on standard output");
        line.trim_end_matches('\n').to_owned()
    }

    /// The next line of standard output that has `text` in it.
    pub(crate) fn line_with(&self, text: &str) -> String {
        next_with(&self.output, text)
    }

    /// The next line of standard error that has `text` in it.
    pub(crate) fn error_with(&self, text: &str) -> String {
        next_with(&self.errors, text)
    }

    /// The lines of standard output up to the next empty one.
    pub(crate) fn message(&self) -> Vec<String> {
        std::iter::repeat_with(|| self.line()).take_while(|line| !line.is_empty()).collect()
    }

    /// Writes a message to standard input.
    pub(crate) fn say(&self, frames: &[&str]) {
        let message = frames.iter().fold(String::new(), |mut text, frame| {
            writeln!(text, "{frame}").unwrap();
            text
        });
        self.write(&format!("{message}\n"));
    }

    pub(crate) fn write(&self, text: &str) {
        self.input.as_ref().unwrap().send(text.to_owned()).unwrap();
    }

    /// Standard input is at its end.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Nobody reads what it prints any more.
    pub(crate) fn close_output(&mut self) {
        self.output = channel().1;
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end_by(self, signal: Signal) -> Ended {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.end()
    }

    /// Waits for the end, which its input has as well.
    pub(crate) fn end(mut self) -> Ended {
        self.input = None;
        let deadline = Instant::now() + PATIENCE;
        let rest = |lines: &Receiver<String>| {
            let left = || deadline.saturating_duration_since(Instant::now());
            std::iter::from_fn(|| lines.recv_timeout(left()).ok()).collect::<String>()
        };
        let (output, errors) = (rest(&self.output), rest(&self.errors));
        assert!(Instant::now() < deadline, "it goes on for ever: {output:?} {errors:?}");
        Ended { code: self.child.wait().unwrap().code(), output, errors }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an example to its end. Its input is empty.
pub(crate) fn run(example: &str, args: &[&str]) -> Ended {
    Program::start(example, args).end()
}

/// Runs a `zmtp-cat` with this input to its end.
pub(crate) fn cat(args: &[&str], input: &str) -> Ended {
    let cat = Program::cat(args);
    cat.write(input);
    cat.end()
}

/// Where cargo puts examples: beside the directory of this test.
fn path(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().with_file_name("examples").join(example);
    assert!(path.exists(), "no {}: run `cargo build -p zmtp --examples` first", path.display());
    path
}

fn next_with(lines: &Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut passed = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains(text) => return line.trim_end_matches('\n').to_owned(),
            Ok(line) => passed += &line,
            Err(error) => panic!("{error}: no line with {text:?} among {passed:?}"),
        }
    }
}

/// Writes on a thread of its own, so that a program which does not read holds nobody up.
fn write_all(mut stream: impl Write + Send + 'static) -> Sender<String> {
    let (sender, texts) = channel::<String>();
    std::thread::spawn(move || {
        // A program may end before it has read everything.
        texts.iter().try_for_each(|text| stream.write_all(text.as_bytes()))
    });
    sender
}

/// The lines of a stream with their line ends, as long as somebody receives them.
fn read_lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap() > 0 {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}
