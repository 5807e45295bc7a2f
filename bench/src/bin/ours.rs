//! `ours FRONTEND BACKEND`: the broker of this project at its default settings.

use broker::{Broker, Config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, frontend, backend] = &args[..] else { panic!("ours FRONTEND BACKEND") };
    let config = Config {
        frontend: vec![frontend.parse()?],
        backend: vec![backend.parse()?],
        ..Config::default()
    };
    let broker = Broker::bind(config).await?;
    println!("ready");
    broker.run(std::future::pending()).await;
    Ok(())
}
