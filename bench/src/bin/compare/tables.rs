//! Tables in Markdown.

use std::fmt::{Display, Write};

use crate::goals::{Goal, Reached};
use crate::idle::Case;
use crate::jobs::{Figures, Load};
use crate::series::{Measurement, Series};
use crate::{FLOOR, LIBRARIES, OURS, oneway};

pub fn goals(goals: &[Goal]) -> String {
    let mut table = "| what | must | aim | reached | |\n|---|--:|--:|---|---|\n".to_owned();
    for Goal { what, must, aim, reached } in goals {
        let verdict = match *reached {
            Reached::Value(value, _) if aim.holds(value) => "as aimed",
            Reached::Value(value, _) if must.holds(value) => "as it must",
            _ => "**short**",
        };
        let _ = writeln!(table, "| {what} | {must} | {aim} | {reached} | {verdict} |");
    }
    table
}

pub fn jobs(measurements: &[Measurement<Load, Figures>]) -> String {
    let mut table = "| load | broker | jobs/s | of the floor | CPU a job, µs | of the floor | p50, µs \
                     | p99, µs | p99.9, µs | peak, MiB |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for measurement in measurements {
        let floor = measurement.of(FLOOR);
        for series in &measurement.series {
            let _ = write!(table, "| {} | {} |", measurement.case, series.library);
            if let Some(why) = &series.failure {
                let _ = writeln!(table, " failed: {} | | | | | | | |", cell(why));
                continue;
            }
            let of = |figure: fn(&Figures) -> f64, digits| number(series.median(figure), digits);
            let ratio = |figure: fn(&Figures) -> f64| {
                number(floor.and_then(|floor| series.ratio(floor, figure)), 2)
            };
            let cells = [
                of(|run| run.jobs_per_second, 0),
                ratio(|run| run.jobs_per_second),
                of(|run| run.cpu_per_job, 1),
                ratio(|run| run.cpu_per_job),
                of(|run| run.percentiles[0], 0),
                of(|run| run.percentiles[1], 0),
                of(|run| run.percentiles[2], 0),
                of(|run| run.peak_mib, 1),
            ];
            let _ = writeln!(table, " {} |", cells.join(" | "));
        }
    }
    table
}

pub fn one_way(measurements: &[Measurement<oneway::Run, oneway::Figures>]) -> String {
    let shown = |series: &Series<oneway::Figures>| {
        let rate = number(series.median(|run| run.rate), 0);
        match series.lost() {
            0.0 => rate,
            lost => format!("{rate} (lost {lost:.0})"),
        }
    };
    let against = |measurement: &Measurement<oneway::Run, oneway::Figures>| {
        let ratio = measurement.of(OURS)?.ratio(measurement.best_rival()?, |run| run.rate)?;
        Some(format!("{ratio:.2}"))
    };
    let column = Some(("ours to the best of the others", against));
    matrix("messages/s", measurements, shown, column)
}

pub fn idle(measurements: &[Measurement<Case, f64>]) -> String {
    let shown = |series: &Series<f64>| number(series.median(|&figure| figure), 2);
    type Column = (&'static str, fn(&Measurement<Case, f64>) -> Option<String>);
    matrix("", measurements, shown, None::<Column>)
}

/// A row for each measurement and a column for each library, and below it what failed.
fn matrix<C: Display, T>(
    corner: &str,
    measurements: &[Measurement<C, T>],
    shown: impl Fn(&Series<T>) -> String,
    last: Option<(&str, impl Fn(&Measurement<C, T>) -> Option<String>)>,
) -> String {
    let has = |library: &&str| measurements.iter().any(|run| run.of(library).is_some());
    let libraries: Vec<&str> = LIBRARIES.into_iter().filter(has).collect();
    let mut head = vec![corner];
    head.extend(&libraries);
    head.extend(last.as_ref().map(|(title, _)| *title));
    let rule = "--:|".repeat(head.len() - 1);
    let mut table = format!("| {} |\n|---|{rule}\n", head.join(" | "));
    let mut failures = String::new();
    for measurement in measurements {
        let mut cells = vec![measurement.case.to_string()];
        for library in &libraries {
            let series = measurement.of(library);
            let failure = series.and_then(|series| series.failure.as_ref());
            cells.push(match (series, failure) {
                (_, Some(_)) => "failed".to_owned(),
                (Some(series), None) => shown(series),
                (None, None) => String::new(),
            });
            if let Some(why) = failure {
                let _ = writeln!(failures, "* {library}, {}: {}", measurement.case, cell(why));
            }
        }
        cells.extend(last.as_ref().map(|(_, of)| of(measurement).unwrap_or_default()));
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    if failures.is_empty() { table } else { format!("{table}\nFailed:\n\n{failures}") }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
