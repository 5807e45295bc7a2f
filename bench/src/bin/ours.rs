//! The sockets of this project and its broker, at default settings.

use std::error::Error;

use bench::role::{OneWay, Role};
use bench::tally::Tally;
use broker::Broker;
use bytes::Bytes;
use zmtp::{Config, Dealer, Message, PeerEvent, Router};

/// Events taken at a time.
const BATCH: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Role::from_args() {
        Role::Broker { frontend, backend } => broker(&frontend, &backend).await,
        Role::Recv(run) => recv(run).await,
        Role::Send(run) => send(run).await,
    }
}

async fn broker(frontend: &str, backend: &str) -> Result<(), Box<dyn Error>> {
    let config = broker::Config {
        frontend: vec![frontend.parse()?],
        backend: vec![backend.parse()?],
        ..broker::Config::default()
    };
    let broker = Broker::bind(config).await?;
    println!("ready");
    tokio::spawn(broker.run(std::future::pending())).await?;
    Ok(())
}

async fn recv(run: OneWay) -> Result<(), Box<dyn Error>> {
    let mut router = Router::new(Config::default())?;
    router.bind(&run.endpoint.parse()?).await?;
    println!("ready");
    let mut tally = Tally::new(run.time);
    let mut events = Vec::with_capacity(BATCH);
    loop {
        router.recv_many(&mut events, BATCH).await;
        let is_message = |event: &PeerEvent| matches!(event, PeerEvent::Message(..));
        let messages = events.drain(..).filter(is_message).count();
        if messages > 0 && !tally.add(messages) {
            break;
        }
    }
    tally.print();
    Ok(())
}

async fn send(run: OneWay) -> Result<(), Box<dyn Error>> {
    let dealer = Dealer::new(Config::default())?;
    dealer.connect(&run.endpoint.parse()?)?;
    let body = Bytes::from(vec![b'x'; run.size]);
    let mut tally = Tally::new(run.time);
    loop {
        if let Err(full) = dealer.try_send(Message::from(&body)) {
            dealer.send(full.into_message()).await?;
        }
        if !tally.add(1) {
            break;
        }
    }
    dealer.close().await;
    tally.print();
    Ok(())
}
