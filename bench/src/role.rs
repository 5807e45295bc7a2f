//! What a program of the comparison is asked to be.

use std::time::Duration;

use crate::process::raise_file_limit;

/// `broker FRONTEND BACKEND`, `recv ENDPOINT SIZE SECONDS` or `send ENDPOINT SIZE SECONDS`.
#[derive(Debug)]
pub enum Role {
    /// Binds both and says `ready`.
    Broker { frontend: String, backend: String },
    /// Binds, says `ready`, and prints how many messages came in how many seconds.
    Recv(OneWay),
    /// Connects, closes when it has sent for so long, and prints how many messages that were.
    Send(OneWay),
}

/// Messages in one direction.
#[derive(Debug)]
pub struct OneWay {
    pub endpoint: String,
    pub size: usize,
    pub time: Duration,
}

impl Role {
    /// From the command line. Also lets the process have as many descriptors as the system allows.
    pub fn from_args() -> Self {
        raise_file_limit();
        let args: Vec<String> = std::env::args().skip(1).collect();
        match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["broker", frontend, backend] => {
                Self::Broker { frontend: frontend.into(), backend: backend.into() }
            }
            ["recv", endpoint, size, seconds] => Self::Recv(OneWay::new(endpoint, size, seconds)),
            ["send", endpoint, size, seconds] => Self::Send(OneWay::new(endpoint, size, seconds)),
            _ => panic!("broker FRONTEND BACKEND | recv|send ENDPOINT SIZE SECONDS"),
        }
    }
}

impl OneWay {
    fn new(endpoint: &str, size: &str, seconds: &str) -> Self {
        Self {
            endpoint: endpoint.into(),
            size: size.parse().expect("a size in bytes"),
            time: Duration::from_secs(seconds.parse().expect("a number of seconds")),
        }
    }
}
