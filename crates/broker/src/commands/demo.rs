//! `broker demo`

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use broker::{Broker, Config};
use tokio::task::JoinSet;
use tokio::time::sleep;
use zmtp::{Endpoint, Message, ReqError};

use super::seat::ready;
use super::worker::Job;
use crate::cli::Demo;
use crate::client;
use crate::output::{line, note, say};
use crate::signals::Signals;

/// What is said here is a few words.
const LARGEST: usize = 1024;

pub(crate) async fn run(options: &Demo) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    let start = Instant::now();
    let directory = tempfile::tempdir()?;
    let endpoint = |name: &str| format!("ipc://{}/{name}", directory.path().display()).parse();
    let (frontend, backend): (Endpoint, Endpoint) =
        (endpoint("frontend.ipc")?, endpoint("backend.ipc")?);
    let config = Config {
        frontend: vec![frontend.clone()],
        backend: vec![backend.clone()],
        ..Config::default()
    };
    let queue = tokio::spawn(Broker::bind(config).await?.run(std::future::pending()));

    let mut workers = JoinSet::new();
    for i in 0..options.workers {
        workers.spawn(worker(format!("PROCESSOR-{i}"), backend.clone()));
    }
    let mut clients = JoinSet::new();
    for i in 0..options.clients {
        clients.spawn(client(format!("CLIENT-{i}"), frontend.clone()));
    }
    let answered = async {
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::select! {
        result = answered => result?,
        Some(ended) = workers.join_next() => ended??,
        () = signals.next() => return Err("interrupted before every client had its reply".into()),
    }
    queue.abort();
    let Demo { clients, workers } = options;
    let seconds = start.elapsed().as_secs_f64();
    note(format_args!("{clients} requests answered by {workers} workers in {seconds:.1} s"));
    Ok(ExitCode::SUCCESS)
}

/// Asks for one to three seconds of work.
async fn client(name: String, frontend: Endpoint) -> Result<(), String> {
    let mut req = client::req(name.clone(), &frontend, LARGEST)?;
    let request = Message::from(fastrand::u8(1..=3).to_string());
    let reply = req.request(request).await.map_err(|error| error.to_string())?;
    say(format_args!("{name:>11}: REP {:>2}", line(reply.part(0).unwrap_or_default())));
    req.close().await;
    Ok(())
}

/// Sleeps for as many seconds as it is asked for, again and again.
async fn worker(name: String, backend: Endpoint) -> Result<(), String> {
    let mut req = client::req(name.clone(), &backend, LARGEST)?;
    let mut next = ready();
    loop {
        let job = match req.request(next).await {
            Ok(job) => Job::parse(job).ok_or("the queue sent something else than a request")?,
            Err(ReqError::PeerLost(_)) => return Err("the queue ended".into()),
            Err(error) => return Err(error.to_string()),
        };
        say(job.log(&name));
        let seconds = std::str::from_utf8(job.request()).ok().and_then(|text| text.parse().ok());
        sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
        next = job.reply(Some(&format!("OK from {name}")));
    }
}
