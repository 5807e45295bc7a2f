//! What SIGHUP does to `broker serve`: it reads its options again, and follows those that can change while it runs.

use broker::{Handle, Policy};
use tokio::signal::unix::Signal;

use crate::cli::{self, Command, RELOADED, Setting};
use crate::output::{note, warn};

/// Reads the options again at each signal, until the broker ends.
pub(crate) async fn at_each(
    mut signal: Signal,
    broker: Handle,
    start: Policy,
    mut settings: Vec<Setting>,
) {
    let args: Vec<_> = std::env::args_os().collect();
    while signal.recv().await.is_some() {
        // What is wrong with them has been said.
        let Ok((Command::Serve(options), new)) = cli::parse(&args) else {
            warn("the options are as they were");
            continue;
        };
        for line in changes(&settings, &new) {
            note(line);
        }
        let policy = Policy {
            at_limit: start.at_limit,
            max_waiting_per_client: start.max_waiting_per_client,
            ..options.policy()
        };
        if broker.set_policy(policy).await.is_err() {
            return;
        }
        let is_followed = |setting: &Setting| RELOADED.contains(&&*setting.name);
        settings.retain(|setting| !is_followed(setting));
        settings.extend(new.into_iter().filter(is_followed));
    }
}

/// What is different, and whether that is followed.
fn changes(old: &[Setting], new: &[Setting]) -> Vec<String> {
    let changed = new.iter().filter_map(|new| {
        let old = old.iter().find(|old| old.name == new.name)?;
        (old.values != new.values).then(|| {
            let (name, was, is) = (&new.name, text(&old.values), text(&new.values));
            if RELOADED.contains(&&**name) {
                format!("{name} was {was} and is {is}")
            } else {
                format!("{name} is {was} until the next start, and not {is}")
            }
        })
    });
    let changes: Vec<_> = changed.collect();
    if changes.is_empty() { vec!["no option has changed".to_owned()] } else { changes }
}

fn text(values: &[String]) -> String {
    if values.is_empty() { "not set".to_owned() } else { values.join(", ") }
}
