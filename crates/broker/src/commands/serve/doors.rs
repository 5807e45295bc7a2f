//! [`Doors`]: where the queue can be watched and told what to do, while it runs.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

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
    /// Opens those that are wanted, where the process before had them if there was one.
    pub(super) async fn open(options: &Serve, listeners: Listeners) -> io::Result<Self> {
        let http = match (listeners.http, options.http) {
            // systemd listens without an option for it, and one that is there stays.
            (Some(listener), _) => Some(listener),
            (None, Some(address)) => {
                let listener = TcpListener::bind(address).map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot serve HTTP at {address}: {error}"))
                })?;
                Some(listener)
            }
            (None, None) => None,
        };
        let (mut file, mut control) = (None, listeners.control);
        if let (None, Some(path)) = (&control, &options.control) {
            control = Some(bind_owned(path).await?);
            file = Some(SocketFile::of(path)?);
        }
        let listeners = Listeners { http, control };
        Ok(Self { listeners, file, servers: JoinSet::new() })
    }

    /// The file of the control socket goes with this one from now on, if there is one.
    pub(super) fn claim_file(&mut self) {
        let address = self.listeners.control.as_ref().and_then(|it| it.local_addr().ok());
        if let (None, Some(path)) = (&self.file, address.as_ref().and_then(|it| it.as_pathname())) {
            self.file = SocketFile::of(path).ok();
        }
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
            let hosts = options.http_host.clone();
            let server = Server::public(http.try_clone()?, hosts, view.clone())?;
            self.servers.spawn(server.run());
        }
        if let Some(listener) = &self.listeners.control {
            let server = Server::owned(listener.try_clone()?, control, view.clone())?;
            self.servers.spawn(server.run());
        }
        Ok(())
    }

    /// Says where they are.
    pub(super) fn tell(&self) -> io::Result<()> {
        if let Some(http) = &self.listeners.http {
            say(format_args!("http http://{}", http.local_addr()?));
        }
        if let Some(listener) = &self.listeners.control {
            let address = listener.local_addr()?;
            let path = std::path::absolute(address.as_pathname().unwrap_or(Path::new("")))?;
            say(format_args!("control {}", path.display()));
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
