//! The crate `zeromq` (zmq.rs) at default settings.

use std::error::Error;

use bench::role::{OneWay, Role};
use bench::tally::Tally;
use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use zeromq::{DealerSocket, RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage, ZmqResult};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Role::from_args() {
        Role::Broker { frontend, backend } => broker(&frontend, &backend).await?,
        Role::Recv(run) => recv(run).await?,
        Role::Send(run) => send(run).await?,
    }
    Ok(())
}

/// Each direction is a task of its own, with the halves that `split` gives.
async fn broker(frontend: &str, backend: &str) -> ZmqResult<()> {
    let (mut clients, mut workers) = (RouterSocket::new(), RouterSocket::new());
    clients.bind(frontend).await?;
    workers.bind(backend).await?;
    println!("ready");
    let (mut to_clients, mut requests) = clients.split();
    let (mut to_workers, mut replies) = workers.split();
    let (idle, mut next_idle) = unbounded_channel::<Bytes>();
    let requests = tokio::spawn(async move {
        while let Some(worker) = next_idle.recv().await {
            let mut request = requests.recv().await?;
            request.push_front(Bytes::new());
            request.push_front(worker);
            to_workers.send(request).await?;
        }
        ZmqResult::Ok(())
    });
    let replies = tokio::spawn(async move {
        loop {
            let mut reply = replies.recv().await?;
            // The worker, a delimiter, and what it says.
            let reply_only = reply.split_off(2);
            let _ = idle.send(reply.into_vec().swap_remove(0));
            if reply_only.len() > 1 {
                to_clients.send(reply_only).await?;
            }
        }
    });
    tokio::select! {
        outcome = requests => outcome.expect("no panic"),
        outcome = replies => outcome.expect("no panic"),
    }
}

async fn recv(run: OneWay) -> ZmqResult<()> {
    let mut router = RouterSocket::new();
    router.bind(&run.endpoint).await?;
    println!("ready");
    let (_sender, mut receiver) = router.split();
    let mut tally = Tally::new(run.time);
    loop {
        receiver.recv().await?;
        if !tally.add(1) {
            break;
        }
    }
    tally.print();
    Ok(())
}

async fn send(run: OneWay) -> ZmqResult<()> {
    let mut dealer = DealerSocket::new();
    dealer.connect(&run.endpoint).await?;
    let body = Bytes::from(vec![b'x'; run.size]);
    let mut tally = Tally::new(run.time);
    loop {
        dealer.send(ZmqMessage::from(body.clone())).await?;
        if !tally.add(1) {
            break;
        }
    }
    dealer.close().await;
    tally.print();
    Ok(())
}
