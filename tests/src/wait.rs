//! Waiting for something to happen, and no longer than [`PATIENCE`].

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::PATIENCE;

/// What a future gives, in time.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Waits until something is so that nothing tells of.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let poll = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(PATIENCE, poll).await.is_ok(), "{what}: not in time");
}
