//! How many descriptors the process may have, and so how many connections.

use broker::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Each connection takes one, and the soft limit is often 1024 while the hard one is far above it. Returns the limit in
/// force.
pub(crate) fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX)
}

/// As many as this process needs, and not more: those that it starts have the same limit, and some go through all of them.
pub(crate) fn raise_limit_to(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        let current = Some(maximum.map_or(needed, |maximum| maximum.min(needed)));
        // Without them, what finds none fails by itself.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}

/// Descriptors that are not connections: standard streams, listeners, the runtime's own.
const SPARE: u64 = 64;

/// Half of the descriptors for each side, so that neither can starve the other.
pub(crate) fn max_connections() -> usize {
    connections_of(raise_limit())
}

fn connections_of(descriptors: u64) -> usize {
    let half = descriptors.saturating_sub(SPARE) / 2;
    usize::try_from(half).unwrap_or(usize::MAX).clamp(1, Config::default().max_connections)
}

/// Why there cannot be more connections.
pub(crate) fn advice() -> String {
    let limit = raise_limit();
    match connections_of(limit) {
        most if most < Config::default().max_connections => format!(
            "; there may be {most} on each side with {limit} descriptors (`ulimit -n`, or LimitNOFILE= of a unit)"
        ),
        most => format!("; there may be {most} on each side"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_spare() {
        assert_eq!(connections_of(1024), 480);
        assert_eq!(connections_of(10), 1);
        assert_eq!(connections_of(u64::MAX), 16_384);
    }
}
