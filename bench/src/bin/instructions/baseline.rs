//! The counts that are committed, and the toolchain they were made with.

use std::io;
use std::process::Command;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const TOOLCHAIN: &str = "toolchain";

pub struct Baseline {
    pub toolchain: String,
    counts: Vec<(String, u64)>,
}

impl Baseline {
    /// Without counts, of the toolchain at hand.
    pub fn new() -> Self {
        Self { toolchain: toolchain(), counts: Vec::new() }
    }

    pub fn read() -> io::Result<Self> {
        let mut baseline = Self { toolchain: String::new(), counts: Vec::new() };
        let text = std::fs::read_to_string(PATH)
            .map_err(|error| io::Error::other(format!("{PATH}: {error}; `--write` makes it")))?;
        for line in text.lines() {
            match line.split_once('\t') {
                Some((TOOLCHAIN, text)) => text.clone_into(&mut baseline.toolchain),
                Some((name, count)) => {
                    baseline.set(name, count.parse().map_err(io::Error::other)?);
                }
                None => return Err(io::Error::other(format!("{PATH}: no tab in {line:?}"))),
            }
        }
        Ok(baseline)
    }

    pub fn write(&self) -> io::Result<()> {
        let mut text = format!("{TOOLCHAIN}\t{}\n", self.toolchain);
        for (name, count) in &self.counts {
            text += &format!("{name}\t{count}\n");
        }
        std::fs::write(PATH, text)
    }

    pub fn get(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(known, _)| known == name).map(|&(_, count)| count)
    }

    pub fn set(&mut self, name: &str, count: u64) {
        self.counts.push((name.to_owned(), count));
    }
}

/// The compiler and the architecture: with others the counts are others.
pub fn toolchain() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("{} {}", version.unwrap_or_else(|_| "rustc ?".into()), std::env::consts::ARCH)
}
