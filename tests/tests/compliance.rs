//! `docs/compliance.md` names code and tests that exist.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below a directory, in one string.
fn sources(directory: &Path, text: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_row_names_code_and_a_test_that_exist() {
    let document = std::fs::read_to_string(repository().join("docs/compliance.md")).unwrap();
    let mut code_and_tests = String::new();
    sources(&repository().join("crates"), &mut code_and_tests);
    sources(&repository().join("tests"), &mut code_and_tests);
    let mut rules = HashSet::new();
    let is_row = |line: &&str| line.starts_with("| ") && !line.contains(" | code | test |");
    for row in document.lines().filter(is_row) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [rule, _, code, test] = cells[..] else { panic!("four cells: {row}") };
        assert!(rules.insert(rule), "{rule} is there twice");
        if test.starts_with("not applicable, because ") {
            continue;
        }
        assert!(repository().join("crates/zmtp/src").join(code).is_file(), "{rule}: {code}");
        let mark = format!("fn {test}(");
        assert!(code_and_tests.contains(&mark), "{rule}: no test {test}");
    }
    let expected = |family, last| (1..=last).map(move |i| format!("{family}-{i:02}"));
    let all = expected("G", 12)
        .chain(expected("N", 21))
        .chain(expected("F", 15))
        .chain(expected("H", 14))
        .chain(expected("R", 17))
        .chain(expected("P", 9))
        .chain(expected("D", 9))
        .chain(expected("O", 21))
        .chain(expected("W", 6))
        .chain(expected("X", 33))
        // Three families of endpoints, numbered by tens.
        .chain(
            expected("E", 31).filter(|rule| !["E-09", "E-17", "E-18", "E-19"].contains(&&**rule)),
        );
    for rule in all {
        assert!(rules.contains(&*rule), "{rule} is missing");
    }
}
