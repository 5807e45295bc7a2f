//! [`Place`]: asks a queue that serves HTTP, or that can be controlled.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// For an answer to begin, and to go on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a queue can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Http(SocketAddr),
    Control(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => write!(f, "http://{address}"),
            Self::Control(path) => path.display().fmt(f),
        }
    }
}

/// What is read as it comes.
#[derive(Debug)]
pub(crate) struct Reply {
    body: Incoming,
    /// What has come of a line that is not whole.
    begun: Vec<u8>,
}

impl Place {
    /// What there is at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<String, String> {
        match timeout(PATIENCE, async { self.ask(Method::GET, path).await?.text().await }).await {
            Ok(text) => text,
            Err(_) => Err(self.trouble("no answer in time")),
        }
    }

    /// Asks for something. An answer that says no is an error.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Result<Reply, String> {
        self.ask_within(PATIENCE, method, path).await
    }

    /// Asks for something that takes its time.
    pub(crate) async fn ask_within(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
    ) -> Result<Reply, String> {
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| self.trouble(error))?;
        let mut sender = self.connect().await?;
        let answer = match timeout(patience, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| self.trouble(error))?,
            Err(_) => return Err(self.trouble("no answer in time")),
        };
        let code = answer.status();
        let reply = Reply { body: answer.into_body(), begun: Vec::new() };
        if code == StatusCode::OK {
            return Ok(reply);
        }
        let text = reply.text().await?;
        Err(if text.is_empty() { self.trouble(code) } else { text })
    }

    async fn connect(&self) -> Result<http1::SendRequest<Empty<Bytes>>, String> {
        let connection = match self {
            Self::Http(address) => match TcpStream::connect(address).await {
                Ok(stream) => http1::handshake(TokioIo::new(stream)).await.map(|(sender, rest)| {
                    tokio::spawn(rest);
                    sender
                }),
                Err(error) => return Err(self.unreachable(&error)),
            },
            Self::Control(path) => match UnixStream::connect(path).await {
                Ok(stream) => http1::handshake(TokioIo::new(stream)).await.map(|(sender, rest)| {
                    tokio::spawn(rest);
                    sender
                }),
                Err(error) => return Err(self.unreachable(&error)),
            },
        };
        connection.map_err(|error| self.trouble(error))
    }

    fn unreachable(&self, error: &io::Error) -> String {
        let next = match self {
            Self::Http(_) => {
                "`serve` with `--http` makes one, and `--control PATH` looks at one over its control socket"
            }
            Self::Control(_) => "`serve` with `--control` makes one",
        };
        format!("no queue at {self}: {error}; {next}")
    }

    fn trouble(&self, what: impl fmt::Display) -> String {
        format!("{self}: {what}")
    }
}

impl Reply {
    /// All of it, without the last end of a line.
    pub(crate) async fn text(self) -> Result<String, String> {
        let body = self.body.collect().await.map_err(|error| format!("cut off: {error}"))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).trim_end().to_owned();
        Ok(text)
    }

    /// The next line. It is cancel safe.
    pub(crate) async fn line(&mut self) -> Option<Result<String, String>> {
        loop {
            if let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
                let line = self.begun.drain(..=end).as_slice().trim_ascii_end().to_vec();
                return Some(Ok(String::from_utf8_lossy(&line).into_owned()));
            }
            match self.body.frame().await? {
                Ok(frame) => self.begun.extend(frame.into_data().unwrap_or_default()),
                Err(error) => return Some(Err(format!("cut off: {error}"))),
            }
        }
    }
}
