//! [`Talk`]: what each of the four sockets does with its input and its messages.

use std::ops::Deref;

use tokio::time::sleep_until;
use zmtp::{
    Dealer, Endpoint, EndpointError, Message, PeerEvent, PeerId, RecvError, Rep, Req, Router,
    SendError, Socket, Unsent,
};

use crate::Failure;
use crate::session::Session;

pub(crate) trait Talk: Deref<Target = Socket> {
    /// Sends and receives until there is no more to do.
    async fn talk(&mut self, session: &mut Session) -> Result<(), Failure>;

    async fn close(self) -> Vec<Unsent>;

    /// Only a ROUTER gives names; the options see to it that no other is asked to.
    fn connect_as(&self, endpoint: &Endpoint, _name: &[u8]) -> Result<(), EndpointError> {
        self.connect(endpoint)
    }
}

impl Talk for Req {
    async fn talk(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut is_due = false;
        while is_due || (session.wants_more() && !session.input.ended()) {
            let silence = sleep_until(session.deadline());
            let may_ask = !session.input.ended() && (!is_due || session.relaxed);
            tokio::select! {
                biased;
                reply = self.recv(), if is_due => {
                    is_due = false;
                    match reply {
                        Ok(reply) => session.receive(&reply).await?,
                        // There was no room and it was dropped, as was asked for.
                        Err(RecvError::OutOfTurn) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                () = silence, if is_due => return session.end_of_silence(true),
                request = session.input.next(), if may_ask => session.pending = request?,
            }
            if let Some(request) = session.pending.clone() {
                session.begin_silence();
                let Some(sent) = session.in_time(self.send(request)).await else {
                    return session.end_of_silence(true);
                };
                is_due = sent.is_ok();
                session.sent(sent);
            }
        }
        Ok(())
    }

    async fn close(self) -> Vec<Unsent> {
        self.close().await
    }
}

impl Talk for Rep {
    async fn talk(&mut self, session: &mut Session) -> Result<(), Failure> {
        while session.wants_more() {
            session.begin_silence();
            let Some(request) = session.in_time(self.recv()).await else {
                return session.end_of_silence(false);
            };
            let request = request?;
            session.receive(&request).await?;
            session.pending =
                if session.echo { Some(request) } else { session.input.next().await? };
            let Some(reply) = session.pending.clone() else {
                return Err("standard input has no reply to the last request".into());
            };
            let sent = self.send(reply).await;
            session.sent(sent);
        }
        Ok(())
    }

    async fn close(self) -> Vec<Unsent> {
        self.close().await
    }
}

impl Talk for Dealer {
    async fn talk(&mut self, session: &mut Session) -> Result<(), Failure> {
        let sender = self.sender();
        while session.wants_more() || session.pending.is_some() {
            let is_free = session.pending.is_none();
            let may_receive = session.wants_more() && (is_free || !session.echo);
            let silence = sleep_until(session.deadline());
            tokio::select! {
                input = session.input.next(), if is_free && !session.input.ended() => {
                    session.pending = input?;
                }
                // While one waits for room, messages are received all the same.
                sent = sender.send(session.pending.clone().unwrap_or_default()), if !is_free => {
                    session.sent(sent);
                }
                event = self.recv_event(), if may_receive => match event {
                    Some(PeerEvent::Message(_, message)) => {
                        session.receive(&message).await?;
                        if session.echo {
                            session.pending = Some(message);
                        }
                    }
                    Some(event) => session.follow(event),
                    None => break,
                },
                () = silence => return session.end_of_silence(false),
            }
        }
        Ok(())
    }

    async fn close(self) -> Vec<Unsent> {
        self.close().await
    }
}

impl Talk for Router {
    async fn talk(&mut self, session: &mut Session) -> Result<(), Failure> {
        while session.wants_more() {
            let mut asker = None;
            let silence = sleep_until(session.deadline());
            tokio::select! {
                input = session.input.next(), if !session.input.ended() => {
                    session.pending = input?;
                }
                event = self.recv_event() => match event {
                    Some(PeerEvent::Message(peer, message)) => {
                        let message = session.addressed(peer, &message);
                        session.receive(&message).await?;
                        if session.echo {
                            (asker, session.pending) = (Some(peer), Some(message));
                        }
                    }
                    Some(event) => session.follow(event),
                    None => break,
                },
                () = silence => return session.end_of_silence(false),
            }
            if let Some(message) = session.pending.clone() {
                let Some(sent) = session.in_time(send_addressed(self, asker, message)).await else {
                    return session.end_of_silence(false);
                };
                session.sent(sent);
            }
        }
        Ok(())
    }

    async fn close(self) -> Vec<Unsent> {
        self.close().await
    }

    fn connect_as(&self, endpoint: &Endpoint, name: &[u8]) -> Result<(), EndpointError> {
        self.connect_as(endpoint, name.to_vec())
    }
}

/// Sends what stands behind the routing id to the peer that asked, or else to whoever has that id.
async fn send_addressed(
    router: &Router,
    asker: Option<PeerId>,
    mut message: Message,
) -> Result<(), SendError> {
    let routing_id = message.pop_front().unwrap_or_default();
    match asker {
        Some(peer) => router.send(peer, message).await,
        None => router.send_to(&routing_id, message).await,
    }
}
