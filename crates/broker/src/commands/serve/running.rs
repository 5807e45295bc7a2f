//! [`Running`]: a queue from its start to its end, or until it is left to another process.

use std::error::Error;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use broker::{Handle, Handover, Journal, Outcome, Side};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::build::{build, tell};
use super::doors::{Doors, Listeners};
use super::successor::{Successor, terminate};
use super::telling::{
    keep_letters, summary, tell_of_end, tell_of_endpoints, tell_of_letters, tell_of_restored,
};
use crate::cli::Serve;
use crate::commands::reload::{self, Current};
use crate::dead_letters::Letters;
use crate::history;
use crate::http::{Control, Demand, View};
use crate::memory::Memory;
use crate::output::{note, warn};
use crate::signals::{self, Signals};
use crate::systemd::{self, Sockets};

/// Demands that wait.
const DEMANDS: usize = 4;

/// What there is before anything is opened: from systemd, from the process before, or nothing.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    pub(crate) sockets: Sockets,
    pub(crate) handover: Option<Handover>,
    pub(crate) listeners: Listeners,
    /// The options of the process before that say where it listens, each with what it is.
    pub(crate) addresses: Vec<(String, String)>,
    /// Those that this process has open already. What has become of the file meanwhile must not stop it.
    letters: Option<Letters>,
    /// Where the process before kept its journal. It must not be left with requests that go on.
    pub(crate) journal: Option<PathBuf>,
    /// It is this process's own, which has said where it listens.
    pub(super) is_own: bool,
}

impl Legacy {
    /// What systemd has passed on.
    pub(super) fn of(mut sockets: Sockets) -> Self {
        let http = sockets.http.take();
        let listeners = Listeners { http, control: None };
        Self { sockets, listeners, ..Self::default() }
    }
}

/// A queue that runs.
pub(super) struct Running {
    broker: JoinHandle<Outcome>,
    handle: Handle,
    /// Has it drain and end.
    stop: Option<oneshot::Sender<()>>,
    demands: mpsc::Receiver<Demand>,
    doors: Doors,
    letters: Option<Letters>,
    journal: Option<PathBuf>,
    /// Where it listens by its options, or those of a process before.
    addresses: Vec<(String, String)>,
    memory: Memory,
    /// What ends with it.
    _tasks: JoinSet<()>,
}

/// How it has ended.
pub(super) enum End {
    Over(ExitCode),
    /// Another process goes on, and who asked for that has been told.
    LeftTo(u32),
    /// Nobody goes on with this.
    Left(Box<Legacy>),
}

