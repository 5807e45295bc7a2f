//! `broker config` and `broker check`

use std::path::Path;
use std::process::ExitCode;

use crate::cli::{self, Setting};
use crate::output::{note, say};

/// Prints what each option is and where that comes from, as a file would have it.
pub(crate) fn show(settings: &[Setting]) -> ExitCode {
    cli::misspelt_variables().iter().for_each(note);
    let lines: Vec<_> = settings.iter().map(|setting| (line(setting), &setting.source)).collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    for (line, source) in lines {
        say(format_args!("{line:<width$}  # {source}"));
    }
    ExitCode::SUCCESS
}

/// One that is not set is a comment.
fn line(setting: &Setting) -> String {
    let Setting { name, values, .. } = setting;
    match &values[..] {
        [] => format!("# {name} is not set"),
        [value] => format!("{name} = {}", literal(value)),
        values => {
            let values: Vec<_> = values.iter().map(|value| literal(value)).collect();
            format!("{name} = [{}]", values.join(", "))
        }
    }
}

/// A number where it is one in TOML as well, and else a string.
fn literal(value: &str) -> String {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_number =
        is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'));
    if is_number { value.to_owned() } else { toml_string(value) }
}

fn toml_string(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => text.push(c),
        }
    }
    text + "\""
}

/// Says what is wrong with a file.
pub(crate) fn check(path: &Path) -> ExitCode {
    match cli::check(path) {
        Ok(file) => {
            cli::doubts(&file).iter().for_each(note);
            say(format_args!("{}: {} options, nothing wrong", path.display(), file.entries.len()));
            ExitCode::SUCCESS
        }
        Err(complaints) => {
            complaints.iter().for_each(note);
            ExitCode::FAILURE
        }
    }
}
