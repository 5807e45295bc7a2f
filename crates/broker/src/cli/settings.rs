//! [`Setting`]: what an option of `broker serve` is, and where that comes from.
//!
//! The command line comes before the environment, that before a file, and that before what is built in. All have one set of
//! names: `--max-waiting`, `BROKER_MAX_WAITING`, `max-waiting`.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};

use super::conflicts::Conflict;
use super::file::{Complaint, File, read};
use super::{Cli, Serve, sentence};

const SERVE: &str = "serve";

/// Subcommands that take the options of `broker serve`.
const CONFIGURED: [&str; 2] = [SERVE, "config"];

/// What variables of the environment begin with.
const VARIABLE: &str = "BROKER_";

/// The option that names a file. It cannot be in one.
const FILE: &str = "config";

/// What an option is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// As on the command line; none if it is not set.
    pub(crate) values: Vec<String>,
    pub(crate) source: Source,
    /// Where a file has it otherwise, and as what.
    pub(crate) beneath: Option<(String, Vec<String>)>,
}

/// What can be changed while the queue runs.
pub(crate) const RELOADED: [&str; 8] = [
    "error-reply",
    "lease",
    "max-attempts",
    "max-strikes",
    "max-waiting",
    "max-waiting-bytes",
    "max-worker-kills",
    "on-worker-loss",
];

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(String),
    Environment(String),
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// The command line, with the environment and what a file says beneath it.
pub(super) fn command(file: &File) -> clap::Command {
    command_with(file, |arg, name| arg.env(variable(name)).hide_env(true))
}

fn command_with(file: &File, change: fn(Arg, &str) -> Arg) -> clap::Command {
    let configured = |arg: Arg| {
        let Some(name) = option_name(&arg) else { return arg };
        let arg = change(arg, &name);
        match file.entries.iter().find(|entry| entry.name == name) {
            Some(entry) => arg.default_values(entry.values.clone()),
            None => arg,
        }
    };
    let mut command = Cli::command();
    for name in CONFIGURED {
        command = command.mut_subcommand(name, |command| command.mut_args(configured));
    }
    command
}

/// What an option is called in a file, if it can be in one or in the environment.
fn option_name(arg: &Arg) -> Option<String> {
    let name = arg.get_long().filter(|&name| name != "help" && name != "version")?;
    Some(name.to_owned())
}

fn variable(name: &str) -> String {
    format!("{VARIABLE}{}", name.to_uppercase().replace('-', "_"))
}

/// Whether a queue that is to run is to say what it says in JSON, as far as that can be seen before its options are sound.
pub(super) fn wants_json(args: &[OsString]) -> bool {
    let is_serve = args.get(1).is_some_and(|command| command == SERVE);
    let by_environment = || std::env::var_os(variable("log")).is_some_and(|log| log == "json");
    let is_said = |arg: &OsString| arg == "--log" || arg.as_encoded_bytes().starts_with(b"--log=");
    let in_two = || args.windows(2).any(|pair| pair == ["--log", "json"]);
    let in_one = || args.iter().any(|arg| arg == "--log=json");
    let by_arguments = args.iter().any(is_said);
    is_serve && if by_arguments { in_one() || in_two() } else { by_environment() }
}

/// Whether a command has the options of `broker serve`.
pub(super) fn takes_any(matches: &ArgMatches) -> bool {
    options(matches).is_some()
}

/// The file that the options name, sound.
pub(super) fn named_file(matches: &ArgMatches) -> Result<File, Vec<Complaint>> {
    let path = options(matches).and_then(|options| options.get_raw(FILE)?.next());
    path.map_or(Ok(File::default()), |path| sound(Path::new(path)))
}

/// Looks at each option in the environment by itself.
pub(super) fn check_environment() -> Vec<Complaint> {
    let command = Cli::command();
    let options = command.find_subcommand(SERVE).into_iter().flat_map(clap::Command::get_arguments);
    let complain = |name: String| {
        let variable = variable(&name);
        let value = std::env::var(&variable).ok()?;
        let what = trouble(&name, &[value])?;
        Some(Complaint::new(Path::new(&variable), None, what))
    };
    options.filter_map(option_name).filter_map(complain).collect()
}

/// Variables of the environment that are called nearly as an option is. Others may be for other programs.
pub(crate) fn misspelt_variables() -> Vec<Complaint> {
    let command = Cli::command();
    let options = command.find_subcommand(SERVE).into_iter().flat_map(clap::Command::get_arguments);
    let known: Vec<_> = options.filter_map(option_name).map(|name| variable(&name)).collect();
    let complain = |(name, _): (OsString, OsString)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(VARIABLE))?;
        let far = |known: &String| strsim::damerau_levenshtein(known, &name);
        let nearest = known.iter().min_by_key(|known| far(known))?;
        let is_long = name.len() > VARIABLE.len() + 5;
        let is_misspelt = (1..=1 + usize::from(is_long)).contains(&far(nearest));
        let what = format!("there is no option of this name; did you mean {nearest}?");
        is_misspelt.then(|| Complaint::new(Path::new(&name), None, what))
    };
    std::env::vars_os().filter_map(complain).collect()
}

