//! The program `broker`: see `broker --help`.

#![warn(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a peer sends must not be able to end the process"
)]

mod cli;
mod client;
mod commands;
mod connections;
mod dead_letters;
mod descriptors;
mod faults;
mod history;
mod http;
mod log;
mod memory;
mod metrics;
mod names;
mod output;
mod passing;
mod signals;
mod status;
mod systemd;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let (command, settings) = match cli::parse(&args) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    // One thread: a queue is serial by nature, and to hand messages to another thread costs more
    // than it brings.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(command, settings));
            // A host name that is being looked up is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(format!("cannot start the runtime: {error}").into()),
    };
    result.unwrap_or_else(|error| {
        output::fail(error);
        ExitCode::FAILURE
    })
}
