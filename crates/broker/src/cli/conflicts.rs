//! Options of `broker serve` that are sound by themselves and not together.

use std::path::{Component, Path, PathBuf};

use broker::AtLimit;
use zmtp::Endpoint;

use super::serve::Serve;

/// What is wrong, and the name of an option that can be changed to mend it.
pub(super) type Conflict = (&'static str, String);

impl Serve {
    /// What keeps the queue from running.
    pub(super) fn conflicts(&self) -> Vec<Conflict> {
        let sides = [("frontend", &self.frontend), ("backend", &self.backend)];
        let none = sides.iter().filter(|(_, endpoints)| endpoints.is_empty());
        let mut conflicts: Vec<_> =
            none.map(|&(name, _)| (name, format!("{name} has no endpoint"))).collect();
        let places = self.places();
        for (i, (name, place)) in places.iter().enumerate() {
            let before = places.iter().take(i).find(|(_, other)| other == place);
            conflicts.extend(before.map(|&(other, _)| {
                let what = if other == *name {
                    format!("{name} has {place} twice")
                } else {
                    format!("{other} and {name} are both {place}")
                };
                (*name, what)
            }));
        }
        conflicts
    }

    /// What the queue can run with, though hardly anybody wants it so.
    pub(crate) fn doubts(&self) -> Vec<Conflict> {
        let policy = self.policy();
        let is_silent = policy.at_limit == AtLimit::Reject && policy.error_reply.is_none();
        let silent = is_silent.then(|| {
            let text =
                "a client whose request is rejected hears nothing, for there is no error-reply";
            ("at-limit", text.to_owned())
        });
        let http = self.http.filter(|address| !address.ip().is_loopback());
        let open = http.map(|address| {
            let text = format!("whoever reaches {address} sees what the queue is at, over HTTP");
            ("http", text)
        });
        silent.into_iter().chain(open).collect()
    }

    /// Addresses and files that can be one thing only.
    fn places(&self) -> Vec<(&'static str, String)> {
        let of = |name, endpoints: &[Endpoint]| -> Vec<_> {
            let places = endpoints.iter().filter_map(place);
            places.map(|place| (name, place)).collect()
        };
        let files = [
            ("journal", &self.start.journal),
            ("dead-letters", &self.dead_letters),
            ("control", &self.control),
        ];
        let files =
            files.into_iter().filter_map(|(name, path)| Some((name, file(path.as_deref()?))));
        let http = self.http.filter(|address| address.port() != 0);
        let http = http.map(|address| ("http", address.to_string()));
        let sides = [of("frontend", &self.frontend), of("backend", &self.backend)];
        sides.into_iter().flatten().chain(files).chain(http).collect()
    }
}

/// Where an endpoint is, unless that is for the system to say.
fn place(endpoint: &Endpoint) -> Option<String> {
    if let Some(path) = endpoint.path() {
        return Some(file(path));
    }
    let text = endpoint.to_string();
    let is_anywhere = endpoint.port() == Some(0) || text == "ipc://*";
    (!is_anywhere).then(|| text.strip_prefix("tcp://").map(str::to_owned).unwrap_or(text))
}

fn file(path: &Path) -> String {
    let steps = path.components().filter(|step| *step != Component::CurDir);
    steps.collect::<PathBuf>().display().to_string()
}
