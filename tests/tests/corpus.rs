//! The fuzz targets' checks, on the committed corpora.

#[path = "../../fuzz/src/checks.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own elsewhere")]
mod targets;

use std::path::Path;

/// Runs `check` on each file of a corpus, of which there has to be at least one.
fn replay(corpus: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(corpus);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| {
        panic!("{}: {error}", directory.display());
    });
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", directory.display());
}

#[test]
fn greeting() {
    replay("greeting", targets::greeting);
}

#[test]
fn frames() {
    replay("frames", targets::frames);
}

#[test]
fn command() {
    replay("command", targets::command);
}

#[test]
fn acceptor() {
    replay("acceptor", targets::acceptor);
}

#[test]
fn connector() {
    replay("connector", targets::connector);
}

#[test]
fn pair() {
    replay("pair", targets::pair);
}

#[test]
fn round_trip() {
    replay("round_trip", targets::round_trip);
}

#[test]
fn endpoint() {
    replay("endpoint", targets::endpoint);
}
