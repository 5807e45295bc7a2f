//! Ends on ctrl-c or SIGTERM: what is queued has a second to leave, and what does not is told.
//!
//! ```console
//! $ cargo run -p zmtp --example graceful_shutdown -- tcp://127.0.0.1:5555
//! ```
//!
//! A DEALER sends a report ten times a second. If nobody listens there, no report leaves.

use std::error::Error;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;
use zmtp::{Config, Dealer, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or("tcp://127.0.0.1:5555".to_owned());
    let mut dealer = Dealer::new(Config::default().with_linger(Duration::from_secs(1)))?;
    dealer.connect(&endpoint.parse()?)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut clock = interval(Duration::from_millis(100));
    println!("reporting to {endpoint}; ctrl-c ends it");

    let mut reports = 0;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            Some(message) = dealer.recv() => println!("received {message:?}"),
            _ = clock.tick() => {
                reports += 1;
                // To wait for room would be to miss a signal.
                match dealer.try_send(Message::from(format!("report {reports}"))) {
                    Ok(()) => println!("report {reports} is on its way"),
                    Err(error) => println!("report {reports} is left out: {error}"),
                }
            }
        }
    }

    println!("stopping after {reports} reports");
    for unsent in dealer.close().await {
        println!("not delivered to {}: {} messages", unsent.address, unsent.messages.len());
    }
    println!("stopped");
    Ok(())
}
