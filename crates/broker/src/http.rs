//! [`Server`]: what a queue is at, over HTTP: for whoever asks at an address, read-only, or for its owner at a [Unix
//! socket](control), who may also tell it what to do.

mod client;
mod control;
mod socket_file;
mod view;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

pub(crate) use client::Place;
pub(crate) use control::{Control, Demand, NOT_SENT};
pub(crate) use socket_file::{SocketFile, bind_owned};
pub(crate) use view::View;

/// Connections at a time. For one more, the one makes room that has asked for nothing for longest.
const CONNECTIONS: usize = 64;

/// For a request to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// For an answer that anybody may ask for to be read.
const VISIT: Duration = Duration::from_secs(30);

/// After an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A body may be a stream.
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers requests at one address.
#[derive(Debug)]
pub(crate) struct Server {
    listener: Listener,
    door: Arc<Door>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Who asks, and for what.
#[derive(Debug)]
enum Door {
    /// Anybody, by an address or one of these names.
    Public(Vec<String>, View),
    Owner(Control, View),
}

impl Server {
    /// Serves what can be read.
    pub(crate) fn public(
        listener: std::net::TcpListener,
        hosts: Vec<String>,
        view: View,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = Listener::Tcp(TcpListener::from_std(listener)?);
        Ok(Self { listener, door: Arc::new(Door::Public(hosts, view)) })
    }

    /// Serves the owner of this process.
    pub(crate) fn owned(
        listener: std::os::unix::net::UnixListener,
        control: Control,
        view: View,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = Listener::Unix(UnixListener::from_std(listener)?);
        Ok(Self { listener, door: Arc::new(Door::Owner(control, view)) })
    }

    /// Serves for ever.
    pub(crate) async fn run(self) {
        let mut visits = Visits::default();
        loop {
            let door = self.door.clone();
            match &self.listener {
                Listener::Tcp(listener) => match listener.accept().await {
                    Ok((stream, _)) => visits.admit(TokioIo::new(stream), door).await,
                    Err(_) => sleep(PAUSE).await,
                },
                Listener::Unix(listener) => match listener.accept().await {
                    Ok((stream, _)) => visits.admit(TokioIo::new(stream), door).await,
                    Err(_) => sleep(PAUSE).await,
                },
            }
        }
    }
}

/// Connections that are served.
#[derive(Debug, Default)]
struct Visits {
    tasks: JoinSet<()>,
    /// Those that have not asked for anything when they were looked at last, the oldest first.
    silent: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
}

impl Visits {
    /// If there is no room, the one that has been silent longest makes some, or else the first that ends.
    async fn admit(&mut self, stream: impl Read + Write + Unpin + Send + 'static, door: Arc<Door>) {
        while self.tasks.try_join_next().is_some() {}
        self.silent
            .retain(|(task, has_asked)| !task.is_finished() && !has_asked.load(Ordering::Relaxed));
        if self.tasks.len() >= CONNECTIONS {
            if let Some((oldest, _)) = self.silent.pop_front() {
                oldest.abort();
            }
            self.tasks.join_next().await;
        }
        let has_asked = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(serve(stream, door, has_asked.clone()));
        self.silent.push_back((task, has_asked));
    }
}

impl Drop for Visits {
    /// Who has asked is answered by a server that takes no more.
    fn drop(&mut self) {
        self.tasks.detach_all();
    }
}

async fn serve(
    stream: impl Read + Write + Unpin + 'static,
    door: Arc<Door>,
    has_asked: Arc<AtomicBool>,
) {
    let service = service_fn(|request| {
        has_asked.store(true, Ordering::Relaxed);
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        // One that stayed would ask a queue that another process has.
        .keep_alive(false)
        .serve_connection(stream, service);
    let visit = match *door {
        Door::Public(..) => VISIT,
        // What it asks for may go on as long as it likes.
        Door::Owner(..) => Duration::MAX,
    };
    // Who asks in the wrong way has been told so.
    let _ = timeout(visit, connection).await;
}

impl Door {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let (view, commands) = match self {
            Self::Public(hosts, _) if !is_meant(hosts, request.headers().get(HOST)) => {
                let text =
                    "asked for by a name that is not this server's; `--http-host` allows more";
                return plain(StatusCode::MISDIRECTED_REQUEST, text);
            }
            Self::Public(_, view) => (view, ""),
            Self::Owner(control, view) => {
                if let Some(answer) = control.answer(request).await {
                    return answer;
                }
                (view, control::COMMANDS)
            }
        };
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        if !is_read && commands.is_empty() {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "this can only be read");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        if is_read && let Some(answer) = view.answer(request.uri()).await {
            return answer;
        }
        let (path, others) = (request.uri().path(), view::PATHS);
        plain(StatusCode::NOT_FOUND, format!("{path} is not here; {others} are{commands}"))
    }
}

/// A page that somebody else's name leads here is not to read what this says: only addresses and known names are asked
/// for.
fn is_meant(hosts: &[String], host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address =
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || name.parse::<IpAddr>().is_ok();
    is_address
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A value of a request's query.
fn parameter<'a>(uri: &'a hyper::Uri, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// One sentence.
fn plain(code: StatusCode, text: impl Into<String>) -> Answer {
    answer(code, "text/plain; charset=utf-8", text.into() + "\n")
}

fn answer(code: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()).boxed_unsync());
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use broker::Broker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::memory::Memory;

    async fn door() -> Door {
        let everywhere = "tcp://127.0.0.1:0".parse::<zmtp::Endpoint>().unwrap();
        let builder = Broker::builder().frontend(everywhere.clone()).backend(everywhere);
        let mut broker = builder.bind().await.unwrap();
        let view = View { broker: broker.handle(), memory: Memory::default() };
        Door::Public(Vec::new(), view)
    }

    #[tokio::test]
    async fn of_many_that_ask_for_nothing_the_oldest_make_room() {
        let mut visits = Visits::default();
        let mut silent = Vec::new();
        for _ in 0..=CONNECTIONS {
            let (visitor, stream) = tokio::io::duplex(64);
            visits.admit(TokioIo::new(stream), Arc::new(door().await)).await;
            silent.push(visitor);
        }
        assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0, "the first is closed");
        silent[1].write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_ne!(silent[1].read(&mut [0]).await.unwrap(), 0, "the second is not");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_the_answer_makes_room() {
        let (mut visitor, stream) = tokio::io::duplex(64);
        let served =
            tokio::spawn(serve(TokioIo::new(stream), Arc::new(door().await), Arc::default()));
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        served.await.unwrap();
        assert_eq!(begun.elapsed(), VISIT);
    }
}
