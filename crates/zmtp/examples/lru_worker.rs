//! A REQ that works for the LRU broker: it says READY, and then answers each `[client, "", request...]`
//! with `[client, "", reply...]`.
//!
//! ```console
//! $ cargo run -p broker -- serve
//! $ cargo run -p zmtp --example lru_worker -- ipc://backend.ipc
//! $ cargo run -p broker -- request --connect ipc://frontend.ipc "some text"
//! ```

use std::error::Error;

use zmtp::{Config, Message, Req, ReqError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or("ipc://backend.ipc".to_owned());
    let mut req = Req::new(Config::default())?;
    req.connect(&endpoint.parse()?)?;
    println!("working for {endpoint}");
    let mut next = Message::from("READY");
    loop {
        next = match req.request(next).await {
            Ok(request) => answer(request),
            // It comes back, and does not know this worker any more.
            Err(ReqError::PeerLost(reason)) => {
                println!("the broker is gone: {reason}");
                Message::from("READY")
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The request in capitals, or READY again if it is none.
fn answer(mut request: Message) -> Message {
    if request.len() < 3 || request.part(1) != Some(b"") {
        println!("not a request: {request:?}");
        return Message::from("READY");
    }
    let client = request.pop_front().unwrap_or_default();
    request.skip(1);
    println!("request {request:?}");
    let reply: Message = request.parts().map(<[u8]>::to_ascii_uppercase).collect();
    reply.prefixed(&[&client[..], b""])
}
