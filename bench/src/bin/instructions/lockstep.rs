//! Clients that always ask and workers that answer at once, in turns with the broker.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bench::peer::Peer;
use bench::wire::frame;

/// With a turn of the broker.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the broker at the other end of `control` do at least so many jobs. Returns how many it did.
pub fn serve(control: UnixStream, clients: usize, workers: usize, jobs: u64) -> io::Result<u64> {
    control.set_read_timeout(Some(PATIENCE))?;
    let mut broker = Turns(BufReader::new(control));
    let mut line = String::new();
    broker.0.read_line(&mut line)?;
    let (frontend, backend) = line
        .trim_end()
        .split_once(' ')
        .ok_or_else(|| io::Error::other("the broker did not start"))?;
    let mut workers = broker.meet(backend, workers)?;
    let mut clients = broker.meet(frontend, clients)?;
    let (ready, request) = (message(b"READY"), message(&[b'x'; 32]));
    broker.turn(|| {
        workers.iter().try_for_each(|worker| worker.send(&ready))?;
        clients.iter().try_for_each(|client| client.send(&request))
    })?;
    let mut done = 0;
    while done < jobs {
        broker.turn(|| {
            for worker in &mut workers {
                // A REQ sends the envelope back as it came.
                while let Some(message) = worker.receive()? {
                    worker.send(&message)?;
                }
            }
            for client in &mut clients {
                while client.receive()?.is_some() {
                    done += 1;
                    client.send(&request)?;
                }
            }
            Ok(())
        })?;
    }
    // All are gone before it goes on.
    broker.wait()?;
    drop((clients, workers));
    Ok(done)
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    frame(b"", true, &mut message);
    frame(body, false, &mut message);
    message
}

/// The broker says when it has nothing to do, and does nothing before it is told to.
struct Turns(BufReader<UnixStream>);

impl Turns {
    fn wait(&mut self) -> io::Result<()> {
        self.0.read_exact(&mut [0])
    }

    fn turn<T>(&mut self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.wait()?;
        let outcome = act()?;
        self.0.get_mut().write_all(b".")?;
        Ok(outcome)
    }

    /// One connection a turn.
    fn meet(&mut self, endpoint: &str, count: usize) -> io::Result<Vec<Peer>> {
        (0..count).map(|_| self.turn(|| Peer::connect(endpoint, "REQ"))).collect()
    }
}
