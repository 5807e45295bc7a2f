//! The page, empty, busy and broken, and on a telephone.

use serde_json::Value;

use crate::browser::{Dom, Proxy, photograph};
use crate::{Queue, Traffic, Trouble, picture};

/// Compares what the page shows with what `/status` says.
fn agrees(dom: &Dom, status: &Value) {
    let workers = status["workers"].as_array().unwrap();
    let idle = workers.iter().filter(|worker| worker["state"] == "idle").count();
    for (id, expected) in [
        ("waiting", status["waiting"]["requests"].to_string()),
        ("in-flight", status["in_flight"].to_string()),
        ("clients", status["clients"].to_string()),
        ("workers", workers.len().to_string()),
        ("idle", idle.to_string()),
    ] {
        assert_eq!(dom.text(id), expected, "{id}: {status}");
    }
    let rows: Vec<_> = dom.inside("worker-rows", "tbody").split("<tr>").skip(1).collect();
    for (row, worker) in rows.iter().zip(workers) {
        for what in ["name", "state", "client"] {
            let text = worker[what].as_str().unwrap_or_default();
            let text = text.replace('<', "&lt;").replace('>', "&gt;");
            assert!(row.contains(&format!(">{text}</td>")), "{text} is not in {row}");
        }
    }
    for client in status["waiting"]["longest"].as_array().unwrap() {
        let name = client["name"].as_str().unwrap();
        assert!(dom.inside("client-rows", "tbody").contains(&format!("<td>{name}</td>")), "{name}");
    }
    for (name, count) in status["counters"].as_object().unwrap() {
        let row = format!("<td>{}</td><td class=\"number\">{count}</td>", name.replace('_', " "));
        let shown = dom.inside("count-rows", "tbody").replace(',', "").contains(&row);
        assert_eq!(shown, count.as_u64() > Some(0), "{row}");
    }
}

#[test]
fn the_page_of_an_empty_queue_says_what_to_do() {
    let queue = Queue::start();
    let dom = Dom::of(&format!("http://{}/", queue.http));
    agrees(&dom, &queue.status());
    assert_eq!((dom.text("state"), dom.text("alive"), dom.text("oldest")), ("open", "live", "-"));
    assert!(dom.inside("worker-rows", "tbody").contains("none is connected to the backend"));
    assert!(dom.inside("client-rows", "tbody").contains("nobody waits"));
    assert!(dom.inside("faults", "ol").contains("nothing went wrong so far"));
    queue.command(&["pause"]);
    assert_eq!(Dom::of(&format!("http://{}/", queue.http)).text("state"), "paused");
}

#[test]
fn the_page_of_a_busy_queue_shows_what_it_does_and_reads_well_on_a_telephone() {
    let queue = Queue::start();
    let mut traffic = Traffic::start(&queue);
    queue.wait_for_looks(12);
    let url = format!("http://{}/", queue.http);
    let requests = |status: &Value| status["counters"]["requests"].as_u64().unwrap();
    let before = requests(&queue.status());
    let dom = Dom::of(&url);
    let after = requests(&queue.status());
    let shown = dom.inside("count-rows", "tbody").split_once("<td>requests</td>").unwrap().1;
    let shown = shown.split(['>', '<']).nth(2).unwrap().replace(',', "").parse().unwrap();
    assert!((before..=after).contains(&shown), "{before} {shown} {after}");
    assert_eq!((dom.text("clients"), dom.text("workers")), ("8", "3"));
    assert!(dom.text("rate").replace(',', "").parse::<f64>().unwrap() > 0.0);
    for plot in ["plot-rate", "plot-queue", "plot-waited", "plot-served"] {
        let figure = dom.inside(plot, "figure");
        let path = figure.split_once("class=\"a\" d=\"M").unwrap_or_else(|| panic!("{figure}")).1;
        assert!(path.split('"').next().unwrap().matches('L').count() >= 9, "{plot}");
    }
    photograph(&url, 1280, 1060, &picture("page.png"));
    let proxy = Proxy::start(&queue.http, true);
    let phone = proxy.url("/phone");
    let width: u32 = Dom::of(&phone).text("width").parse().unwrap();
    assert!(width <= 390, "{width}");
    photograph(&phone, 500, 1900, &picture("page-phone.png"));
    traffic.end_clients();
    queue.wait_for(|status| status["in_flight"] == 0 && status["clients"] == 0);
    agrees(&Dom::of(&url), &queue.status());
}

#[test]
fn the_page_of_a_broken_queue_says_who_is_to_blame_and_never_what_was_sent() {
    let queue = Queue::start();
    let _trouble = Trouble::cause(&queue);
    queue.wait_for_looks(3);
    let url = format!("http://{}/", queue.http);
    let dom = Dom::of(&url);
    let status = queue.status();
    agrees(&dom, &status);
    let faults = dom.inside("faults", "ol");
    for expected in ["client DEALER", "empty frame", "PUB", "worker &lt;i&gt;WRONG&lt;/i&gt;"] {
        assert!(faults.contains(expected), "{expected} is not in {faults}");
    }
    assert!(!dom.0.contains("payload") && !dom.0.contains("<i>WRONG"), "names are text");
    photograph(&url, 1280, 1060, &picture("page-broken.png"));
}

#[test]
fn a_page_whose_queue_does_not_answer_says_since_when() {
    let queue = Queue::start();
    let proxy = Proxy::start(&queue.http, false);
    let dom = Dom::of(&proxy.url("/"));
    assert!(dom.text("alive").starts_with("no answer since "), "{}", dom.text("alive"));
    assert!(dom.0.contains("<body class=\"stale\">"));
}