/// Reads a file and looks at each of its options by itself.
fn sound(path: &Path) -> Result<File, Vec<Complaint>> {
    let (file, mut complaints) = read(path);
    for entry in &file.entries {
        let is_file = entry.name == FILE;
        let what = is_file.then(|| "a file cannot name another".to_owned());
        let what = what.or_else(|| trouble(&entry.name, &entry.values));
        complaints.extend(what.map(|what| Complaint::new(path, Some(entry.line), what)));
    }
    in_order(complaints).map(|()| file)
}

/// Looks at a file as if there were no other options.
pub(crate) fn check(path: &Path) -> Result<File, Vec<Complaint>> {
    let file = sound(path)?;
    in_order(together(&file, Serve::conflicts)).map(|()| file)
}

fn in_order(mut complaints: Vec<Complaint>) -> Result<(), Vec<Complaint>> {
    complaints.sort_by_key(|complaint| complaint.line);
    if complaints.is_empty() { Ok(()) } else { Err(complaints) }
}

/// What is odd about a sound file.
pub(crate) fn doubts(file: &File) -> Vec<Complaint> {
    together(file, Serve::doubts)
}

/// Looks at all options of a file together, each of which is sound.
fn together(file: &File, look: impl Fn(&Serve) -> Vec<Conflict>) -> Vec<Complaint> {
    let command = command_with(file, |arg, _| arg);
    let matches = command.try_get_matches_from(["broker", SERVE]);
    let options = matches
        .ok()
        .and_then(|matches| Serve::from_arg_matches(matches.subcommand_matches(SERVE)?).ok());
    let complain = |(name, what)| {
        let entry = file.entries.iter().find(|entry| entry.name == name);
        Complaint::new(&file.path, entry.map(|entry| entry.line), what)
    };
    options.iter().flat_map(look).map(complain).collect()
}

/// What is wrong with an option by itself, if anything is.
fn trouble(name: &str, values: &[String]) -> Option<String> {
    if ["help", "version"].contains(&name) {
        return Some(unknown(name, None));
    }
    let options = values.iter().map(|value| OsString::from(format!("--{name}={value}")));
    let args = ["broker", SERVE].map(OsString::from).into_iter().chain(options);
    let result = Cli::command().try_get_matches_from(args);
    result.err().map(|error| explain(name, &error))
}

fn explain(name: &str, error: &clap::Error) -> String {
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(name, suggestion(error)),
        _ => sentence(&error.to_string()),
    }
}

fn unknown(name: &str, similar: Option<&str>) -> String {
    match similar {
        Some(similar) => {
            format!("there is no option {name}; did you mean {}?", similar.trim_start_matches('-'))
        }
        None => format!("there is no option {name}; `broker help serve` lists all"),
    }
}

/// An option that is called nearly so.
pub(super) fn suggestion(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(similar) => Some(similar),
        _ => None,
    }
}

fn options(matches: &ArgMatches) -> Option<&ArgMatches> {
    matches.subcommand().filter(|(name, _)| CONFIGURED.contains(name)).map(|(_, options)| options)
}

/// What each option is.
pub(super) fn settings(command: &clap::Command, matches: &ArgMatches, file: &File) -> Vec<Setting> {
    let Some((name, matches)) = matches.subcommand() else { return Vec::new() };
    let args = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let setting = |arg: &Arg| {
        let name = option_name(arg).filter(|name| name != FILE)?;
        let id = arg.get_id().as_str();
        let values = matches.get_raw(id).into_iter().flatten();
        let entry = file.entries.iter().find(|entry| entry.name == name);
        let source = match (matches.value_source(id), entry) {
            (Some(ValueSource::CommandLine), _) => Source::CommandLine,
            (Some(ValueSource::EnvVariable), _) => Source::Environment(variable(&name)),
            (Some(_), Some(entry)) => {
                Source::File(format!("{}:{}", file.path.display(), entry.line))
            }
            _ => Source::Default,
        };
        let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let beneath =
            entry.filter(|entry| !matches!(source, Source::File(_)) && entry.values != values);
        let place = |line| format!("{}:{line}", file.path.display());
        let beneath = beneath.map(|entry| (place(entry.line), entry.values.clone()));
        Some(Setting { name, values, source, beneath })
    };
    args.filter_map(setting).collect()
}
