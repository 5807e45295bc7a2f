//! Tells who joins and who leaves: a ROUTER that looks at its events and at no message.
//!
//! ```console
//! $ cargo run -p zmtp --example peer_list -- tcp://127.0.0.1:5555
//! ```
//!
//! REQ, DEALER, ROUTER and REP sockets may connect, from any language that has ZeroMQ.

use std::error::Error;

use zmtp::{Config, Peer, PeerEvent, Router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or("tcp://127.0.0.1:5555".to_owned());
    let mut router = Router::new(Config::default())?;
    println!("listening on {}", router.bind(&endpoint.parse()?).await?);
    while let Some(event) = router.recv_event().await {
        match event {
            PeerEvent::Joined(peer) => println!("joined: {}", describe(&peer)),
            PeerEvent::Left(peer, reason) => println!("left: {}, {reason}", describe(&peer)),
            _ => {}
        }
    }
    Ok(())
}

fn describe(peer: &Peer) -> String {
    let name = match &peer.info.identity[..] {
        b"" => "anonymous".to_owned(),
        identity => identity.escape_ascii().to_string(),
    };
    format!("{} from {}, {name}", peer.info.socket_type, peer.address)
}
