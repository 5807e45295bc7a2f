//! [`Connections`]: how many there were, and how many came to nothing.

use std::sync::{Arc, Mutex, PoisonError};

use broker::Side;
use serde::{Deserialize, Serialize};

/// Counts that whoever hears of a connection adds to.
pub(crate) type Shared = Arc<Mutex<Connections>>;

/// Connections so far, of the frontend and of the backend.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Connections {
    joined: [u64; 2],
    refused: [u64; 2],
    failed: [u64; 2],
}

/// What became of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Joined,
    /// There were as many as there may be.
    Refused,
    /// There was no handshake.
    Failed,
}

impl Connections {
    fn add(&mut self, side: Side, fate: Fate) {
        let [frontend, backend] = match fate {
            Fate::Joined => &mut self.joined,
            Fate::Refused => &mut self.refused,
            Fate::Failed => &mut self.failed,
        };
        *match side {
            Side::Frontend => frontend,
            Side::Backend => backend,
        } += 1;
    }

    pub(crate) fn note(shared: &Shared, side: Side, fate: Fate) {
        shared.lock().unwrap_or_else(PoisonError::into_inner).add(side, fate);
    }

    pub(crate) fn read(shared: &Shared) -> Self {
        *shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each with what it says.
    pub(crate) fn counts(&self) -> [(&'static str, &'static str, [u64; 2]); 3] {
        [
            ("connections", "Peers that have joined", self.joined),
            (
                "refused_connections",
                "Connections refused because there were too many",
                self.refused,
            ),
            (
                "failed_handshakes",
                "Connections that ended before the handshake was over",
                self.failed,
            ),
        ]
    }
}
