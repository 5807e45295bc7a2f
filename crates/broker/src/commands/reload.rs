//! What SIGHUP does to `broker serve`: it reads its options again, and follows those that can change while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broker::{Handle, Policy};
use tokio::signal::unix::Signal;

use crate::cli::{self, Command, RELOADED, Setting, Source};
use crate::output::{note, warn};

/// An upgrade follows none of them where there was one before.
const ADDRESSES: [&str; 4] = ["frontend", "backend", "http", "control"];

/// What is said of an option that has no value.
pub(super) const NOT_SET: &str = "not set";

/// What the options are now. All of them are the same.
#[derive(Clone, Debug)]
pub(super) struct Current(Arc<Mutex<(Policy, Vec<Setting>)>>);

impl Current {
    pub(super) fn new(policy: Policy, settings: Vec<Setting>) -> Self {
        Self(Arc::new(Mutex::new((policy, settings))))
    }

    pub(super) fn policy(&self) -> Policy {
        self.lock().0.clone()
    }

    /// The options that say where it listens, each with what it is.
    pub(super) fn addresses(&self) -> Vec<(String, String)> {
        let (_, settings) = &*self.lock();
        let set = settings.iter().filter(|it| ADDRESSES.contains(&&*it.name));
        let set = set.filter(|setting| !setting.values.is_empty());
        set.map(|setting| (setting.name.clone(), text(&setting.values))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, (Policy, Vec<Setting>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows those that can change. Returns what is to be done, and what is to be said.
    fn change(&self, wanted: Policy, new: Vec<Setting>) -> (Policy, Vec<String>) {
        let (policy, settings) = &mut *self.lock();
        let lines = changes(settings, &new);
        *policy = Policy {
            at_limit: policy.at_limit,
            max_waiting_per_client: policy.max_waiting_per_client,
            ..wanted
        };
        let is_followed = |setting: &Setting| RELOADED.contains(&&*setting.name);
        for setting in settings.iter_mut() {
            let new = new.iter().find(|new| new.name == setting.name);
            setting.beneath = new.and_then(|new| new.beneath.clone());
        }
        settings.retain(|setting| !is_followed(setting));
        settings.extend(new.into_iter().filter(is_followed));
        (policy.clone(), lines)
    }
}

/// Reads the options again at each signal, until the broker ends.
pub(super) async fn at_each(mut signal: Signal, broker: Handle, current: Current) {
    let args: Vec<_> = std::env::args_os().collect();
    while signal.recv().await.is_some() {
        // What is wrong with them has been said.
        let Ok((Command::Serve(options), new)) = cli::parse(&args) else {
            warn("the options are as they were");
            continue;
        };
        let (policy, lines) = current.change(options.policy(), new);
        lines.into_iter().for_each(note);
        if broker.set_policy(policy).await.is_err() {
            return;
        }
    }
}

/// What is different, and whether that is followed.
fn changes(old: &[Setting], new: &[Setting]) -> Vec<String> {
    let changed = new.iter().filter_map(|new| {
        let old = old.iter().find(|old| old.name == new.name)?;
        if let (true, Some((place, values))) = (old.beneath != new.beneath, &new.beneath) {
            let source = match &new.source {
                Source::CommandLine => "the command line".to_owned(),
                other => other.to_string(),
            };
            let (name, is, other) = (&new.name, text(&new.values), text(values));
            return Some(format!(
                "{name} is {is} by {source}, which comes before {place}, where it is {other}"
            ));
        }
        (old.values != new.values).then(|| {
            let (name, was, is) = (&new.name, text(&old.values), text(&new.values));
            if RELOADED.contains(&&**name) {
                format!("{name} was {was} and is {is}")
            } else {
                stays(name, &was, &is)
            }
        })
    });
    let changes: Vec<_> = changed.collect();
    if changes.is_empty() { vec!["no option has changed".to_owned()] } else { changes }
}

/// What is said of an option that is not followed.
pub(super) fn stays(name: &str, was: &str, is: &str) -> String {
    let is = if is == NOT_SET { is } else { &format!("not {is}") };
    format!("{name} is {was} until the next start, and {is}")
}

fn text(values: &[String]) -> String {
    if values.is_empty() { NOT_SET.to_owned() } else { values.join(", ") }
}
