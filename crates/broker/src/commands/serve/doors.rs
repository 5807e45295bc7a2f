//! [`Doors`]: where the queue can be watched and told what to do, while it runs.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use tokio::task::JoinSet;

use crate::cli::Serve;
use crate::http::{Control, Server, SocketFile, View, bind_owned};
use crate::output::say;

/// Where the queue can be watched and told what to do. They are shut when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) listeners: Listeners,
    file: Option<SocketFile>,
    servers: JoinSet<()>,
}

/// What they listen with.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) http: Option<TcpListener>,
    pub(crate) control: Option<UnixListener>,
}

impl Doors {
    /// Opens those that are wanted, with listeners where there are some.
    pub(super) async fn open(options: &Serve, mut listeners: Listeners) -> io::Result<Self> {
        if let (Some(address), None) = (options.http, &listeners.http) {
            let listener = TcpListener::bind(address).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot serve HTTP at {address}: {error}"))
            })?;
            listeners.http = Some(listener);
        }
        let mut file = None;
        if let Some(path) = &options.control {
            if listeners.control.is_none() {
                listeners.control = Some(bind_owned(path).await?);
            }
            file = Some(SocketFile::of(path)?);
        }
        Ok(Self { listeners, file, servers: JoinSet::new() })
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.listeners.http.is_some() || self.listeners.control.is_some()
    }

    /// Lets people in.
    pub(super) fn serve(
        &mut self,
        options: &Serve,
        view: &View,
        control: Control,
    ) -> io::Result<()> {
        if let Some(http) = &self.listeners.http {
            say(format_args!("http http://{}", http.local_addr()?));
            let hosts = options.http_host.clone();
            let server = Server::public(http.try_clone()?, hosts, view.clone())?;
            self.servers.spawn(server.run());
        }
        if let (Some(listener), Some(file)) = (&self.listeners.control, &self.file) {
            say(format_args!("control {}", file.path().display()));
            let server = Server::owned(listener.try_clone()?, control, view.clone())?;
            self.servers.spawn(server.run());
        }
        Ok(())
    }

    /// Shuts them, and leaves what they listen with. Who is inside stays.
    pub(super) fn leave(self) -> Listeners {
        if let Some(file) = self.file {
            file.leave();
        }
        self.listeners
    }
}
