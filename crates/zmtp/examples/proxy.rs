//! A queue between REQ clients and REP workers: a ROUTER in front of a DEALER.
//!
//! ```console
//! $ cargo run -p zmtp --example proxy -- tcp://127.0.0.1:5555 tcp://127.0.0.1:5556
//! ```
//!
//! Clients connect to the first endpoint and workers to the second. The routing id of the client
//! goes in front of its request, and the worker sends it back with the reply.

use std::error::Error;

use zmtp::{Config, Dealer, Message, Router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = |i, default: &str| std::env::args().nth(i).unwrap_or(default.to_owned());
    let front = Router::new(Config::default())?;
    let back = Dealer::new(Config::default())?;
    let clients = front.bind(&endpoint(1, "tcp://127.0.0.1:5555").parse()?).await?;
    let workers = back.bind(&endpoint(2, "tcp://127.0.0.1:5556").parse()?).await?;
    println!("clients connect to {clients}");
    println!("workers connect to {workers}");
    forward(front, back).await
}

async fn forward(mut front: Router, mut back: Dealer) -> Result<(), Box<dyn Error>> {
    let workers = back.sender();
    // A request that waits for a worker holds up the requests behind it, and no reply.
    let mut waiting: Option<Message> = None;
    loop {
        tokio::select! {
            Some((client, request)) = front.recv(), if waiting.is_none() => {
                // A client that has left by now does not wait for a reply.
                let client = front.peer(client);
                waiting = client.map(|client| request.prefixed(&[&client.routing_id]));
            }
            sent = workers.send(waiting.clone().unwrap_or_default()), if waiting.is_some() => {
                sent?;
                waiting = None;
            }
            Some(mut reply) = back.recv() => {
                let client = reply.pop_front().unwrap_or_default();
                if let Err(error) = front.send_to(&client, reply).await {
                    println!("a reply came to nothing: {error}");
                }
            }
        }
    }
}
