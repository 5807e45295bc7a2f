//! What `CONTRIBUTING.md` asks of the crates' sources, as far as a program can see it.

use std::path::{Path, PathBuf};

/// The sources of a directory of the crates, tests aside, with their text.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|of| of == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    walk(&root.join(directory), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn a_file_has_at_most_400_lines() {
    for directory in ["zmtp/src", "broker/src"] {
        for (path, text) in sources(directory) {
            assert!(text.lines().count() <= 400, "{}", path.display());
        }
    }
}

#[test]
fn a_file_begins_with_what_it_is_about() {
    for directory in ["zmtp/src", "broker/src"] {
        for (path, text) in sources(directory) {
            assert!(text.starts_with("//! "), "{}", path.display());
        }
    }
}

#[test]
fn the_protocol_core_and_the_queue_know_no_runtime_and_no_clock() {
    let mut pure = sources("broker/src");
    pure.retain(|(path, _)| path.to_string_lossy().contains("/src/queue"));
    assert_eq!(pure.len(), 26);
    pure.extend(sources("zmtp/src/proto"));
    for (path, text) in pure {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for forbidden in ["tokio", "Instant::now", "SystemTime", "std::net", "std::io::Read"] {
                assert!(
                    !line.contains(forbidden) || line.contains("#["),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
}
