//! libzmq's sockets in the roles of the seed.

use std::thread::JoinHandle;
use std::time::Duration;

use zmq::{Context, PollEvents, Socket, SocketType};

use crate::PATIENCE;

/// A libzmq socket that gives up after [`PATIENCE`] and keeps nothing back at the end.
#[must_use]
pub fn socket(context: &Context, socket_type: SocketType, identity: &str) -> Socket {
    let socket = context.socket(socket_type).unwrap();
    let patience = i32::try_from(PATIENCE.as_millis()).unwrap();
    socket.set_rcvtimeo(patience).unwrap();
    socket.set_sndtimeo(patience).unwrap();
    socket.set_linger(0).unwrap();
    if !identity.is_empty() {
        socket.set_identity(identity.as_bytes()).unwrap();
    }
    socket
}

/// Ends a context: what waits on its sockets fails, and this waits until they are closed.
pub fn end(context: &Context) {
    let mut context = context.clone();
    context.destroy().unwrap();
    // Dropping the last of it would end it again, or another context that is in its place by then.
    std::mem::forget(context);
}

/// Sends one request from a REQ socket of its own and returns the reply.
#[must_use]
pub fn request(endpoint: &str, identity: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let context = Context::new();
    let req = socket(&context, zmq::REQ, identity);
    req.connect(endpoint).unwrap();
    req.send_multipart(frames, 0).unwrap();
    req.recv_multipart(0).expect("a reply in time")
}

/// A thread with libzmq sockets that ends when this is dropped.
struct Service {
    context: Context,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// The sockets are made here and now: the thread may start after the context has ended.
    fn run<S: Send + 'static>(
        sockets: impl FnOnce(&Context) -> S,
        service: impl FnOnce(S) -> zmq::Result<()> + Send + 'static,
    ) -> Self {
        let context = Context::new();
        let sockets = sockets(&context);
        let thread = std::thread::spawn(move || match service(sockets) {
            Ok(()) | Err(zmq::Error::ETERM) => {}
            Err(error) => panic!("{error}"),
        });
        Self { context, thread: Some(thread) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        end(&self.context);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "a libzmq peer failed");
    }
}

/// A REQ worker: says READY and answers each request with its parts in reverse.
#[expect(missing_debug_implementations, reason = "a libzmq context has nothing to show")]
pub struct Worker(#[expect(dead_code, reason = "it runs until it is dropped")] Service);

impl Worker {
    /// A worker that takes this long for each request.
    #[must_use]
    pub fn start(endpoint: &str, identity: &str, time: Duration) -> Self {
        let connected = |context: &Context| {
            let req = socket(context, zmq::REQ, identity);
            req.set_rcvtimeo(-1).unwrap();
            req.connect(endpoint).unwrap();
            req
        };
        Self(Service::run(connected, move |req| {
            req.send("READY", 0)?;
            loop {
                let mut frames = req.recv_multipart(0)?;
                assert!(frames.len() >= 3 && frames[1].is_empty(), "[client][][request...]");
                std::thread::sleep(time);
                frames[2..].reverse();
                req.send_multipart(frames, 0)?;
            }
        }))
    }
}

/// The seed's queue: two ROUTER sockets and a list of idle workers.
#[expect(missing_debug_implementations, reason = "a libzmq context has nothing to show")]
pub struct Broker(#[expect(dead_code, reason = "it runs until it is dropped")] Service);

impl Broker {
    /// A queue that listens on these two endpoints.
    #[must_use]
    pub fn start(frontend: &str, backend: &str) -> Self {
        let bound = |context: &Context| {
            [frontend, backend].map(|endpoint| {
                let router = socket(context, zmq::ROUTER, "");
                router.bind(endpoint).unwrap();
                router
            })
        };
        Self(Service::run(bound, |[frontend, backend]| {
            let mut idle = Vec::new();
            loop {
                let mut items =
                    [backend.as_poll_item(zmq::POLLIN), frontend.as_poll_item(zmq::POLLIN)];
                let watched = if idle.is_empty() { 1 } else { 2 };
                zmq::poll(&mut items[..watched], -1)?;
                let readable = items.map(|item| item.get_revents().contains(PollEvents::POLLIN));
                if readable[0] {
                    let mut frames = backend.recv_multipart(0)?;
                    idle.push(frames.remove(0));
                    frames.remove(0);
                    if frames != [b"READY"] {
                        frontend.send_multipart(frames, 0)?;
                    }
                }
                if watched == 2 && readable[1] {
                    let request = frontend.recv_multipart(0)?;
                    let head = [idle.remove(0), Vec::new()];
                    backend.send_multipart(head.into_iter().chain(request), 0)?;
                }
            }
        }))
    }
}
