//! `libzmq FRONTEND BACKEND`: the seed's loop on libzmq.

use std::collections::VecDeque;

use zmq::{Context, POLLIN, PollEvents, ROUTER};

fn main() -> Result<(), zmq::Error> {
    let args: Vec<String> = std::env::args().collect();
    let [_, frontend, backend] = &args[..] else { panic!("libzmq FRONTEND BACKEND") };
    let context = Context::new();
    let [frontend, backend] = [frontend, backend].map(|endpoint| {
        let router = context.socket(ROUTER).unwrap();
        router.bind(endpoint).unwrap();
        router
    });
    println!("ready");
    let mut idle = VecDeque::new();
    loop {
        let mut items = [backend.as_poll_item(POLLIN), frontend.as_poll_item(POLLIN)];
        let watched = if idle.is_empty() { 1 } else { 2 };
        zmq::poll(&mut items[..watched], -1)?;
        let readable = items.map(|item| item.get_revents().contains(PollEvents::POLLIN));
        if readable[0] {
            let mut frames = backend.recv_multipart(0)?;
            idle.push_back(frames.remove(0));
            frames.remove(0);
            if frames != [b"READY"] {
                frontend.send_multipart(frames, 0)?;
            }
        }
        if watched == 2 && readable[1] {
            let request = frontend.recv_multipart(0)?;
            let worker = idle.pop_front().unwrap_or_default();
            backend.send_multipart([worker, Vec::new()].into_iter().chain(request), 0)?;
        }
    }
}
