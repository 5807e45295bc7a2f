//! [`Server`]: what a queue is at, over HTTP, for programs that watch it. Read-only.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{Ended, Handle, Status};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::connections::{Connections, Shared};
use crate::metrics;
use crate::status::Report;

/// Connections at a time; others wait to be accepted.
const CONNECTIONS: usize = 64;

/// For a request to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// For the queue to say what it is at. One that takes longer is not well.
const ANSWER: Duration = Duration::from_secs(2);

/// After an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves what a queue is at.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    context: Arc<Context>,
}

#[derive(Debug)]
struct Context {
    started: Instant,
    /// Names it may be asked for by.
    hosts: Vec<String>,
    broker: Handle,
    connections: Shared,
}

impl Server {
    pub(crate) async fn bind(
        address: SocketAddr,
        hosts: Vec<String>,
        broker: Handle,
        connections: Shared,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot serve HTTP at {address}: {error}"))
        })?;
        let address = listener.local_addr()?;
        let context = Context { started: Instant::now(), hosts, broker, connections };
        Ok(Self { listener, address, context: Arc::new(context) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for ever.
    pub(crate) async fn run(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(place) = places.clone().acquire_owned().await {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let context = self.context.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let context = context.clone();
                    async move { Ok::<_, Infallible>(context.answer(&request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                // Who asks in the wrong way has been told so.
                let _ = connection.await;
                drop(place);
            });
        }
    }
}

type Answer = Response<Full<Bytes>>;

impl Context {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if !self.is_meant(request.headers().get(HOST)) {
            let text = "asked for by a name that is not this server's; `--http-host` allows more\n";
            return plain(StatusCode::MISDIRECTED_REQUEST, text);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "this can only be read\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/metrics" => {
                self.with_status(|status| {
                    let text = metrics::text(status, Connections::read(&self.connections));
                    answer(StatusCode::OK, metrics::CONTENT_TYPE, text)
                })
                .await
            }
            "/status" => {
                self.with_status(|status| {
                    let report = Report::new(&status, self.started.elapsed());
                    match serde_json::to_string_pretty(&report) {
                        Ok(text) => answer(StatusCode::OK, "application/json", text + "\n"),
                        Err(error) => {
                            plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
                        }
                    }
                })
                .await
            }
            "/healthz" => self.with_status(|_| plain(StatusCode::OK, "ok\n")).await,
            "/readyz" => self.with_status(|status| ready(&status)).await,
            path => {
                let text =
                    format!("{path} is not here; /metrics, /status, /healthz and /readyz are\n");
                plain(StatusCode::NOT_FOUND, text)
            }
        }
    }

    async fn with_status(&self, tell: impl FnOnce(Status) -> Answer) -> Answer {
        match timeout(ANSWER, self.broker.status()).await {
            Ok(Ok(status)) => tell(status),
            Ok(Err(Ended)) => plain(StatusCode::SERVICE_UNAVAILABLE, "the queue has ended\n"),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer\n"),
        }
    }

    /// A page that somebody else's name leads here is not to read what this says: only addresses and known names are asked
    /// for.
    fn is_meant(&self, host: Option<&HeaderValue>) -> bool {
        let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
        if host.parse::<SocketAddr>().is_ok() {
            return true;
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || name.parse::<IpAddr>().is_ok();
        is_address
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether requests are taken, and by how many workers.
fn ready(status: &Status) -> Answer {
    let workers = status.workers.len();
    if status.draining {
        return plain(StatusCode::SERVICE_UNAVAILABLE, format!("draining, {workers} workers\n"));
    }
    plain(StatusCode::OK, format!("listening, {workers} workers\n"))
}

fn plain(code: StatusCode, text: impl Into<String>) -> Answer {
    answer(code, "text/plain; charset=utf-8", text.into())
}

fn answer(code: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
