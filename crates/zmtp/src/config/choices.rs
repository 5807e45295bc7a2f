//! What a socket does where there are a few ways to choose from.

/// When a received message stops to count against [`Config::recv_hwm`](crate::Config::recv_hwm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// As soon as the application has received it.
    OnReceive,
    /// When the application says so with [`Router::release`](crate::Router::release). The mark then
    /// bounds what the application holds of one peer, and a peer that leaves is reported at once:
    /// its messages that have not been received by then are dropped.
    Explicit,
}

/// What happens to a message for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// `send` waits. A `try_send` gives the message back.
    Wait,
    /// `send` gives the message back, as `try_send` does.
    Fail,
    /// The message is dropped and [counted](crate::Socket::dropped), which is no error.
    Drop,
}

/// What a ROUTER does when two peers announce the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateIdentity {
    /// The newcomer's connection is closed.
    Reject,
    /// The newcomer takes the identity over and the earlier connection is closed.
    Handover,
    /// Both stay. Identities are labels; a peer cannot be looked up by an ambiguous one.
    Allow,
}
