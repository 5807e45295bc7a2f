//! What was measured, and on what.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::options::Options;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// As a list in Markdown.
pub fn describe(options: &Options) -> String {
    let mut list = String::new();
    let mut item = |what: &str, text: &str| {
        let _ = writeln!(list, "* {what}: {text}");
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    item("machine", &format!("{}, {cores} cores, Linux {}", processor(), kernel.trim()));
    item("date", &printed("date", &["-u", "+%F"]));
    item("compiler", &printed("rustc", &["--version"]));
    let commit =
        printed("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let libzmq = version("zeromq-src");
    let libzmq = libzmq.split_once('+').map_or("?", |(_, libzmq)| libzmq);
    let libraries = format!(
        "ours {} at {commit}, libzmq {libzmq} through zmq {}, zeromq {}, rzmq {}, omq-tokio {}",
        version("zmtp"),
        version("zmq"),
        version("zeromq"),
        version("rzmq"),
        version("omq-tokio"),
    );
    item("libraries", &libraries);
    let Options { rounds, seconds, .. } = options;
    item("command", &format!("`compare {rounds} {seconds}`"));
    list
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(": ")).map(|(_, name)| name);
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Of a package in the lock file.
fn version(package: &str) -> &'static str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let found = LOCK.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    found.map_or("?", |(version, _)| version)
}

fn printed(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "?".to_owned())
}
