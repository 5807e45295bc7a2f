//! A load for one's own queue.

use interop::Place;
use serde_json::Value;

use crate::support::{Program, run, text};

#[test]
fn each_request_that_is_due_is_sent_and_its_time_told() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let args = [
        "bench",
        "--frontend",
        &frontend,
        "--backend",
        &backend,
        "--seconds",
        "1.5",
        "--rate",
        "100",
        "--json",
    ];
    let output = run(place.directory(), &args);
    assert!(output.status.success(), "{output:?}");
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["answered"], &outcome["unanswered"]), (&150.into(), &0.into()));
    let times = ["p50", "p90", "p99", "p999", "max"].map(|name| outcome[name].as_u64().unwrap());
    assert!(times[0] > 0 && times.is_sorted(), "{times:?}");
    let progress = text(&output.stderr).lines().next().unwrap().to_owned();
    assert!(progress.starts_with("broker: 1 s: ") && progress.ends_with(" a second"), "{progress}");
}

#[test]
fn what_is_due_and_cannot_be_sent_in_time_is_not_answered() {
    let place = Place::new();
    let args = ["bench", "--frontend", "ipc://nobody", "--clients", "2", "--rate", "1000"];
    let times = ["--seconds", "1", "--timeout", "1", "--json"];
    let output = run(place.directory(), &[&args[..], &times].concat());
    assert!(!output.status.success(), "{output:?}");
    // One client after the other would take eight minutes for all of them.
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["answered"], &outcome["unanswered"]), (&0.into(), &1000.into()));
}

#[test]
fn why_nobody_answers_is_said() {
    let place = Place::new();
    let (_queue, [frontend, _]) = Program::serve_at(&place, &[]);
    for args in [
        ["--frontend", "ipc://nobody", "--backend", "ipc://elsewhere"],
        ["--frontend", &frontend, "--backend", "ipc://nobody"],
    ] {
        let times = ["bench", "--seconds", "0.2", "--timeout", "0.5", "--clients", "1"];
        let output = run(place.directory(), &[&times[..], &args].concat());
        let said = text(&output.stderr).trim_end();
        let why = "cannot connect to ipc://";
        assert!(!output.status.success() && said.lines().last().unwrap().contains(why), "{said}");
    }
}

#[test]
fn clients_that_ask_as_fast_as_they_can_are_shown_in_words() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let args = [
        "bench",
        "--frontend",
        &frontend,
        "--backend",
        &backend,
        "--seconds",
        "0.5",
        "--clients",
        "3",
        "--size",
        "1K",
    ];
    let output = run(place.directory(), &args);
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    let starts = [
        "answered      ",
        "median        ",
        "90 %          ",
        "99 %          ",
        "99.9 %        ",
        "slowest       ",
    ];
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{shown}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{shown}");
    }
    assert!(!lines[0].starts_with("answered      0 "), "{shown}");
}

#[test]
fn requests_that_nobody_answers_are_told_of_and_a_failure() {
    let place = Place::new();
    let (_queue, [frontend, _]) = Program::serve_at(&place, &[]);
    let args = [
        "bench",
        "--frontend",
        &frontend,
        "--seconds",
        "0.2",
        "--clients",
        "2",
        "--timeout",
        "0.3",
    ];
    let output = run(place.directory(), &args);
    assert!(!output.status.success());
    assert_eq!(text(&output.stdout), "answered      0 in 0.00 s, 0 a second\nnot answered  2\n");
    assert!(text(&output.stderr).contains("nobody has answered"), "{output:?}");
}
