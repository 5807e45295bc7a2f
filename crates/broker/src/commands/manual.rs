//! `broker completions` and `broker man`

use std::error::Error;
use std::process::ExitCode;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli;
use crate::output::say_all;

/// Prints what completes the options in a shell.
pub(crate) fn complete(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "broker", &mut text);
    say_all(&text);
    ExitCode::SUCCESS
}

/// Prints the manual page of the program or of a command.
pub(crate) fn page(name: Option<&str>) -> Result<ExitCode, Box<dyn Error>> {
    let mut command = cli::command();
    // So that each command knows its whole name.
    command.build();
    let meant = match name {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .ok_or_else(|| format!("there is no command {name}; `broker help` lists all"))?
            .clone(),
    };
    let mut text = Vec::new();
    Man::new(meant).render(&mut text)?;
    say_all(&text);
    Ok(ExitCode::SUCCESS)
}
