//! [`Subject`]: what is measured, as it runs under valgrind.

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use bench::codec::{Shape, connection, decode, encode, shapes};
use bench::lru::Lru;
use broker::Config;
use tokio::runtime::Builder;
use tokio::sync::Notify;

#[derive(Clone, Copy)]
pub enum Subject {
    /// Messages of the shape with this name.
    Decode(&'static str),
    Encode(&'static str),
    /// Clients and workers.
    Queue(usize, usize),
    Broker(usize, usize),
    /// With what metrics need.
    Watched(usize, usize),
}

impl Subject {
    /// So many messages or jobs. The broker has as many as `lockstep` gives it.
    pub fn run(self, count: u64) -> io::Result<()> {
        match self {
            Self::Decode(name) => {
                let (mut connection, shape) = (connection(), shape(name));
                let wire = shape.wire();
                (0..count / shape.batch as u64).for_each(|_| decode(&mut connection, &wire));
            }
            Self::Encode(name) => {
                let (mut connection, shape) = (connection(), shape(name));
                (0..count / shape.batch as u64).for_each(|_| encode(&mut connection, &shape));
            }
            Self::Queue(clients, workers) => {
                let mut lru = Lru::new(clients, workers)?;
                (0..count).for_each(|_| lru.job());
            }
            Self::Broker(..) | Self::Watched(..) => {
                let is_watched = matches!(self, Self::Watched(..));
                broker(is_watched).map_err(|error| io::Error::other(error.to_string()))?;
            }
        }
        Ok(())
    }
}

fn shape(name: &str) -> Shape {
    shapes().into_iter().find(|shape| shape.name == name).expect("a shape of this name")
}

/// A broker at its default settings that lets the other end of standard input have its turn
/// whenever it has nothing more to do. What comes together does not depend on time then.
fn broker(is_watched: bool) -> Result<(), Box<dyn Error>> {
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let gate = Arc::new(OnceLock::new());
    let ended = Arc::new(Notify::new());
    let pause = {
        let (gate, ended) = (gate.clone(), ended.clone());
        move || {
            if gate.get().is_some_and(|control| take_turns(control).is_err()) {
                ended.notify_one();
            }
        }
    };
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(pause).build()?;
    runtime.block_on(async {
        let frontend = vec!["ipc://*".parse()?];
        let backend = vec!["ipc://*".parse()?];
        let mut builder = broker::Builder::from(Config { frontend, backend, ..Config::default() });
        if is_watched {
            builder = builder.times();
        }
        let mut broker = builder.bind().await?;
        let _handle = is_watched.then(|| broker.handle());
        writeln!(control, "{} {}", broker.frontend()[0], broker.backend()[0])?;
        gate.set(control).expect("set once");
        tokio::spawn(async move { broker.run(ended.notified()).await }).await?;
        Ok(())
    })
}

fn take_turns(mut control: &UnixStream) -> io::Result<()> {
    control.write_all(b".")?;
    control.read_exact(&mut [0])
}
