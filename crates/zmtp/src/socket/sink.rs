//! [`SendSink`]: a sender as a sink.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Sink;
use tokio_util::sync::ReusableBoxFuture;

use crate::error::SendError;

/// A sink that sends one item after the other. An error ends that item and nothing else.
pub(super) struct SendSink<F> {
    send: F,
    future: ReusableBoxFuture<'static, Result<(), SendError>>,
    /// The future is not over.
    sending: bool,
}

impl<F> SendSink<F> {
    /// A sink of what `send` sends.
    pub(super) fn new(send: F) -> Self {
        Self { send, future: ReusableBoxFuture::new(std::future::ready(Ok(()))), sending: false }
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.sending {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(self.future.poll(cx));
        self.sending = false;
        Poll::Ready(sent)
    }
}

impl<T, F, S> Sink<T> for SendSink<F>
where
    F: FnMut(T) -> S + Unpin,
    S: Future<Output = Result<(), SendError>> + Send + 'static,
{
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_sent(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), SendError> {
        let this = self.get_mut();
        this.future.set((this.send)(item));
        this.sending = true;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_sent(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_sent(cx)
    }
}

impl<F> fmt::Debug for SendSink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink").field("sending", &self.sending).finish_non_exhaustive()
    }
}
