//! A REP answers a REQ: one request, one reply, then the next.
//!
//! ```console
//! $ cargo run -p zmtp --example request_reply
//! ```
//!
//! Both are in one program here. In two programs, one binds a fixed endpoint and the other connects to
//! it; either may start first.

use std::error::Error;

use zmtp::{Config, Endpoint, Message, Rep, Req};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rep = Rep::new(Config::default())?;
    let endpoint = rep.bind(&"tcp://127.0.0.1:0".parse()?).await?;
    println!("REP listens on {endpoint}");
    tokio::select! {
        served = answer(rep) => served,
        asked = ask(&endpoint) => asked,
    }
}

async fn answer(mut rep: Rep) -> Result<(), Box<dyn Error>> {
    loop {
        let request = rep.recv().await?;
        let name = String::from_utf8_lossy(request.part(0).unwrap_or_default());
        rep.send(Message::from(format!("Hello, {name}!"))).await?;
    }
}

async fn ask(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let mut req = Req::new(Config::default())?;
    req.connect(endpoint)?;
    for name in ["Ada", "Grace", "Barbara"] {
        let reply = req.request(Message::from(name)).await?;
        println!("REQ asked as {name} and got {reply:?}");
    }
    req.close().await;
    Ok(())
}
