//! The program as a user runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use interop::{PATIENCE, Place, Transport};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A running `broker` whose output is read line by line.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Program {
    pub(crate) fn start(directory: &Path, args: &[&str]) -> Self {
        Self::start_with(directory, args, &[])
    }

    /// With these in its environment.
    pub(crate) fn start_with(
        directory: &Path,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::spawn(command(directory, args).envs(environment.iter().copied()))
    }

    /// One whose standard input and standard error are these.
    pub(crate) fn spawn_with(command: &mut Command, input: OwnedFd, error: OwnedFd) -> Self {
        Self::spawn(command.stdin(input).stderr(error))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = read_lines(child.stdout.take().unwrap());
        let errors = child.stderr.take().map(read_lines);
        Self { child, lines, errors: errors.unwrap_or_else(|| channel().1) }
    }

    /// `serve` once it is ready, and its endpoints in the order of its output.
    pub(crate) fn serve(directory: &Path, args: &[&str]) -> (Self, Vec<String>) {
        let program = Self::start(directory, &[&["serve"], args].concat());
        let endpoints = program.endpoints();
        (program, endpoints)
    }

    /// What `serve` says of where it listens, once it is ready.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let lines = std::iter::from_fn(|| Some(self.line().split_once(' ')?.1.to_owned()));
        lines.collect()
    }

    /// `serve` at a place once it is ready, and its frontend and backend.
    pub(crate) fn serve_at(place: &Place, options: &[&str]) -> (Self, [String; 2]) {
        let endpoints = ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
        let args = ["--frontend", &endpoints[0], "--backend", &endpoints[1]];
        (Self::serve(place.directory(), &[&args, options].concat()).0, endpoints)
    }

    /// The next line of standard output.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line on standard output")
    }

    /// Whether there is another line on standard output already, which is taken.
    pub(crate) fn has_line(&self) -> bool {
        self.lines.try_recv().is_ok()
    }

    /// The next line of standard error, without the time that the log has in front.
    pub(crate) fn error(&self) -> String {
        untimed(&self.raw_error()).to_owned()
    }

    /// The next line of standard error, as it is.
    pub(crate) fn raw_error(&self) -> String {
        self.errors.recv_timeout(PATIENCE).expect("a line on standard error")
    }

    /// The same, until there is none any more.
    pub(crate) fn try_error(&self) -> Option<String> {
        self.errors.recv_timeout(PATIENCE).ok().map(|line| untimed(&line).to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// One that is not taken for part of the one before, which came just now.
    pub(crate) fn signal_again(&self, signal: Signal) {
        std::thread::sleep(std::time::Duration::from_millis(200));
        self.signal(signal);
    }

    /// As a terminal does to all that run in it.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).unwrap();
    }

    /// As `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, to be started.
pub(crate) fn command(directory: &Path, args: &[&str]) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_broker")), directory, args)
}

/// The program at a path of its own.
pub(crate) fn command_of(program: &Path, directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(directory).stderr(Stdio::piped());
    command
}

fn read_lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A line of the log without its time.
pub(crate) fn untimed(line: &str) -> &str {
    line.split_once("Z ").map_or(line, |(_, rest)| rest)
}

/// Runs `broker` to its end.
pub(crate) fn run(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_broker")).args(args).current_dir(directory).output().unwrap()
}

/// The code and the body of an answer over HTTP.
pub(crate) fn ask_over(mut to: impl Read + Write, first_line: &str, host: &str) -> (u16, String) {
    let request = format!("{first_line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    to.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    to.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
