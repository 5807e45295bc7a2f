//! What the program does, one command a file.

mod bench;
mod config;
mod control;
mod dead_letters;
mod demo;
mod manual;
mod reload;
mod request;
mod seat;
mod serve;
mod status;
#[cfg(feature = "top")]
mod top;
mod work;
mod worker;

use std::error::Error;
use std::process::ExitCode;

use crate::cli::{Command, Setting};

pub(crate) async fn run(
    command: Command,
    settings: Vec<Setting>,
) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Config(_) => Ok(config::show(&settings)),
        Command::Check { file } => Ok(config::check(&file)),
        Command::Serve(options) => serve::run(*options, settings).await,
        Command::Completions { shell } => Ok(manual::complete(shell)),
        Command::Man { directory: Some(directory), .. } => manual::write_pages(&directory),
        Command::Man { command, .. } => manual::page(&command),
        Command::Status(options) => status::run(&options).await,
        #[cfg(feature = "top")]
        Command::Top(options) => top::run(&options).await,
        Command::Tap(options) => control::tap(options).await,
        Command::Pause(at) => control::run(at, "/pause").await,
        Command::Resume(at) => control::run(at, "/resume").await,
        Command::Upgrade(at) => control::upgrade(at).await,
        Command::Drain(at) => control::run(at, "/drain").await,
        Command::Quarantine(of) => control::with_worker(of, "/quarantine").await,
        Command::Release(of) => control::with_worker(of, "/release").await,
        Command::Demo(options) => demo::run(&options).await,
        Command::Request(options) => request::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::Work(options) => work::run(options).await,
        Command::Worker(options) => worker::run(options).await,
        Command::DeadLetters(command) => dead_letters::run(command).await,
    }
}
