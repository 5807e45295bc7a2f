//! ZMTP 3.1, the wire protocol of ZeroMQ, in pure Rust, with the sockets REQ, REP, DEALER and
//! ROUTER over TCP and Unix sockets. It talks to libzmq and links none of it.
//!
//! ```text
//!            engine: a task for each connection
//!  kernel <--> [ stream <--> proto::Connection ] <--> [ peer table ] <--> Req, Rep, ...
//!                             no I/O, no clock          a queue each       your code
//! ```
//!
//! # A REQ asks
//!
//! ```
//! use zmtp::{Config, Message, Req};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let endpoint: zmtp::Endpoint = format!("ipc://{}/service", directory.path().display()).parse()?;
//! # let mut router = zmtp::Router::new(Config::default())?;
//! # router.bind(&endpoint).await?;
//! # tokio::spawn(async move {
//! #     while let Some((peer, request)) = router.recv().await { router.send(peer, request).await.unwrap() }
//! # });
//! let mut req = Req::new(Config::default().with_identity("CLIENT-1"))?;
//! req.connect(&endpoint)?; // nobody needs to listen there yet
//! let reply = req.request(Message::from(["two", "parts"])).await?;
//! println!("{reply:?}");
//! # assert_eq!(reply, Message::from(["two", "parts"]));
//! req.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A ROUTER answers
//!
//! ```
//! use zmtp::{Config, Endpoint, Message, Router, PeerEvent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut router = Router::new(Config::default())?;
//! let endpoint: Endpoint = router.bind(&"tcp://127.0.0.1:0".parse()?).await?;
//! println!("listening on {endpoint}");
//! # let client = tokio::spawn(async move {
//! #     let mut req = zmtp::Req::new(Config::default()).unwrap();
//! #     req.connect(&endpoint).unwrap();
//! #     req.request(Message::from("Hello")).await.unwrap()
//! # });
//! while let Some(event) = router.recv_event().await {
//!     match event {
//!         PeerEvent::Joined(peer) => println!("{} from {}", peer.info.socket_type, peer.address),
//!         // A request of a REQ is an empty delimiter and its parts, and so is the reply to it.
//!         PeerEvent::Message(peer, request) => router.send(peer, request).await?,
//!         PeerEvent::Left(_, reason) => println!("gone: {reason}"),
//!         _ => {}
//!     }
//! #     if client.is_finished() { break }
//! }
//! # assert_eq!(client.await?, Message::from("Hello"));
//! # Ok(())
//! # }
//! ```
//!
//! # Four sockets
//!
//! | | sends to | receives from | |
//! |---|---|---|---|
//! | [`Req`] | whoever is next | whom it asked | one request, one reply |
//! | [`Rep`] | whoever asked | all in turn | one request, one reply |
//! | [`Dealer`] | whoever is next | all in turn | both at any time |
//! | [`Router`] | whom it names | all in turn | both at any time |
//!
//! All of them are a [`Socket`] as well: they are bound and connected any number of times, either way
//! round, and tell who is there. What can be chosen is in [`Config`].
//!
//! # What holds
//!
//! * Whatever a peer sends, it gets an error value or a closed connection of its own. No byte from
//!   the network leads to a panic, to memory that the peer has not sent, or to an error of another
//!   peer. [`Limits`] are on by default.
//! * Messages of one peer keep their order; peers take turns.
//! * A message is delivered whole or not at all, and at most once. One that was being written when a
//!   connection broke is lost. One that was not, waits for the next connection if this side connects,
//!   and is lost and [counted](Socket::dropped) if the peer does.
//! * Nothing is dropped in silence: a send that fails gives the message back, and closing returns
//!   what could not be [delivered](Unsent) within the linger time.
//! * Dropping a socket never waits. Its tasks end, and its socket files are removed.
//!
//! # Cancel safety
//!
//! | future | if it is dropped |
//! |---|---|
//! | [`Socket::bind`] | the endpoint is not bound |
//! | [`Socket::unbind`] | the endpoint is closed a moment later |
//! | [`Socket::disconnect`] | the endpoint is left all the same |
//! | [`Req::request`] | the request may have been sent; the next one gets its own reply |
//! | [`Req::send`], [`Dealer::send`], [`DealerSender::send`] | nothing has been sent |
//! | [`Router::send`], [`Router::send_to`] | nothing has been sent |
//! | [`RouterSender::send`], [`RouterSender::send_to`] | nothing has been sent |
//! | [`Rep::send`] | nothing has been sent, and the reply is still due |
//! | [`Req::recv`] | the reply is still due |
//! | [`Rep::recv`] | no request is lost |
//! | [`Dealer::recv`], [`Dealer::recv_event`], [`Dealer::recv_many`] | nothing is lost |
//! | [`Router::recv`], [`Router::recv_event`], [`Router::recv_many`] | nothing is lost |
//! | [`Monitor::recv`] | no event is lost |
//! | [`Req::close`], [`Rep::close`], [`Dealer::close`], [`Router::close`] | the socket ends at once |
//!
//! All futures are `Send`, and all sockets work on either flavour of tokio's runtime. For programs
//! without one there is [`blocking`](https://docs.rs/zmtp/latest/zmtp/blocking/), a feature.
//!
//! # Without tokio
//!
//! The protocol itself, in [`proto`], does no I/O and reads no clock. With `default-features = false`
//! the crate is only that: bytes in, events out, for another runtime, a fuzzer or a test bench.

#![warn(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a peer sends must not be able to end the process"
)]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "tokio")]
pub mod codec;
#[cfg(feature = "tokio")]
mod config;
mod endpoint;
#[cfg(feature = "tokio")]
mod engine;
mod error;
mod limits;
mod message;
pub mod proto;
#[cfg(feature = "tokio")]
mod sizes;
#[cfg(feature = "tokio")]
mod socket;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "tokio")]
pub use config::{
    Config, ConfigError, DuplicateIdentity, Keepalive, OnFull, Release, TransportOptions,
};
pub use endpoint::{Endpoint, EndpointError, EndpointErrorKind};
#[cfg(feature = "tokio")]
pub use engine::{BindError, BindErrorKind};
pub use error::{ProtocolError, SendError, SendErrorKind};
pub use limits::Limits;
pub use message::{IntoParts, Message, Parts};
pub use proto::Heartbeat;
#[cfg(feature = "tokio")]
pub use socket::{
    Dealer, DealerSender, DetachedConnection, DetachedListener, LeaveReason, Monitor, MonitorEvent,
    Origin, Peer, PeerEvent, PeerId, RecvError, Rep, Req, ReqError, Router, RouterSender, Socket,
    Unsent,
};
