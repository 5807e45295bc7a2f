//! [`File`]: options of `broker serve` in a TOML file, under the same names as on the command line.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Options in a file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

/// An option, and where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// As they would be given on the command line.
    pub(crate) values: Vec<String>,
}

/// What is wrong with an option, or with a file.
#[derive(Debug)]
pub(crate) struct Complaint {
    /// A file, or a variable of the environment.
    place: String,
    pub(super) line: Option<usize>,
    what: String,
}

impl Complaint {
    pub(super) fn new(path: &Path, line: Option<usize>, what: impl Into<String>) -> Self {
        Self { place: path.display().to_string(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, line, what } = self;
        match line {
            Some(line) => write!(f, "{place}:{line}: {what}"),
            None => write!(f, "{place}: {what}"),
        }
    }
}

/// Reads a file, whatever its options mean. Returns what is wrong as well.
pub(super) fn read(path: &Path) -> (File, Vec<Complaint>) {
    let mut file = File { path: path.to_owned(), entries: Vec::new() };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return (file, vec![Complaint::new(path, None, error.to_string())]),
    };
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&b| b == b'\n').count();
    let (table, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let complain = |error: &toml::de::Error| {
            let line = error.span().map(|span| line_of(span.start));
            let place = error.span().and_then(|span| text.get(span)).unwrap_or("");
            let what = match error.message() {
                what @ "duplicate key" => format!("{what} {place}"),
                what => what.to_owned(),
            };
            Complaint::new(path, line, what)
        };
        return (file, errors.iter().map(complain).collect());
    }
    let mut complaints = Vec::new();
    for (name, value) in table.into_inner() {
        let (line, name) = (line_of(name.span().start), name.get_ref().to_string());
        if let Some(values) = values(&value) {
            file.entries.push(Entry { name, line, values });
        } else {
            let what = match value.get_ref() {
                DeValue::Integer(number) => {
                    format!("{name} cannot be as much as {}", number.as_str())
                }
                other => format!(
                    "{name} cannot be a {}; give a string, a number or a list of these",
                    other.type_str()
                ),
            };
            complaints.push(Complaint::new(path, Some(line), what));
        }
    }
    (file, complaints)
}

fn values(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().map(scalar).collect(),
        _ => scalar(value).map(|value| vec![value]),
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        // No option is one of these, and a path is not called `true`.
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
