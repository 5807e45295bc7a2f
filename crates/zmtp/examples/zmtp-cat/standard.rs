//! Standard input and output, each on a thread of its own: neither can be waited for otherwise
//! without holding up the program.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Write, stdin, stdout};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use zmtp::Message;

use crate::Failure;
use crate::frames;

/// Messages that wait between a thread and the program. Beyond that the thread waits, or the program.
const AHEAD: usize = 16;

/// The messages of standard input.
pub(crate) struct Input {
    messages: mpsc::Receiver<Result<Message, String>>,
    ended: bool,
}

impl Input {
    pub(crate) fn start() -> Self {
        let (sender, messages) = mpsc::channel(AHEAD);
        thread::spawn(move || {
            if let Err(error) = read(stdin().lock(), &sender) {
                // An error says that nobody waits for it.
                let _ = sender.blocking_send(Err(format!("standard input: {error}")));
            }
        });
        Self { messages, ended: false }
    }

    /// Input that nobody reads.
    pub(crate) fn none() -> Self {
        Self { messages: mpsc::channel(1).1, ended: true }
    }

    /// Whether [`next`](Self::next) has told of the end.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The next message, or `None` at the end. No message is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Failure> {
        let next = self.messages.recv().await.transpose()?;
        self.ended = next.is_none();
        Ok(next)
    }
}

fn read(
    input: impl BufRead,
    messages: &mpsc::Sender<Result<Message, String>>,
) -> Result<(), String> {
    let mut frames = Vec::new();
    for (number, line) in (1..).zip(input.split(b'\n')) {
        let line = line.map_err(|error| error.to_string())?;
        if !line.is_empty() {
            let wrong = |reason| format!("line {number}: {reason}");
            frames.push(frames::parse(&line).map_err(wrong)?);
        } else if !frames.is_empty() && !hand_on(&mut frames, messages) {
            return Ok(());
        }
    }
    if !frames.is_empty() {
        hand_on(&mut frames, messages);
    }
    Ok(())
}

/// Says whether somebody wants more.
fn hand_on(frames: &mut Vec<Vec<u8>>, messages: &mpsc::Sender<Result<Message, String>>) -> bool {
    let message = Message::from(std::mem::take(frames));
    messages.blocking_send(Ok(message)).is_ok()
}

/// Prints messages on standard output.
pub(crate) struct Output {
    texts: mpsc::Sender<String>,
    outcome: oneshot::Receiver<io::Result<()>>,
}

/// Nothing can be printed any more; [`Output::finish`] says why.
#[derive(Debug)]
pub(crate) struct OutputClosed;

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for OutputClosed {}

impl Output {
    pub(crate) fn start() -> Self {
        let (texts, receiver) = mpsc::channel(AHEAD);
        let (sender, outcome) = oneshot::channel();
        // An error says that nobody waits for the outcome.
        thread::spawn(move || sender.send(write(receiver)));
        Self { texts, outcome }
    }

    pub(crate) async fn print(&self, message: &Message) -> Result<(), OutputClosed> {
        self.texts.send(frames::show_message(message)).await.map_err(|_| OutputClosed)
    }

    /// Waits until all is printed. That nobody reads is no error.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        drop(self.texts);
        match self.outcome.await? {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(format!("standard output: {error}").into())
            }
            _ => Ok(()),
        }
    }
}

fn write(mut texts: mpsc::Receiver<String>) -> io::Result<()> {
    let mut output = stdout().lock();
    while let Some(text) = texts.blocking_recv() {
        output.write_all(text.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}
