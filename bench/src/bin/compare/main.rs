//! Runs all libraries under the same loads, interleaved, and writes down what each came to.

mod document;
mod goals;
mod idle;
mod jobs;
mod machine;
mod oneway;
mod options;
mod plot;
mod program;
mod series;
mod tables;

use std::io;

use clap::Parser;

use options::Options;
use series::Measurement;

/// The hand-written loop first, for the others are held against it, and this project's right beside it.
const LIBRARIES: [&str; 6] = [FLOOR, OURS, "libzmq", "zeromq", "rzmq", "omq"];
const FLOOR: &str = "floor";
const OURS: &str = "ours";

/// Everything that was measured.
struct Results {
    jobs: Vec<Measurement<jobs::Load, jobs::Figures>>,
    one_way: Vec<Measurement<oneway::Run, oneway::Figures>>,
    idle: Vec<Measurement<idle::Case, f64>>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let results = Results {
        jobs: jobs::measure(&options),
        one_way: oneway::measure(&options),
        idle: idle::measure(&options),
    };
    eprintln!();
    let Some(path) = options.output() else {
        print!("{}", document::generated(&results, &options, None));
        return Ok(());
    };
    let picture = path.with_extension("svg");
    let name = picture.file_name().map(|name| name.to_string_lossy());
    // What was measured is described before anything of it is changed.
    let text = document::generated(&results, &options, name.as_deref());
    plot::draw(&results, &picture)?;
    document::write(&path, &text)?;
    eprintln!("{}", path.display());
    Ok(())
}
