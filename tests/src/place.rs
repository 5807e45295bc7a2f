//! Endpoints that no other test uses.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A transport to run a test over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests name them all")]
pub enum Transport {
    /// A port of an address within 127.0.0.0/8 that is this test's own.
    Tcp,
    /// A socket file in a directory of the test's own.
    Ipc,
}

/// Endpoints known before anybody listens there.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    host: String,
}

impl Place {
    /// A new place.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is not a value but a resource")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let pid = std::process::id();
        let [_, _, high, low] = pid.to_be_bytes();
        let [_, _, _, test] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let host = format!("127.{}.{}.{}", test.max(1), high, low.max(1));
        Self { directory: tempfile::tempdir().unwrap(), host }
    }

    /// An endpoint of this place; the same name gives the same endpoint.
    #[must_use]
    pub fn endpoint(&self, transport: Transport, name: &str) -> String {
        match transport {
            Transport::Ipc => format!("ipc://{}/{name}.ipc", self.directory.path().display()),
            Transport::Tcp => {
                let port = 5000 + name.bytes().map(u32::from).sum::<u32>();
                format!("tcp://{}:{port}", self.host)
            }
        }
    }

    /// The directory of the socket files.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}
