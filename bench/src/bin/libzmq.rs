//! libzmq at default settings, its broker the loop of the guide.

use std::collections::VecDeque;

use bench::role::{OneWay, Role};
use bench::tally::Tally;
use zmq::{Context, DEALER, Error, Message, POLLIN, PollEvents, ROUTER};

fn main() -> Result<(), Error> {
    match Role::from_args() {
        Role::Broker { frontend, backend } => broker(&frontend, &backend),
        Role::Recv(run) => recv(&run),
        Role::Send(run) => send(&run),
    }
}

fn broker(frontend: &str, backend: &str) -> Result<(), Error> {
    let context = Context::new();
    let (clients, workers) = (context.socket(ROUTER)?, context.socket(ROUTER)?);
    clients.bind(frontend)?;
    workers.bind(backend)?;
    println!("ready");
    let mut idle = VecDeque::new();
    loop {
        let mut items = [workers.as_poll_item(POLLIN), clients.as_poll_item(POLLIN)];
        let watched = if idle.is_empty() { 1 } else { 2 };
        zmq::poll(&mut items[..watched], -1)?;
        let readable = items.map(|item| item.get_revents().contains(PollEvents::POLLIN));
        if readable[0] {
            let mut frames = workers.recv_multipart(0)?;
            idle.push_back(frames.remove(0));
            frames.remove(0);
            if frames != [b"READY"] {
                clients.send_multipart(frames, 0)?;
            }
        }
        if watched == 2 && readable[1] {
            let request = clients.recv_multipart(0)?;
            let worker = idle.pop_front().unwrap_or_default();
            workers.send_multipart([worker, Vec::new()].into_iter().chain(request), 0)?;
        }
    }
}

fn recv(run: &OneWay) -> Result<(), Error> {
    let context = Context::new();
    let router = context.socket(ROUTER)?;
    router.bind(&run.endpoint)?;
    println!("ready");
    let mut tally = Tally::new(run.time);
    let mut frame = Message::new();
    loop {
        router.recv(&mut frame, 0)?;
        router.recv(&mut frame, 0)?;
        if !tally.add(1) {
            break;
        }
    }
    tally.print();
    Ok(())
}

fn send(run: &OneWay) -> Result<(), Error> {
    let context = Context::new();
    let dealer = context.socket(DEALER)?;
    dealer.connect(&run.endpoint)?;
    let body = vec![b'x'; run.size];
    let mut tally = Tally::new(run.time);
    loop {
        dealer.send(&body[..], 0)?;
        if !tally.add(1) {
            break;
        }
    }
    // The end of the context waits until everything has been written.
    drop(dealer);
    drop(context);
    tally.print();
    Ok(())
}
