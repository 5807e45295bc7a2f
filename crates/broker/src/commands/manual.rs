//! `broker completions` and `broker man`

use std::error::Error;
use std::path::Path;
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

/// Writes all manual pages.
pub(crate) fn write_pages(directory: &Path) -> Result<ExitCode, Box<dyn Error>> {
    clap_mangen::generate_to(cli::command(), directory)
        .map_err(|error| format!("the manual pages in {}: {error}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page of the program or of a command, or that of one of a command's own.
pub(crate) fn page(names: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let mut command = cli::command();
    // So that each command knows its whole name.
    command.build();
    let mut meant = &command;
    for name in names {
        meant = meant.find_subcommand(name).ok_or_else(|| {
            format!("there is no command {}; `broker help` lists all", names.join(" "))
        })?;
    }
    let mut text = Vec::new();
    Man::new(meant.clone()).render(&mut text)?;
    say_all(&text);
    Ok(ExitCode::SUCCESS)
}
