//! A REQ that asks again when there is no reply in time, and gives up after a few attempts.
//!
//! ```console
//! $ cargo run -p zmtp --example lazy_pirate
//! ```
//!
//! The REP answers, ends with a request unanswered and starts again, answers too late, and is gone for
//! good in the end. A late reply is never taken for the reply to a later request.

use std::error::Error;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zmtp::{Config, Endpoint, Message, Rep, Req, ReqError};

const TIMEOUT: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The same one again after the REP was away, and no other program's.
    let endpoint: Endpoint = format!("ipc://@lazy_pirate-{}", std::process::id()).parse()?;
    let mut req = Req::new(Config::default())?;
    req.connect(&endpoint)?;
    tokio::spawn(async move {
        let Err(error) = answer_unreliably(&endpoint).await else { return };
        println!("REP stops: {error}");
    });
    for question in ["first", "second", "third"] {
        match ask(&mut req, question).await? {
            Some(reply) => println!("{question} question: {reply:?}"),
            None => println!("{question} question: given up after {ATTEMPTS} attempts"),
        }
    }
    Ok(())
}

async fn ask(req: &mut Req, question: &str) -> Result<Option<Message>, Box<dyn Error>> {
    for attempt in 1..=ATTEMPTS {
        match timeout(TIMEOUT, req.request(Message::from(question))).await {
            Ok(Ok(reply)) => return Ok(Some(reply)),
            Ok(Err(ReqError::PeerLost(reason))) => println!("attempt {attempt}: {reason}"),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => println!("attempt {attempt}: no reply in time"),
        }
    }
    Ok(None)
}

async fn answer_unreliably(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let mut rep = Rep::new(Config::default())?;
    rep.bind(endpoint).await?;
    for number in 1..=4 {
        let request = rep.recv().await?;
        match number {
            2 => {
                rep.close().await;
                rep = Rep::new(Config::default())?;
                rep.bind(endpoint).await?;
            }
            3 => {
                sleep(TIMEOUT + TIMEOUT / 2).await;
                rep.send(Message::from("too late")).await?;
            }
            _ => rep.send(request.prefixed(&["the answer to"])).await?,
        }
    }
    rep.recv().await?;
    Ok(())
}
