//! An LRU queue as one epoll loop and no library: what one thread can do with plain system calls.
//!
//! `floor broker FRONTEND BACKEND`. One read for each connection that is ready, one write for each
//! connection that was touched. It trusts its peers: no limits, no checks.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use bench::poll::{Poll, Ready};
use bench::role::Role;
use bench::wire::{GREETING, ready, split_frame};
use bench::{Listener, Stream};

const FRONTEND: u64 = u64::MAX;
const BACKEND: u64 = u64::MAX - 1;

struct Connection {
    stream: Stream,
    is_client: bool,
    /// Bytes of the greeting and READY that are still to come.
    greeted: bool,
    shaken: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    touched: bool,
    waits_to_write: bool,
}

struct Floor {
    poll: Poll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    idle: VecDeque<usize>,
    waiting: VecDeque<(usize, Vec<u8>)>,
    touched: Vec<usize>,
}

fn main() -> io::Result<()> {
    let Role::Broker { frontend, backend } = Role::from_args() else { panic!("a broker only") };
    let listeners = [Listener::bind(&frontend)?, Listener::bind(&backend)?];
    let mut floor = Floor {
        poll: Poll::new()?,
        connections: Vec::new(),
        free: Vec::new(),
        idle: VecDeque::new(),
        waiting: VecDeque::new(),
        touched: Vec::new(),
    };
    floor.poll.add(&listeners[0], FRONTEND)?;
    floor.poll.add(&listeners[1], BACKEND)?;
    println!("ready");
    let mut events: Vec<Ready> = Vec::new();
    let mut scratch = vec![0; 256 << 10];
    loop {
        floor.poll.wait(&mut events, None)?;
        for event in &events {
            match event.key {
                FRONTEND => floor.accept(&listeners[0], true)?,
                BACKEND => floor.accept(&listeners[1], false)?,
                key => {
                    if event.readable {
                        floor.read(key as usize, &mut scratch);
                    }
                    if event.writable {
                        floor.touch(key as usize);
                    }
                }
            }
        }
        floor.write()?;
    }
}

impl Floor {
    fn accept(&mut self, listener: &Listener, is_client: bool) -> io::Result<()> {
        while let Ok(stream) = listener.accept() {
            let at = self.free.pop().unwrap_or(self.connections.len());
            self.poll.add(&stream, at as u64)?;
            let mut output = GREETING.to_vec();
            output.extend(ready("ROUTER", b""));
            let connection = Connection {
                stream,
                is_client,
                greeted: false,
                shaken: false,
                input: Vec::new(),
                output,
                written: 0,
                touched: false,
                waits_to_write: false,
            };
            if at == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[at] = Some(connection);
            }
            self.touch(at);
        }
        Ok(())
    }

    fn touch(&mut self, at: usize) {
        if let Some(connection) = &mut self.connections[at]
            && !std::mem::replace(&mut connection.touched, true)
        {
            self.touched.push(at);
        }
    }

    fn read(&mut self, at: usize, scratch: &mut [u8]) {
        let Some(connection) = &mut self.connections[at] else { return };
        let count = match (&connection.stream).read(scratch) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => return self.end(at),
        };
        if connection.input.is_empty() {
            let used = self.parse(at, &scratch[..count]);
            if let Some(connection) = &mut self.connections[at] {
                connection.input.extend_from_slice(&scratch[used..count]);
            }
        } else {
            let mut input = std::mem::take(&mut connection.input);
            input.extend_from_slice(&scratch[..count]);
            let used = self.parse(at, &input);
            input.drain(..used);
            if let Some(connection) = &mut self.connections[at] {
                connection.input = input;
            }
        }
    }

    /// Carries out what is whole and returns how many bytes that took.
    fn parse(&mut self, at: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(connection) = &mut self.connections[at] else { return used };
            let rest = &bytes[used..];
            if !connection.greeted {
                if rest.len() < GREETING.len() {
                    return used;
                }
                connection.greeted = true;
                used += GREETING.len();
                continue;
            }
            let mut end = 0;
            let mut after_delimiter = None;
            loop {
                let Some((flags, _, size)) = split_frame(&rest[end..]) else { return used };
                end += size;
                if after_delimiter.is_none() {
                    after_delimiter = Some(end);
                }
                if flags & 1 == 0 {
                    break;
                }
            }
            if !std::mem::replace(&mut connection.shaken, true) {
                used += end;
                continue;
            }
            let body = &rest[after_delimiter.unwrap_or(end)..end];
            if connection.is_client {
                self.request(at, body)
            } else {
                self.reply(at, body)
            }
            used += end;
        }
    }

    fn request(&mut self, client: usize, body: &[u8]) {
        match self.idle.pop_front() {
            Some(worker) => self.dispatch(worker, client, body),
            None => self.waiting.push_back((client, body.to_vec())),
        }
    }

    fn dispatch(&mut self, worker: usize, client: usize, body: &[u8]) {
        let Some(connection) = &mut self.connections[worker] else {
            return self.request(client, body);
        };
        // The delimiter, the client's address, a delimiter.
        connection.output.extend_from_slice(&[1, 0, 1, 5, 0]);
        connection.output.extend_from_slice(&(client as u32).to_be_bytes());
        connection.output.extend_from_slice(&[1, 0]);
        connection.output.extend_from_slice(body);
        self.touch(worker);
    }

    /// `READY`, or a client's address, a delimiter and the reply.
    fn reply(&mut self, worker: usize, body: &[u8]) {
        if body.first() == Some(&1) {
            let client = u32::from_be_bytes([body[3], body[4], body[5], body[6]]) as usize;
            if let Some(connection) = &mut self.connections[client] {
                connection.output.extend_from_slice(&body[7..]);
                self.touch(client);
            }
        }
        match self.waiting.pop_front() {
            Some((client, body)) => self.dispatch(worker, client, &body),
            None => self.idle.push_back(worker),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        for at in std::mem::take(&mut self.touched) {
            let Some(connection) = &mut self.connections[at] else { continue };
            connection.touched = false;
            match (&connection.stream).write(&connection.output[connection.written..]) {
                Ok(count) => connection.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.end(at);
                    continue;
                }
            }
            let done = connection.written == connection.output.len();
            if done {
                connection.output.clear();
                connection.written = 0;
            }
            if connection.waits_to_write == done {
                connection.waits_to_write = !done;
                self.poll.watch_writes(&connection.stream, at as u64, !done)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, at: usize) {
        if let Some(connection) = self.connections[at].take() {
            self.poll.delete(&connection.stream);
            self.idle.retain(|&worker| worker != at);
            self.waiting.retain(|&(client, _)| client != at);
            self.touched.retain(|&touched| touched != at);
            self.free.push(at);
        }
    }
}
