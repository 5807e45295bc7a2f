//! Sockets in a program without a runtime: each call waits until it is done, or for as long as it may.
//!
//! ```console
//! $ cargo run -p zmtp --features blocking --example blocking
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use zmtp::blocking::{Rep, Req};
use zmtp::{Config, Message};

fn main() -> Result<(), Box<dyn Error>> {
    let mut rep = Rep::new(Config::default())?;
    let endpoint = rep.bind(&"tcp://127.0.0.1:0".parse()?)?;
    println!("REP listens on {endpoint}");
    thread::spawn(move || {
        // The end of the program ends it, too.
        if let Err(error) = answer(&mut rep) {
            println!("REP stops: {error}");
        }
    });

    let mut req = Req::new(Config::default())?;
    req.set_timeout(Some(Duration::from_secs(10)));
    req.connect(&endpoint)?;
    for name in ["Ada", "Grace", "Barbara"] {
        let reply = req.request(Message::from(name))?;
        println!("REQ asked as {name} and got {reply:?}");
    }
    req.close();
    Ok(())
}

fn answer(rep: &mut Rep) -> Result<(), Box<dyn Error>> {
    loop {
        let request = rep.recv()?;
        rep.send(request.prefixed(&["Hello"]))?;
    }
}
