//! A ROUTER that works on many requests at once, and DEALER clients that send without waiting.
//!
//! ```console
//! $ cargo run -p zmtp --example async_server
//! ```
//!
//! Each request gets a task of its own, which replies through a `RouterSender` when it is done, so that
//! replies come in any order.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use zmtp::{Config, Dealer, Endpoint, Message, PeerId, Router, RouterSender};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new(Config::default())?;
    let endpoint = router.bind(&"tcp://127.0.0.1:0".parse()?).await?;
    println!("ROUTER listens on {endpoint}");
    let clients = async {
        tokio::try_join!(ask("Ada", &endpoint), ask("Grace", &endpoint), ask("Barbara", &endpoint))
    };
    tokio::select! {
        served = serve(router) => served,
        asked = clients => asked.map(|_| println!("all clients have their replies")),
    }
}

async fn serve(mut router: Router) -> Result<(), Box<dyn Error>> {
    // Who sends more than this many at a time waits in the socket's queue.
    let places = Arc::new(Semaphore::new(100));
    while let Some((client, request)) = router.recv().await {
        let place = places.clone().acquire_owned().await?;
        let sender = router.sender();
        tokio::spawn(async move {
            handle(sender, client, request).await;
            drop(place);
        });
    }
    Ok(())
}

async fn handle(sender: RouterSender, client: PeerId, request: Message) {
    // Work, and the more of it the shorter the request.
    let time = 50_u64.saturating_sub(request.body_size() as u64);
    sleep(Duration::from_millis(time)).await;
    if let Err(error) = sender.send(client, request.prefixed(&["done"])).await {
        println!("a reply came to nothing: {error}");
    }
}

async fn ask(name: &str, endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let mut dealer = Dealer::new(Config::default())?;
    dealer.connect(endpoint)?;
    let work = ["dig", "dig deeper", "dig deeper still"];
    for task in work {
        dealer.send(Message::from([task.to_owned(), format!("for {name}")])).await?;
    }
    for _ in work {
        let Some(reply) = dealer.recv().await else { break };
        println!("{name} got {reply:?}");
    }
    dealer.close().await;
    Ok(())
}
