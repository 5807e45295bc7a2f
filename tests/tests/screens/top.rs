//! `broker top` in a terminal.

use std::process::Command;

use crate::terminal::Terminal;
use crate::{Queue, Traffic, Trouble, from_environment, picture};

fn top(queue: &Queue) -> Terminal {
    Terminal::run(&from_environment("BROKER"), &["top", "--http", &queue.http])
}

#[test]
fn the_terminal_shows_a_busy_queue_until_a_key_ends_it() {
    let queue = Queue::start();
    let _traffic = Traffic::start(&queue);
    queue.wait_for_looks(20);
    let mut top = top(&queue);
    let text =
        top.wait_for(|text| text.contains("PROCESSOR-3") && text.contains("until a worker had it"));
    for expected in [
        "open",
        "up for",
        "idle workers",
        "of 3",
        "replies a second, at most",
        "WEB-",
        "nothing went wrong",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    top.photograph(&picture("top.svg"));
    top.press("q");
    let (status, is_restored) = top.end();
    assert!(status.success() && is_restored);
}

#[test]
fn the_terminal_shows_the_same_as_the_status_and_says_when_the_queue_is_gone() {
    let queue = Queue::start();
    let trouble = Trouble::cause(&queue);
    let mut top = top(&queue);
    let text = top.wait_for(|text| text.contains("STUCK"));
    for expected in ["quarantined", "busy", "FIRST", "SECOND", "THIRD", "client DEALER", "0 of 2"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("payload"), "{text}");
    let before = text.lines().position(|line| line.contains("STUCK")).unwrap();
    // The first of two scrolls away.
    top.press("\x1b[B");
    top.wait_for(|text| text.lines().position(|line| line.contains("STUCK")) != Some(before));
    drop((trouble, queue));
    top.wait_for(|text| text.contains("this is from before: no queue at http://"));
    top.press("\x03");
    let (status, is_restored) = top.end();
    assert!(status.success() && is_restored);
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let output = Command::new(from_environment("BROKER")).arg("top").output().unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "broker: this needs a terminal; `broker status` prints the same once\n"
    );
}
