//! One process that goes on with the queue of another: [`Successor`] is the next one, [`Ancestor`] the one before.
//!
//! ```text
//! before                                   next, whose standard input is a socket to the one before
//!   |-- starts it ---------------------------->| looks at its options
//!   |<--------------------------------- SOUND -|
//!   | ends without closing anything            |
//!   |-- all there is to go on with ----------->| goes on with that
//!   |<--------------------------------- TAKEN -|
//! ```
//!
//! Should the next one end before it says so, the one before goes on itself.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use broker::Handover;
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::doors::Listeners;
use super::running::Legacy;
use crate::memory::Memory;
use crate::passing::{receive, send};

/// Says to a process that it is the next one.
const MARK: &str = "BROKER_SUCCESSOR";

const SOUND: u8 = b'S';
const TAKEN: u8 = b'T';

/// In front of what is not of the broker itself.
const HTTP: &[u8] = b"http";
const CONTROL: &[u8] = b"control";
const ADDRESS: &[u8] = b"address";
const JOURNAL: &[u8] = b"journal";
const MEMORY: &[u8] = b"memory";
const BROKER: &[u8] = b"broker";

/// For the other process to say the next thing.
const PATIENCE: Duration = Duration::from_secs(20);

/// For a process that ends to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where the program was when it was started, be it replaced since.
static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();

/// To be called before the program can be replaced.
pub(super) fn remember_program() {
    PROGRAM.get_or_init(|| as_called().or_else(|| env::current_exe().ok()));
}

/// The path under which this program was started: a link to it may lead to another one by then.
fn as_called() -> Option<PathBuf> {
    let name = PathBuf::from(env::args_os().next()?);
    let candidates = if name.components().count() > 1 {
        vec![std::path::absolute(name).ok()?]
    } else {
        let paths = env::var_os("PATH")?;
        env::split_paths(&paths).map(|directory| directory.join(&name)).collect()
    };
    let this = env::current_exe().ok()?;
    let is_this = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == this);
    candidates.into_iter().find(is_this)
}

/// The next process, which is sound. It is killed if this is dropped before it goes on: two at once would share what is
/// there.
pub(super) struct Successor {
    child: Child,
    stream: UnixStream,
    goes_on: bool,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.goes_on {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Tells the next process to end in order.
pub(super) fn terminate(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended by itself.
        let _ = kill_process(process, Signal::TERM);
    }
}

impl Successor {
    /// Starts it with the same options. The queue goes on meanwhile.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the process is killed.
    pub(super) async fn start() -> Result<Self, String> {
        let sound = async { Self::spawn()?.wait_until_sound().await };
        sound.await.map_err(|error| {
            format!("the next process did not start, and nothing has changed: {error}")
        })
    }

