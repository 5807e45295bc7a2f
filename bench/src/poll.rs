//! Level-triggered epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// What is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub key: u64,
    pub writable: bool,
    pub readable: bool,
}

pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    pub fn add(&self, source: &impl AsFd, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?)
    }

    /// Chooses whether to be told of room to write as well.
    pub fn watch_writes(&self, source: &impl AsFd, key: u64, writes: bool) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, writes);
        Ok(epoll::modify(&self.epoll, source, epoll::EventData::new_u64(key), flags)?)
    }

    pub fn delete(&self, source: &impl AsFd) {
        let _ = epoll::delete(&self.epoll, source);
    }

    pub fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        ready.extend(self.events.iter().map(|event| {
            let flags = event.flags;
            Ready {
                key: event.data.u64(),
                writable: flags.contains(epoll::EventFlags::OUT),
                readable: flags.intersects(
                    epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR,
                ),
            }
        }));
        Ok(())
    }
}
