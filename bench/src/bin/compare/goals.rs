//! What the broker and the sockets of this project have to reach, and what they do.

use std::fmt;

use crate::idle::Case;
use crate::jobs::{Figures, Load};
use crate::series::Measurement;
use crate::{FLOOR, OURS, Results, oneway};

const SMALL: usize = 32;
const LARGE: usize = 64 << 10;

/// What a goal is about: a figure, unless it could not be had, and where it is from if there are others.
type Values = Vec<(Option<f64>, String)>;

pub struct Goal {
    pub what: &'static str,
    pub must: Bound,
    pub aim: Bound,
    /// The value that is furthest from the goal, and where.
    pub reached: Reached,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

pub enum Reached {
    Failed(String),
    Value(f64, String),
}

impl Bound {
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    /// The value that is further from the bound than all others, if there is one.
    fn worst(self, values: Values) -> Option<Reached> {
        if let Some((_, place)) = values.iter().find(|(value, _)| value.is_none()) {
            return Some(Reached::Failed(place.clone()));
        }
        let known = values.into_iter().filter_map(|(value, place)| Some((value?, place)));
        let worst = match self {
            Self::AtLeast(_) => known.min_by(|a, b| a.0.total_cmp(&b.0)),
            Self::AtMost(_) => known.max_by(|a, b| a.0.total_cmp(&b.0)),
        };
        worst.map(|(value, place)| Reached::Value(value, place))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Self::AtMost(bound) => write!(f, "≤ {bound:.2}"),
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(place) if place.is_empty() => f.write_str("failed"),
            Self::Failed(place) => write!(f, "failed ({place})"),
            Self::Value(value, place) if place.is_empty() => write!(f, "{value:.3}"),
            Self::Value(value, place) => write!(f, "{value:.3} ({place})"),
        }
    }
}

/// Those of which something was measured.
pub fn goals(results: &Results) -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    let mut goals = Vec::new();
    let mut goal = |what, must: Bound, aim, values| {
        let reached = must.worst(values);
        goals.extend(reached.map(|reached| Goal { what, must, aim, reached }));
    };
    let rate = |is_meant: fn(&Load) -> bool| of_jobs(results, is_meant, |run| run.jobs_per_second);
    let named = |name| of_jobs_named(results, name, |run| run.jobs_per_second);
    for (what, name) in [
        ("jobs/s, the floor's being 1: ipc 200 x 50", "ipc 200 x 50, 32 B"),
        ("jobs/s, the floor's being 1: tcp 200 x 50", "tcp 200 x 50, 32 B"),
        ("jobs/s, the floor's being 1: ipc 10 x 3", "ipc 10 x 3, 32 B"),
    ] {
        goal(what, AtLeast(0.90), AtLeast(0.95), named(name));
    }
    goal(
        "jobs/s, the floor's being 1: thousands of clients",
        AtLeast(0.85),
        AtLeast(0.95),
        rate(|load| load.clients >= 1000),
    );
    goal(
        "jobs/s, the floor's being 1: 64 KiB and larger",
        AtLeast(1.0),
        AtLeast(1.2),
        rate(|load| load.size >= LARGE),
    );
    goal(
        "processor time a job, the floor's being 1: every small load",
        AtMost(1.10),
        AtMost(1.05),
        of_jobs(results, |load| load.size == SMALL, |run| run.cpu_per_job),
    );
    goal(
        "median round trip, the floor's being 1: ipc 1 x 1",
        AtMost(1.10),
        AtMost(1.05),
        of_jobs_named(results, "ipc 1 x 1, 32 B", |run| run.percentiles[0]),
    );
    goal(
        "messages/s one way, the best rival's being 1: 32 B",
        AtLeast(1.2),
        AtLeast(1.5),
        of_one_way(results, SMALL),
    );
    goal(
        "messages/s one way, the best rival's being 1: 64 KiB",
        AtLeast(1.0),
        AtLeast(1.2),
        of_one_way(results, LARGE),
    );
    goal("messages lost at close, one way", AtMost(0.0), AtMost(0.0), lost(results));
    goal("KiB an idle connection", AtMost(3.0), AtMost(2.0), of_idle(results, Case::Ready));
    goal(
        "KiB a connection before its handshake",
        AtMost(8.0),
        AtMost(2.0),
        of_idle(results, Case::Silent),
    );
    goal(
        "% of a core while clients wait for a worker",
        AtMost(0.1),
        AtMost(0.01),
        of_idle(results, Case::Waiting),
    );
    goals
}

fn of_jobs(
    results: &Results,
    is_meant: impl Fn(&Load) -> bool,
    figure: impl Fn(&Figures) -> f64,
) -> Values {
    let meant = results.jobs.iter().filter(|measurement| is_meant(&measurement.case));
    let pairs = meant.filter_map(|jobs| Some((jobs, jobs.of(OURS)?, jobs.of(FLOOR)?)));
    pairs.map(|(jobs, ours, floor)| (ours.ratio(floor, &figure), jobs.case.to_string())).collect()
}

fn of_jobs_named(results: &Results, name: &str, figure: impl Fn(&Figures) -> f64) -> Values {
    let mut values = of_jobs(results, |load| load.to_string() == name, figure);
    values.iter_mut().for_each(|(_, place)| place.clear());
    values
}

fn of_one_way(results: &Results, size: usize) -> Values {
    let meant = results.one_way.iter().filter(|measurement| measurement.case.size == size);
    let ratio = |run: &Measurement<oneway::Run, oneway::Figures>| {
        let (ours, best) = (run.of(OURS)?, run.best_rival()?);
        let place = format!("{}, of {}", run.case, best.library);
        Some((ours.ratio(best, |figures| figures.rate), place))
    };
    meant.filter_map(ratio).collect()
}

fn lost(results: &Results) -> Values {
    let sent = results.one_way.iter().filter(|run| run.case.direction == "send");
    let ours = sent.filter_map(|run| Some((run, run.of(OURS)?)));
    ours.map(|(run, ours)| (ours.failure.is_none().then(|| ours.lost()), run.case.to_string()))
        .collect()
}

fn of_idle(results: &Results, case: Case) -> Values {
    let meant = results.idle.iter().find(|measurement| measurement.case == case);
    let ours = meant.and_then(|measurement| measurement.of(OURS));
    ours.map(|ours| (ours.median(|&figure| figure), String::new())).into_iter().collect()
}