    fn spawn() -> io::Result<Self> {
        let program = PROGRAM.get().cloned().flatten();
        let program =
            program.ok_or_else(|| io::Error::other("where the program is is not known"))?;
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut command = Command::new(&program);
        command.args(env::args_os().skip(1)).env(MARK, "1").stdin(OwnedFd::from(theirs));
        // They are about this process.
        for variable in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "WATCHDOG_PID"] {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        })?;
        Ok(Self { child, stream, goes_on: false })
    }

    async fn wait_until_sound(mut self) -> io::Result<Self> {
        let heard = self.hear().await;
        // It may wait for the last words.
        let checked = spawn_blocking(move || self.check(heard, SOUND).map(|()| self));
        checked.await.map_err(io::Error::other)?
    }

    /// What it says first.
    async fn hear(&self) -> io::Result<u8> {
        // To be without blocking is a matter of both.
        self.stream.set_nonblocking(true)?;
        let mut stream = tokio::net::UnixStream::from_std(self.stream.try_clone()?)?;
        let heard = timeout(PATIENCE, stream.read_u8()).await;
        self.stream.set_nonblocking(false)?;
        heard.unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn wait_for(&mut self, expected: u8) -> io::Result<()> {
        let mut said = [0];
        let heard = self.stream.read_exact(&mut said).map(|()| said[0]);
        self.check(heard, expected)
    }

    fn check(&mut self, heard: io::Result<u8>, expected: u8) -> io::Result<()> {
        match heard {
            Ok(said) if said == expected => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seconds = PATIENCE.as_secs();
                Err(io::Error::other(format!("it gave no sign of life within {seconds} s")))
            }
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Err(io::Error::other(match self.wait_for_end() {
                Some(status) if status.success() => {
                    "it has ended as if all were well; is it a broker that can be upgraded to?"
                        .to_owned()
                }
                Some(status) => {
                    format!("it has ended ({status}); its log, which is this one's, says why")
                }
                None => "it has closed its standard input; is it a broker that can be upgraded to?"
                    .to_owned(),
            })),
        }
    }

    /// One that ends says why last.
    fn wait_for_end(&mut self) -> Option<ExitStatus> {
        let end = Instant::now() + LAST_WORDS;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                ended => return ended.ok().flatten(),
            }
        }
    }

    /// Gives it all. Returns its number.
    pub(super) fn inherit(mut self, legacy: &Legacy, memory: &Memory) -> Result<u32, String> {
        match self.pass_on(legacy, memory) {
            Ok(()) => {
                self.goes_on = true;
                Ok(self.child.id())
            }
            Err(error) => {
                Err(format!("the next process did not go on, and this one does: {error}"))
            }
        }
    }

    fn pass_on(&mut self, legacy: &Legacy, memory: &Memory) -> io::Result<()> {
        let Listeners { http, control } = &legacy.listeners;
        if let Some(http) = http {
            send(&self.stream, HTTP, Some(http.as_fd()))?;
        }
        if let Some(control) = control {
            send(&self.stream, CONTROL, Some(control.as_fd()))?;
        }
        for (name, address) in &legacy.addresses {
            [ADDRESS, name.as_bytes(), address.as_bytes()]
                .into_iter()
                .try_for_each(|bytes| send(&self.stream, bytes, None))?;
        }
        send(&self.stream, JOURNAL, None)?;
        let journal = legacy.journal.as_deref().map(|path| path.as_os_str().as_bytes());
        send(&self.stream, journal.unwrap_or_default(), None)?;
        send(&self.stream, MEMORY, None)?;
        send(&self.stream, &memory.leave(), None)?;
        send(&self.stream, BROKER, None)?;
        for part in legacy.handover.iter().flat_map(Handover::parts) {
            send(&self.stream, &part.bytes, part.socket)?;
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.wait_for(TAKEN)
    }
}

/// The process before, which waits until this one goes on.
pub(super) struct Ancestor(UnixStream);

impl Ancestor {
    /// If there is one.
    pub(super) fn find() -> io::Result<Option<Self>> {
        if env::var_os(MARK).is_none() {
            return Ok(None);
        }
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Some(Self(stream)))
    }

    /// Says that this process is sound, and takes what the other has.
    pub(super) fn inherit(&mut self, memory: &mut Memory) -> io::Result<Legacy> {
        self.0.write_all(&[SOUND])?;
        let mut legacy = Legacy::default();
        loop {
            match receive(&self.0)? {
                Some((kind, Some(socket))) if kind == HTTP => {
                    legacy.listeners.http = Some(socket.into());
                }
                Some((kind, Some(socket))) if kind == CONTROL => {
                    legacy.listeners.control = Some(socket.into());
                }
                Some((kind, None)) if kind == ADDRESS => {
                    let name = String::from_utf8_lossy(&self.bytes()?).into_owned();
                    let address = String::from_utf8_lossy(&self.bytes()?).into_owned();
                    legacy.addresses.push((name, address));
                }
                Some((kind, None)) if kind == JOURNAL => {
                    let path = self.bytes()?;
                    let path = Some(path).filter(|path| !path.is_empty());
                    legacy.journal = path.map(|path| OsStr::from_bytes(&path).into());
                }
                Some((kind, None)) if kind == MEMORY => memory.recall(&self.bytes()?),
                Some((kind, None)) if kind == BROKER => break,
                _ => return Err(io::Error::other("the process before has said something else")),
            }
        }
        let mut parts: Vec<(Bytes, Option<OwnedFd>)> = Vec::new();
        while let Some(part) = receive(&self.0)? {
            parts.push(part);
        }
        let handover = Handover::from_parts(parts);
        let handover = handover.ok_or_else(|| {
            io::Error::other(
                "the process before is of another version; start the queue anew instead",
            )
        })?;
        legacy.handover = Some(handover);
        Ok(legacy)
    }

    fn bytes(&self) -> io::Result<Bytes> {
        Ok(receive(&self.0)?.map(|(bytes, _)| bytes).unwrap_or_default())
    }

    /// Says that this process goes on.
    pub(super) fn release(mut self) -> io::Result<()> {
        self.0.write_all(&[TAKEN])
    }
}
