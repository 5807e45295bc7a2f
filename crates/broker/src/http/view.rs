//! [`View`]: what can be read of a queue, and the page that shows it.

use std::time::Duration;

use broker::{Ended, Handle, Status};
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{StatusCode, Uri};
use serde::Serialize;
use tokio::time::timeout;

use super::{Answer, answer, parameter, plain};
use crate::connections::Connections;
use crate::faults;
use crate::history::History;
use crate::memory::Memory;
use crate::metrics;
use crate::status::Report;

pub(super) const PATHS: &str = "/, /metrics, /status, /history, /healthz and /readyz";

/// For the queue to say what it is at. One that takes longer is not well.
const ANSWER: Duration = Duration::from_secs(2);

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page runs nothing but its own script, whatever peers are called.
const PAGE_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What can be read of a queue.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) broker: Handle,
    pub(crate) memory: Memory,
}

impl View {
    /// None if there is nothing at this path.
    pub(super) async fn answer(&self, uri: &Uri) -> Option<Answer> {
        let is_well = |_| plain(StatusCode::OK, "ok");
        Some(match uri.path() {
            "/" => {
                let mut page = answer(StatusCode::OK, "text/html; charset=utf-8", PAGE);
                let policy = HeaderValue::from_static(PAGE_POLICY);
                page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
                page
            }
            "/page.css" => answer(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            "/page.js" => answer(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            "/metrics" => self.with_status(|status| self.metrics(status)).await,
            "/status" => self.with_status(|status| json(&self.report(&status))).await,
            "/history" => match parameter(uri, "after").as_deref().unwrap_or("0").parse() {
                Ok(after) => json(&History::read(&self.memory.history, after)),
                Err(_) => plain(StatusCode::BAD_REQUEST, "`after` is the number of a look"),
            },
            "/healthz" => self.with_status(is_well).await,
            "/readyz" => self.with_status(|status| ready(&status)).await,
            _ => return None,
        })
    }

    fn metrics(&self, status: Status) -> Answer {
        let text = metrics::text(status, Connections::read(&self.memory.connections));
        answer(StatusCode::OK, metrics::CONTENT_TYPE, text)
    }

    fn report(&self, status: &Status) -> Report {
        Report::new(status, self.memory.started.elapsed(), faults::read(&self.memory.faults))
    }

    async fn with_status(&self, tell: impl FnOnce(Status) -> Answer) -> Answer {
        match timeout(ANSWER, self.broker.status()).await {
            Ok(Ok(status)) => tell(status),
            Ok(Err(Ended)) => plain(StatusCode::SERVICE_UNAVAILABLE, "the queue has ended"),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer"),
        }
    }
}

/// Whether requests are taken, and by how many workers.
fn ready(status: &Status) -> Answer {
    let workers = match status.workers.len() {
        1 => "1 worker".to_owned(),
        count => format!("{count} workers"),
    };
    let (code, state) = match status {
        Status { journal_full: true, .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "no room for the journal")
        }
        Status { draining: true, .. } => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Status { paused: true, .. } => (StatusCode::SERVICE_UNAVAILABLE, "paused"),
        _ => (StatusCode::OK, "listening"),
    };
    plain(code, format!("{state}, {workers}"))
}

fn json(what: &impl Serialize) -> Answer {
    match serde_json::to_string_pretty(what) {
        Ok(text) => answer(StatusCode::OK, "application/json", text + "\n"),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
