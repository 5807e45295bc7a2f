//! The crate `omq-tokio`, at default settings but for the linger of its senders, which is none.

use std::time::Duration;

use bench::role::{OneWay, Role};
use bench::tally::Tally;
use bytes::Bytes;
use omq_tokio::message::MAX_INLINE_MESSAGE;
use omq_tokio::{Endpoint, Identity, Message, Options, Result, Socket, SocketType, TrySendError};
use tokio::sync::mpsc::unbounded_channel;

/// Messages taken at a time.
const BATCH: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Role::from_args() {
        Role::Broker { frontend, backend } => broker(&frontend, &backend).await,
        Role::Recv(run) => recv(run).await,
        Role::Send(run) => send(run).await,
    }
}

async fn router(endpoint: &str) -> Result<Socket> {
    let router = Socket::new(SocketType::Router, Options::default());
    router.bind(endpoint.parse::<Endpoint>()?).await?;
    Ok(router)
}

async fn broker(frontend: &str, backend: &str) -> Result<()> {
    let clients = router(frontend).await?;
    let workers = router(backend).await?.identity_routing()?;
    println!("ready");
    let (idle, mut next_idle) = unbounded_channel::<Identity>();
    let (to_clients, to_workers) = (clients.clone(), workers.clone());
    let requests = tokio::spawn(async move {
        while let Some(worker) = next_idle.recv().await {
            let request = clients.recv().await?;
            to_workers.send_to(&worker, Message::with_prefix(Bytes::new(), request)).await?;
        }
        Ok(())
    });
    let replies = tokio::spawn(async move {
        loop {
            let (worker, mut reply) = workers.recv_from().await?;
            let _ = idle.send(worker);
            // The delimiter.
            reply.pop_front();
            if reply.len() > 1 {
                to_clients.send(reply).await?;
            }
        }
    });
    tokio::select! {
        outcome = requests => outcome.expect("no panic"),
        outcome = replies => outcome.expect("no panic"),
    }
}

async fn recv(run: OneWay) -> Result<()> {
    let router = router(&run.endpoint).await?;
    println!("ready");
    let mut tally = Tally::new(run.time);
    let mut messages = Vec::with_capacity(BATCH);
    loop {
        let count = router.recv_many_into(BATCH, &mut messages).await?;
        messages.clear();
        if !tally.add(count) {
            break;
        }
    }
    tally.print();
    Ok(())
}

async fn send(run: OneWay) -> Result<()> {
    let options = Options::default().linger(Duration::from_secs(10));
    let dealer = Socket::new(SocketType::Dealer, options);
    dealer.connect(run.endpoint.parse::<Endpoint>()?).await?;
    let body = Bytes::from(vec![b'x'; run.size]);
    let mut tally = Tally::new(run.time);
    loop {
        let message = match body.len() {
            ..=MAX_INLINE_MESSAGE => Message::from_slice(&body),
            _ => Message::single(body.clone()),
        };
        match dealer.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => dealer.send(message).await?,
            Err(error) => panic!("{error}"),
        }
        if !tally.add(1) {
            break;
        }
    }
    dealer.close().await?;
    tally.print();
    Ok(())
}
