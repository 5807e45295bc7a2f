//! What is told of endpoints and connections.

use tokio::task::JoinHandle;
use zmtp::{Monitor, MonitorEvent};

use crate::note;
use crate::options::{Options, Type};

/// Tells of connections as they come and go, until the socket is gone.
pub(crate) fn watch(mut monitor: Monitor, options: &Options) -> JoinHandle<()> {
    let everything = options.monitor;
    // DEALER and ROUTER tell more of their peers by themselves.
    let joins = options.events && matches!(options.socket_type, Type::Req | Type::Rep);
    tokio::spawn(async move {
        while let Some(event) = monitor.recv().await {
            match &event {
                MonitorEvent::HandshakeSucceeded(address) if joins => {
                    note(format_args!("joined {address}"));
                }
                MonitorEvent::Disconnected(address, reason) if joins => {
                    note(format_args!("left {address}: {reason}"));
                }
                _ => {}
            }
            if everything {
                note(format_args!("monitor {}", describe(&event)));
            }
        }
    })
}

fn describe(event: &MonitorEvent) -> String {
    match event {
        MonitorEvent::Listening(endpoint) => format!("listening {endpoint}"),
        MonitorEvent::BindFailed(endpoint, error) => format!("bind-failed {endpoint}: {error}"),
        MonitorEvent::Closed(endpoint) => format!("closed {endpoint}"),
        MonitorEvent::Accepted(address) => format!("accepted {address}"),
        MonitorEvent::AcceptFailed(endpoint, error) => format!("accept-failed {endpoint}: {error}"),
        MonitorEvent::Refused(address) => format!("refused {address}"),
        MonitorEvent::Connected(address) => format!("connected {address}"),
        MonitorEvent::ConnectDelayed(address) => format!("connect-delayed {address}"),
        MonitorEvent::ConnectFailed(address, error) => format!("connect-failed {address}: {error}"),
        MonitorEvent::ConnectRetried(address, pause) => {
            format!("connect-retried {address}: after {pause:?}")
        }
        MonitorEvent::HandshakeSucceeded(address) => format!("handshake-succeeded {address}"),
        MonitorEvent::HandshakeFailed(address, reason) => {
            format!("handshake-failed {address}: {reason}")
        }
        MonitorEvent::Disconnected(address, reason) => format!("disconnected {address}: {reason}"),
        other => format!("{other:?}"),
    }
}
