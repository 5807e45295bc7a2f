//! The crate `rzmq`, at default settings but for those without which it does not do the job.

use bench::role::{OneWay, Role};
use bench::tally::Tally;
use bytes::Bytes;
use rzmq::socket::options::{AUTO_DELIMITER, MAX_CONNECTIONS};
use rzmq::{Context, Msg, MsgFlags, Socket, SocketType, ZmqError};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ZmqError> {
    match Role::from_args() {
        Role::Broker { frontend, backend } => broker(&frontend, &backend).await,
        Role::Recv(run) => recv(run).await,
        Role::Send(run) => send(run).await,
    }
}

/// A ROUTER that leaves delimiters alone, as other implementations do, and takes more than 1024
/// connections.
async fn router(context: &Context, endpoint: &str) -> Result<Socket, ZmqError> {
    let router = context.socket(SocketType::Router)?;
    router.set_option(AUTO_DELIMITER, false).await?;
    router.set_option(MAX_CONNECTIONS, 20_000).await?;
    router.bind(endpoint).await?;
    Ok(router)
}

async fn broker(frontend: &str, backend: &str) -> Result<(), ZmqError> {
    let context = Context::new()?;
    let (clients, workers) = (router(&context, frontend).await?, router(&context, backend).await?);
    println!("ready");
    let (idle, mut next_idle) = unbounded_channel::<Msg>();
    let (to_clients, to_workers) = (clients.clone(), workers.clone());
    // `send_multipart` sends an empty part without MORE unless it is set.
    let mut delimiter = Msg::new();
    delimiter.set_flags(MsgFlags::MORE);
    let requests = tokio::spawn(async move {
        while let Some(worker) = next_idle.recv().await {
            let request = clients.recv_multipart().await?;
            let message = [worker, delimiter.clone()].into_iter().chain(request).collect();
            to_workers.send_multipart(message).await?;
        }
        Ok(())
    });
    let replies = tokio::spawn(async move {
        loop {
            // The worker, a delimiter, and what it says.
            let mut frames = workers.recv_multipart().await?;
            let reply = frames.split_off(2);
            let _ = idle.send(frames.swap_remove(0));
            if reply.len() > 1 {
                to_clients.send_multipart(reply).await?;
            }
        }
    });
    tokio::select! {
        outcome = requests => outcome.expect("no panic"),
        outcome = replies => outcome.expect("no panic"),
    }
}

async fn recv(run: OneWay) -> Result<(), ZmqError> {
    let context = Context::new()?;
    let router = router(&context, &run.endpoint).await?;
    println!("ready");
    let mut tally = Tally::new(run.time);
    loop {
        router.recv_multipart().await?;
        if !tally.add(1) {
            break;
        }
    }
    tally.print();
    Ok(())
}

async fn send(run: OneWay) -> Result<(), ZmqError> {
    let context = Context::new()?;
    let dealer = context.socket(SocketType::Dealer)?;
    dealer.set_option(AUTO_DELIMITER, false).await?;
    dealer.connect(&run.endpoint).await?;
    let body = Bytes::from(vec![b'x'; run.size]);
    let mut tally = Tally::new(run.time);
    loop {
        dealer.send(Msg::from_bytes(body.clone())).await?;
        if !tally.add(1) {
            break;
        }
    }
    context.term().await?;
    tally.print();
    Ok(())
}
