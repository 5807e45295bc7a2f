//! `broker bench`: a load for one's own queue.
//!
//! Without a rate, each client asks as soon as it has its reply: that shows how much the queue can do. With one, requests are due
//! at even intervals, and the time of each counts from when it was due and not from when a client was free to send it: that
//! shows how long somebody waits who does not know what others do.

use std::cell::RefCell;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use zmtp::{Endpoint, Message, Monitor, MonitorEvent, ReqError};

use super::seat::ready;
use super::worker::Job;
use crate::cli::Bench;
use crate::client;
use crate::descriptors;
use crate::output::{note, say};
use crate::signals::Signals;

/// After a connection was lost.
const PAUSE: Duration = Duration::from_millis(100);

/// Microseconds, to three digits, up to an hour.
const LONGEST: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// What clients have seen so far.
#[derive(Debug)]
struct Load {
    start: Instant,
    end: Instant,
    rate: Option<u32>,
    /// Requests that have been due.
    due: u32,
    times: Histogram<u64>,
    unanswered: u64,
    /// Until when there were answers.
    last: Instant,
    /// Why there was no connection, if there was none last.
    trouble: Option<String>,
}

/// What came of it. Times are in microseconds.
#[derive(Debug, Serialize)]
struct Outcome {
    clients: u16,
    workers: Option<u16>,
    bytes: usize,
    rate_wanted: Option<u32>,
    seconds: f64,
    answered: u64,
    unanswered: u64,
    rate: f64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

pub(crate) async fn run(options: Bench) -> Result<ExitCode, Box<dyn Error>> {
    LocalSet::new().run_until(measure(options)).await
}

async fn measure(options: Bench) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    descriptors::raise_limit();
    let start = Instant::now();
    let load = Rc::new(RefCell::new(Load {
        start,
        end: start + options.seconds,
        rate: options.rate,
        due: 0,
        times: Histogram::new_with_bounds(1, LONGEST, DIGITS)?,
        unanswered: 0,
        last: start,
        trouble: None,
    }));
    let limit = options.limit.max_message_size;
    let mut workers = JoinSet::new();
    if let Some(backend) = &options.backend {
        for _ in 0..options.workers {
            workers.spawn_local(work(load.clone(), backend.clone(), limit));
        }
    }
    let mut clients = JoinSet::new();
    let body = Bytes::from(vec![b'x'; options.size]);
    for _ in 0..options.clients {
        let (load, frontend) = (load.clone(), options.frontend.clone());
        clients.spawn_local(ask(load, frontend, limit, body.clone(), options.timeout));
    }
    let second = Duration::from_secs(1);
    let mut seconds = interval_at(start + second, second);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = 0;
    loop {
        tokio::select! {
            ended = clients.join_next() => match ended {
                None => break,
                Some(result) => result??,
            },
            Some(ended) = workers.join_next() => ended??,
            _ = seconds.tick() => {
                let load = load.borrow();
                let answered = load.times.len();
                let lost = if load.unanswered > 0 { format!(", {} not answered", load.unanswered) } else { String::new() };
                note(format_args!("{:.0} s: {} a second{lost}", start.elapsed().as_secs_f64(), answered - before));
                before = answered;
            }
            () = signals.next() => {
                note("interrupted; this is what there was until now");
                break;
            }
        }
    }
    tell(&options, &load.borrow())
}

/// Answers each request with itself, at once.
async fn work(load: Rc<RefCell<Load>>, backend: Endpoint, limit: usize) -> Result<(), String> {
    let mut req = client::req(String::new(), &backend, limit)?;
    spawn_local(watch(load, "a worker", req.monitor()));
    let mut next = ready();
    loop {
        let job = match req.request(next).await {
            Ok(job) => Job::parse(job),
            Err(ReqError::PeerLost(_)) => None,
            Err(error) => return Err(error.to_string()),
        };
        next = job.map_or_else(ready, |job| job.reply(None));
    }
}

