//! A REQ socket for those that talk to a queue.

use std::time::Duration;

use tokio::time::timeout;
use zmtp::{Config, Endpoint, Message, Monitor, MonitorEvent, Req};

/// For the last reply of a worker to get through, however large it is.
const LINGER: Duration = Duration::from_secs(30);

/// A REQ socket that announces `identity` and connects to `endpoint`. It takes messages of at most so many bytes, and those with
/// what a queue puts in front.
pub(crate) fn req(identity: String, endpoint: &Endpoint, most: usize) -> Result<Req, String> {
    let config = Config::default()
        .with_identity(identity)
        .with_linger(LINGER)
        .with_limits(broker::backend_limits(most));
    let req = Req::new(config).map_err(|error| error.to_string())?;
    req.connect(endpoint).map_err(|error| error.to_string())?;
    Ok(req)
}

/// The reply to a request that is sent over a socket of its own.
pub(crate) async fn ask(
    identity: String,
    endpoint: &Endpoint,
    most: usize,
    request: Message,
    patience: Duration,
) -> Result<Message, String> {
    let mut req = req(identity, endpoint, most)?;
    let mut monitor = req.monitor();
    let Ok(reply) = timeout(patience, req.request(request)).await else {
        let seconds = patience.as_secs_f64();
        let why = trouble(&mut monitor).await.map_or(String::new(), |why| format!(": {why}"));
        return Err(format!("no reply from {endpoint} within {seconds} s{why}"));
    };
    let reply = reply.map_err(|error| error.to_string())?;
    req.close().await;
    Ok(reply)
}

/// Why there is no connection, if the last that was told of it is that there is none.
async fn trouble(monitor: &mut Monitor) -> Option<String> {
    let mut trouble = None;
    while let Ok(Some(event)) = timeout(Duration::ZERO, monitor.recv()).await {
        trouble = match event {
            MonitorEvent::ConnectFailed(_, error) => Some(format!("cannot connect: {error}")),
            MonitorEvent::HandshakeFailed(_, reason) => Some(format!("connected, but {reason}")),
            MonitorEvent::HandshakeSucceeded(_) => None,
            _ => trouble,
        };
    }
    trouble
}
