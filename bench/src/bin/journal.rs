//! What it costs to keep requests: the broker's journal and an embedded store, with and without a wait for the disk.
//!
//! `journal DIR` writes to a new directory there, and prints microseconds of time and of processor time for each request that is
//! asked, handed out and ended, where so many come together.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bench::process::processor_time;
use broker::{Asked, Durability, Journal, Record};
use bytes::Bytes;
use redb::{Database, TableDefinition};
use zmtp::Message;

/// Bytes in a request.
const SIZE: usize = 32;

/// How long each is measured.
const TIME: Duration = Duration::from_secs(2);

const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");
const WORKERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("workers");

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("use: journal DIR")?;
    let directory = Path::new(&directory).join(format!("journal.{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    println!("{:<16}{:>10}{:>10}{:>10}", "", "together", "µs", "µs cpu");
    for together in [1, 16, 64] {
        for (name, durability) in
            [("journal, os", Durability::Os), ("journal, fsync", Durability::Fsync)]
        {
            let path = directory.join(format!("{name} {together}"));
            let mut journal = Journal::open(&path, durability)?.0;
            measure(name, together, |first| keep(&mut journal, first, together))?;
        }
        for (name, durability) in
            [("redb, os", redb::Durability::None), ("redb, fsync", redb::Durability::Immediate)]
        {
            let path = directory.join(format!("{name} {together}"));
            let database = Database::create(&path)?;
            measure(name, together, |first| store(&database, durability, first, together))?;
        }
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// Calls `batch` with the number of the first of so many requests, again and again.
fn measure(
    name: &str,
    together: u64,
    mut batch: impl FnMut(u64) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let cpu = || processor_time(std::process::id());
    let (start, cpu_before, mut requests) = (Instant::now(), cpu(), 0);
    while start.elapsed() < TIME {
        batch(requests)?;
        requests += together;
    }
    let each = |microseconds: f64| microseconds / requests as f64;
    let time = each(start.elapsed().as_secs_f64() * 1e6);
    let used = each((cpu() - cpu_before) as f64);
    println!("{name:<16}{together:>10}{time:>10.2}{used:>10.2}");
    Ok(())
}

fn keep(journal: &mut Journal, first: u64, together: u64) -> Result<(), Box<dyn Error>> {
    let worker = Bytes::from_static(b"PROCESSOR-1");
    let numbers = first..first + together;
    for number in numbers.clone() {
        let message = Message::from([&b""[..], b"CLIENT-1", b"", &[b'x'; SIZE]]);
        let stack = Vec::new();
        journal.add(&Record::Asked(Asked {
            number,
            connection: 1,
            lock_step: true,
            stack,
            message,
        }));
        journal.add(&Record::HandedOut { number, worker: worker.clone(), in_doubt: false });
    }
    journal.write()?;
    // That they have ended is written with the next ones.
    numbers.for_each(|number| journal.add(&Record::Ended { number }));
    if journal.is_long() {
        journal.begin_anew(&[])?;
    }
    Ok(())
}

/// The same, and the last ones have ended.
fn store(
    database: &Database,
    durability: redb::Durability,
    first: u64,
    together: u64,
) -> Result<(), Box<dyn Error>> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    {
        let mut requests = transaction.open_table(REQUESTS)?;
        let mut workers = transaction.open_table(WORKERS)?;
        for number in first.saturating_sub(together)..first {
            requests.remove(number)?;
            workers.remove(number)?;
        }
        for number in first..first + together {
            requests.insert(number, &[b'x'; SIZE + 20][..])?;
            workers.insert(number, &b"PROCESSOR-1"[..])?;
        }
    }
    transaction.commit()?;
    Ok(())
}