/// Asks until it is over.
async fn ask(
    load: Rc<RefCell<Load>>,
    frontend: Endpoint,
    limit: usize,
    body: Bytes,
    patience: Duration,
) -> Result<(), String> {
    let connect = || {
        let req = client::req(String::new(), &frontend, limit)?;
        spawn_local(watch(load.clone(), "a client", req.monitor()));
        Ok::<_, String>(req)
    };
    let mut req = connect()?;
    loop {
        let Some(due) = load.borrow_mut().next_due() else { break };
        sleep_until(due).await;
        let left = patience.saturating_sub(due.elapsed());
        if left.is_zero() {
            load.borrow_mut().unanswered += 1;
            continue;
        }
        match timeout(left, req.request(Message::from(&body))).await {
            Ok(Ok(_)) => load.borrow_mut().note_reply(due),
            failed @ (Ok(Err(ReqError::PeerLost(_))) | Err(_)) => {
                load.borrow_mut().unanswered += 1;
                if let Ok(Err(error)) = failed {
                    load.borrow_mut().trouble = Some(format!("a client had no reply: {error}"));
                    sleep(PAUSE).await;
                }
                // A reply that comes yet is not to be taken for another one's.
                req = connect()?;
            }
            Ok(Err(error)) => return Err(error.to_string()),
        }
    }
    req.close().await;
    Ok(())
}

/// Notes why there is no connection.
async fn watch(load: Rc<RefCell<Load>>, who: &str, mut monitor: Monitor) {
    while let Some(event) = monitor.recv().await {
        let trouble = match event {
            MonitorEvent::ConnectFailed(address, error) => {
                format!("{who} cannot connect to {address}: {error}")
            }
            MonitorEvent::HandshakeFailed(address, reason) => {
                format!("{who} cannot use {address}: {reason}")
            }
            _ => continue,
        };
        load.borrow_mut().trouble = Some(trouble);
    }
}

impl Load {
    /// When the next request is due, if there is one more.
    fn next_due(&mut self) -> Option<Instant> {
        let due = match self.rate {
            None => Instant::now(),
            Some(rate) => self.start + Duration::from_secs(1) * self.due / rate,
        };
        self.due = self.due.saturating_add(1);
        (due < self.end).then_some(due)
    }

    fn note_reply(&mut self, due: Instant) {
        self.last = Instant::now();
        let micros = u64::try_from((self.last - due).as_micros()).unwrap_or(LONGEST);
        self.times.saturating_record(micros);
    }
}

fn tell(options: &Bench, load: &Load) -> Result<ExitCode, Box<dyn Error>> {
    let seconds = (load.last - load.start).as_secs_f64();
    let at = |share| load.times.value_at_quantile(share);
    let answered = load.times.len();
    let outcome = Outcome {
        clients: options.clients,
        workers: options.backend.as_ref().map(|_| options.workers),
        bytes: options.size,
        rate_wanted: options.rate,
        seconds,
        answered,
        unanswered: load.unanswered,
        rate: if seconds > 0.0 { count(answered) / seconds } else { 0.0 },
        mean: load.times.mean(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: load.times.max(),
    };
    if options.json {
        say(serde_json::to_string(&outcome)?);
    } else {
        show(&outcome);
    }
    if let Some(trouble) = load.trouble.as_ref().filter(|_| outcome.unanswered > 0) {
        note(format_args!("what went wrong last: {trouble}"));
    }
    let all_answered = outcome.answered > 0 && outcome.unanswered == 0;
    Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::cast_precision_loss, reason = "of so many, one more or less makes no difference")]
fn count(number: u64) -> f64 {
    number as f64
}

fn show(outcome: &Outcome) {
    let Outcome { answered, unanswered, seconds, rate, .. } = outcome;
    say(format_args!("answered      {answered} in {seconds:.2} s, {rate:.0} a second"));
    if *unanswered > 0 {
        say(format_args!("not answered  {unanswered}"));
    }
    if *answered == 0 {
        return note("nobody has answered: is the queue there, and has it a worker?");
    }
    if let Some(wanted) = outcome.rate_wanted.filter(|&wanted| *rate < 0.95 * f64::from(wanted)) {
        note(format_args!("the queue did not keep up with {wanted} a second"));
    }
    let times = [
        ("median", outcome.p50),
        ("90 %", outcome.p90),
        ("99 %", outcome.p99),
        ("99.9 %", outcome.p999),
        ("slowest", outcome.max),
    ];
    for (what, micros) in times {
        let text = super::status::time(count(micros) / 1e6);
        say(format_args!("{what:<14}{text}"));
    }
}
