//! [`Echo`]: a peer in a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use zmtp::proto::SocketType;

use crate::{Frames, PATIENCE, Party};

/// The last part of a message that is not answered.
pub const MUTE: &str = "MUTE";

/// A process with one socket that sends back what it receives, on libzmq or another library.
///
/// A program for it takes the socket's type, `bind` or `connect`, and an endpoint. Its socket is
/// called `PEER`. A REQ and a DEALER begin with a request `READY`; a REQ sends what it receives as its
/// next request. It says `ready` when it is bound or connected, and at a message whose last part is
/// [`MUTE`] it says `muted` and does nothing more. It ends with its standard input.
#[derive(Debug)]
pub struct Echo {
    child: Child,
    lines: Receiver<String>,
    of: SocketType,
}

impl Echo {
    /// Starts a program, `command`, and waits until it is ready.
    #[must_use]
    pub fn start(command: &mut Command, of: SocketType, binds: bool, endpoint: &str) -> Self {
        let way = if binds { "bind" } else { "connect" };
        let command = command.args([of.name(), way, endpoint]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // The lines end with the process, and nobody may want them any more.
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let echo = Self { child, lines, of };
        echo.says("ready");
        echo
    }

    /// Waits for its next line.
    pub fn says(&self, expected: &str) {
        let line = self.lines.recv_timeout(PATIENCE);
        assert_eq!(line.as_deref(), Ok(expected));
    }

    /// Stops the process as SIGSTOP does: it reads nothing any more.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Ends the process as SIGKILL does: nothing of it says goodbye.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself, which the test will have seen.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Receives what it begins with, if it is of a type that does.
    pub async fn greets(&self, party: &mut Party) {
        let expected = match (&*party, self.of) {
            (_, SocketType::Rep | SocketType::Router) => return,
            (Party::Router(_), _) => text(&["PEER", "", "READY"]),
            (Party::Dealer(_), _) => text(&["", "READY"]),
            _ => text(&["READY"]),
        };
        assert_eq!(party.recv().await, expected);
    }

    /// Sends it a message, and receives the same.
    pub async fn answers(&self, party: &mut Party, message: &[Vec<u8>]) {
        let sent = [self.envelope(party), message.to_vec()].concat();
        party.send(&sent).await;
        let received = party.recv().await;
        assert!(received == sent, "{} parts of {}", received.len(), sent.len());
    }

    /// What a socket of ours puts in front of a message to it.
    #[must_use]
    pub fn envelope(&self, party: &Party) -> Frames {
        match (party, self.of) {
            (Party::Router(_), SocketType::Req) => text(&["PEER", ""]),
            (Party::Router(_), _) => text(&["PEER"]),
            (Party::Dealer(_), SocketType::Rep) => text(&[""]),
            _ => Vec::new(),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.end();
    }
}

fn text(parts: &[&str]) -> Frames {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}
