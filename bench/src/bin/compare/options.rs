//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::LIBRARIES;

/// The broker and the sockets of this project against a hand-written loop and other libraries.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub struct Options {
    /// How often each library has its turn. Figures are medians of the rounds.
    #[arg(default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How long a turn under load is.
    #[arg(default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Measures only what has this in its name, and prints it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measures only these, and prints it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(LIBRARIES))]
    brokers: Vec<String>,
    /// Where to put what is found, and beside it the picture [default: docs/performance.md, if
    /// everything is measured].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Options {
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|text| name.contains(text))
    }

    pub fn libraries(&self) -> impl Iterator<Item = &'static str> {
        let chosen = |library: &str| self.brokers.iter().any(|broker| broker == library);
        LIBRARIES.into_iter().filter(move |library| self.brokers.is_empty() || chosen(library))
    }

    /// The file to write, if not to standard output.
    pub fn output(&self) -> Option<PathBuf> {
        let everything = self.only.is_none() && self.brokers.is_empty();
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
        self.output.clone().or_else(|| everything.then(default))
    }
}
