//! The document: what people have written, and between two marks what was measured.

use std::fs;
use std::io;
use std::path::Path;

use crate::goals::goals;
use crate::options::Options;
use crate::{Results, machine, tables};

const BEGIN: &str = "<!-- generated: begin -->";
const END: &str = "<!-- generated: end -->";

/// Everything that was measured, in Markdown.
pub fn generated(results: &Results, options: &Options, picture: Option<&str>) -> String {
    let mut text = machine::describe(options);
    let mut section = |title: &str, is_empty: bool, content: String| {
        if !is_empty {
            text += &format!("\n### {title}\n\n{content}");
        }
    };
    let goals = goals(results);
    section("What is to be reached", goals.is_empty(), tables::goals(&goals));
    let picture = picture.map(|name| format!("![The rates that follow, as bars]({name})\n"));
    section("At a glance", picture.is_none(), picture.unwrap_or_default());
    section("Brokers", results.jobs.is_empty(), tables::jobs(&results.jobs));
    section("One way", results.one_way.is_empty(), tables::one_way(&results.one_way));
    section("Connections that wait", results.idle.is_empty(), tables::idle(&results.idle));
    text
}

/// Puts it between the marks, or at the end of a document that has none.
pub fn write(path: &Path, generated: &str) -> io::Result<()> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        outcome => outcome?,
    };
    let (before, rest) = text.split_once(BEGIN).unwrap_or((&text, ""));
    let after = rest.split_once(END).map_or("\n", |(_, after)| after);
    fs::write(path, format!("{before}{BEGIN}\n\n{generated}\n{END}{after}"))
}
