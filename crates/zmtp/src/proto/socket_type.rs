//! Socket types and which of them may talk to each other.

use std::fmt;

/// The type of a socket, as its READY command states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketType {
    /// Asks, then waits for the answer.
    Req,
    /// Answers, one request at a time.
    Rep,
    /// Sends and receives without alternation.
    Dealer,
    /// Addresses each peer by name.
    Router,
}

impl SocketType {
    const ALL: [Self; 4] = [Self::Req, Self::Rep, Self::Dealer, Self::Router];

    /// The name on the wire: `REQ`, `REP`, `DEALER` or `ROUTER`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
        }
    }

    /// The type with this exact name. Case counts (RFC 37, "The Socket-Type Property").
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.name().as_bytes() == name)
    }

    /// Whether sockets of these two types may talk (RFC 28).
    #[must_use]
    pub fn accepts(self, peer: Self) -> bool {
        match self {
            Self::Req => matches!(peer, Self::Rep | Self::Router),
            Self::Rep => matches!(peer, Self::Req | Self::Dealer),
            Self::Dealer => matches!(peer, Self::Rep | Self::Dealer | Self::Router),
            Self::Router => matches!(peer, Self::Req | Self::Dealer | Self::Router),
        }
    }

    /// Whether READY carries an Identity: libzmq sends none for REP.
    pub(crate) fn announces_identity(self) -> bool {
        self != Self::Rep
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptance_is_mutual() {
        for ours in SocketType::ALL {
            for theirs in SocketType::ALL {
                assert_eq!(ours.accepts(theirs), theirs.accepts(ours), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn a_router_refuses_rep_and_a_req_refuses_req() {
        assert!(!SocketType::Router.accepts(SocketType::Rep));
        assert!(!SocketType::Req.accepts(SocketType::Req));
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(SocketType::from_name(b"ROUTER"), Some(SocketType::Router));
        assert_eq!(SocketType::from_name(b"router"), None);
        assert_eq!(SocketType::from_name(b""), None);
    }
}