impl Running {
    pub(super) async fn start(
        options: &Serve,
        current: &Current,
        legacy: Legacy,
        memory: &Memory,
    ) -> Result<Self, Box<dyn Error>> {
        let Legacy { sockets, handover, listeners, addresses, letters, journal: before, is_own } =
            legacy;
        let place = options.start.journal.as_deref().map(std::path::absolute).transpose()?;
        if handover.is_some() && before != place {
            let shown = |path: &Option<PathBuf>| {
                path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
            };
            let (was, is) = (shown(&before), shown(&place));
            return Err(format!("an upgrade cannot change the journal, which was {was} and is to be {is}; stop and start the queue").into());
        }
        let letters = match letters {
            Some(letters) => {
                letters.lock_again();
                Some(letters)
            }
            None => options.dead_letters.as_deref().map(Letters::open).transpose()?,
        };
        let start = &options.start;
        let journal = start.journal.as_deref().map(|path| Journal::open(path, start.durability));
        let mut journal = journal.transpose()?;
        if let (Some(handover), Some((_, replay, _))) = (&handover, &mut journal) {
            handover.settle(replay);
        }
        let mut doors = Doors::open(options, listeners).await?;
        let builder = build(options, sockets, doors.any()).policy(current.policy());
        let builder = match handover {
            Some(handover) => builder.go_on(handover),
            None => builder,
        };
        let mut broker = tell(builder, memory, letters.clone()).bind().await?;
        let mut tasks = JoinSet::new();
        for (monitor, side) in broker.monitors().into_iter().zip([Side::Frontend, Side::Backend]) {
            tasks.spawn(memory.peers.clone().follow(monitor, side, memory.connections.clone()));
        }
        tasks.spawn(memory.peers.clone().tell_of_more());
        if let Some((journal, replay, cut_off)) = journal {
            let restored;
            (broker, restored) = broker.with_journal(journal, replay)?;
            tell_of_restored(&restored, cut_off);
        }
        if !is_own {
            tell_of_endpoints(&broker);
        }
        let addresses = listens_still(&addresses, current.addresses());
        let (handle, hangup) = (broker.handle(), signals::hangup()?);
        tasks.spawn(reload::at_each(hangup, handle.clone(), current.clone()));
        let (demand, demands) = mpsc::channel(DEMANDS);
        if let (true, Some(frontend)) = (doors.any(), broker.frontend().first()) {
            let view = View { broker: handle.clone(), memory: memory.clone() };
            tasks.spawn(history::keep(memory.history.clone(), handle.clone()));
            let (letters, frontend) = (letters.clone(), frontend.clone());
            let control = Control { broker: handle.clone(), demand, letters, frontend };
            doors.serve(options, &view, control)?;
            if !is_own {
                doors.tell()?;
            }
        }
        tasks.spawn(systemd::watch(handle.clone()));
        if let Some(letters) = &letters {
            tasks.spawn(keep_letters(letters.clone()));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        // As a task, it has its turn behind those of the connections, and finds all that they have read.
        let broker = tokio::spawn(broker.run(async {
            // It is told by the end of who could tell it.
            let _ = stopped.await;
        }));
        let journal = place;
        Ok(Self {
            broker,
            handle,
            stop: Some(stop),
            demands,
            doors,
            letters,
            journal,
            addresses,
            memory: memory.clone(),
            _tasks: tasks,
        })
    }

    /// What has come from another process is this one's.
    pub(super) fn claim_files(&mut self) {
        self.doors.claim_file();
    }

    /// Until it ends, or another process goes on.
    pub(super) async fn end(mut self, signals: &mut Signals) -> Result<End, Box<dyn Error>> {
        loop {
            let told = tokio::select! {
                outcome = &mut self.broker => return self.over(&outcome?),
                wish = wish(&mut self.demands, signals) => match wish {
                    Demand::Drain => return self.drain(signals).await,
                    Demand::Upgrade(told) => told,
                },
            };
            let Some(started) = self.start_next(signals).await else {
                let _ = told.send(Err("the queue has been told to end".to_owned()));
                return self.drain(signals).await;
            };
            let ready = match started {
                Ok(successor) => self.make_room().await.map(|()| successor),
                Err(error) => Err(error),
            };
            match ready {
                Ok(successor) => return self.leave_to(successor, told).await,
                Err(error) => drop(told.send(Err(error))),
            }
        }
    }

    /// The next process, or why there is none; nothing if the queue is to end, and so is what has been started.
    async fn start_next(&mut self, signals: &mut Signals) -> Option<Result<Successor, String>> {
        let mut starting = pin!(Successor::start());
        loop {
            tokio::select! {
                started = &mut starting => return Some(started),
                wish = wish(&mut self.demands, signals) => match wish {
                    Demand::Drain => return None,
                    Demand::Upgrade(another) => {
                        let _ = another.send(Err("another upgrade is under way".to_owned()));
                    }
                },
            }
        }
    }

    async fn drain(mut self, signals: &mut Signals) -> Result<End, Box<dyn Error>> {
        note("stopping once no request is in flight; a second signal stops at once");
        systemd::tell_stopping();
        self.stop = None;
        loop {
            tokio::select! {
                outcome = &mut self.broker => return self.over(&outcome?),
                () = signals.next() => return Err("stopped at once".into()),
                Some(demand) = self.demands.recv() => if let Demand::Upgrade(told) = demand {
                    let _ = told.send(Err("the queue drains, and ends".to_owned()));
                },
            }
        }
    }

    /// The next process begins the journal anew, as this one would have to if it went on after all.
    async fn make_room(&self) -> Result<(), String> {
        if let Some(Err(error)) = self.letters.as_ref().map(Letters::flush) {
            return Err(format!(
                "dead letters cannot be written, and nothing has changed: {error}"
            ));
        }
        match self.handle.begin_journal_anew().await {
            Ok(Err(error)) => Err(format!(
                "the next process could not begin the journal anew, and nothing has changed: {error}"
            )),
            // Whether it has ended is seen next.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    async fn leave_to(
        mut self,
        successor: Successor,
        told: oneshot::Sender<Result<String, String>>,
    ) -> Result<End, Box<dyn Error>> {
        let handover = self.handle.hand_over().await;
        let outcome = (&mut self.broker).await?;
        let Ok(handover) = handover else {
            return self.over(&outcome);
        };
        self.memory.peers.tell_of_rest();
        // What only one process may have is free for the next.
        self.letters.iter().for_each(Letters::unlock);
        let listeners = self.doors.leave();
        let handover = Some(handover);
        let Self { addresses, letters, journal, memory, .. } = self;
        let sockets = Sockets::default();
        let is_own = true;
        let legacy = Legacy { sockets, handover, listeners, addresses, letters, journal, is_own };
        systemd::tell_alive();
        let inherited = successor.inherit(&legacy, &memory);
        let mut drains = false;
        while let Ok(demand) = self.demands.try_recv() {
            match demand {
                Demand::Drain => drains = true,
                Demand::Upgrade(another) => {
                    let _ = another.send(Err("another upgrade was under way".to_owned()));
                }
            }
        }
        if drains {
            // Whoever goes on has not heard of it.
            terminate(inherited.as_ref().map_or(std::process::id(), |&process| process));
        }
        match inherited {
            Ok(process) => {
                let text = format!("process {process} goes on");
                note(format_args!("{text}; so far {}", summary(&outcome.counters)));
                let _ = told.send(Ok(text));
                Ok(End::LeftTo(process))
            }
            Err(error) => {
                let _ = told.send(Err(error));
                Ok(End::Left(Box::new(legacy)))
            }
        }
    }

    fn over(&self, outcome: &Outcome) -> Result<End, Box<dyn Error>> {
        tell_of_letters(self.letters.as_ref());
        self.memory.peers.tell_of_rest();
        tell_of_end(outcome, self.journal.is_some() && outcome.failure.is_none());
        match &outcome.failure {
            None => Ok(End::Over(ExitCode::SUCCESS)),
            Some(failure) => Err(failure.to_string().into()),
        }
    }
}

/// Where it listens: where the process before did, whatever the options are, which is told of.
fn listens_still(before: &[(String, String)], now: Vec<(String, String)>) -> Vec<(String, String)> {
    for (name, was) in before {
        let is = now
            .iter()
            .find(|(other, _)| other == name)
            .map_or(reload::NOT_SET, |(_, is)| is.as_str());
        if was != is {
            warn(reload::stays(name, was, is));
        }
    }
    let is_new = |(name, _): &(String, String)| before.iter().all(|(other, _)| other != name);
    before.iter().cloned().chain(now.into_iter().filter(is_new)).collect()
}

/// What is wanted of the queue next. A signal is the same as to be told to drain.
async fn wish(demands: &mut mpsc::Receiver<Demand>, signals: &mut Signals) -> Demand {
    tokio::select! {
        () = signals.next() => Demand::Drain,
        Some(demand) = demands.recv() => demand,
    }
}
