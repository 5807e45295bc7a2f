//! [`Running`]: a queue from its start to its end, or until it is left to another process.

use std::error::Error;
use std::process::ExitCode;

use broker::{Handle, Handover, Journal, Outcome, Side};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::build::{build, tell};
use super::doors::{Doors, Listeners};
use super::successor::Successor;
use super::telling::{summary, tell_of_end, tell_of_endpoints, tell_of_restored};
use crate::cli::Serve;
use crate::commands::reload::{self, Current};
use crate::connections;
use crate::dead_letters::Letters;
use crate::faults;
use crate::history;
use crate::http::{Control, Demand, View};
use crate::log;
use crate::output::note;
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
}

impl Legacy {
    /// What systemd has passed on.
    pub(super) fn of(mut sockets: Sockets) -> Self {
        let http = sockets.http.take();
        let listeners = Listeners { http_is_given: http.is_some(), http, control: None };
        Self { sockets, handover: None, listeners }
    }
}

/// A queue that runs.
pub(super) struct Running {
    broker: JoinHandle<Outcome>,
    handle: Handle,
    /// Has it drain and end.
    stop: oneshot::Sender<()>,
    demands: mpsc::Receiver<Demand>,
    doors: Doors,
    letters: Option<Letters>,
    /// Requests are in a journal.
    keeps: bool,
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
        faults: &faults::Shared,
    ) -> Result<Self, Box<dyn Error>> {
        let Legacy { sockets, handover, listeners } = legacy;
        let letters = options.dead_letters.as_deref().map(Letters::open).transpose()?;
        let start = &options.start;
        let journal = start.journal.as_deref().map(|path| Journal::open(path, start.durability));
        let mut journal = journal.transpose()?;
        let keeps = journal.is_some();
        if let (Some(handover), Some((_, replay, _))) = (&handover, &mut journal) {
            handover.settle(replay);
        }
        let mut doors = Doors::open(options, listeners).await?;
        let connections = connections::Shared::default();
        let builder = build(options, sockets, doors.any()).policy(current.policy());
        let builder = match handover {
            Some(handover) => builder.go_on(handover),
            None => builder,
        };
        let mut broker = tell(builder, &connections, letters.clone()).bind().await?;
        let mut tasks = JoinSet::new();
        for (monitor, side) in broker.monitors().into_iter().zip([Side::Frontend, Side::Backend]) {
            tasks.spawn(log::follow(monitor, side, connections.clone()));
        }
        if let Some((journal, replay, cut_off)) = journal {
            let restored;
            (broker, restored) = broker.with_journal(journal, replay)?;
            tell_of_restored(&restored, cut_off);
        }
        tell_of_endpoints(&broker);
        let (handle, hangup) = (broker.handle(), signals::hangup()?);
        tasks.spawn(reload::at_each(hangup, handle.clone(), current.clone()));
        let (demand, demands) = mpsc::channel(DEMANDS);
        if let (true, Some(frontend)) = (doors.any(), broker.frontend().first()) {
            let view = View::of(handle.clone(), connections, faults.clone());
            tasks.spawn(history::keep(view.history.clone(), handle.clone()));
            let (letters, frontend) = (letters.clone(), frontend.clone());
            let control = Control { broker: handle.clone(), demand, letters, frontend };
            doors.serve(options, &view, control)?;
        }
        tasks.spawn(systemd::watch(handle.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        // As a task, it has its turn behind those of the connections, and finds all that they have read.
        let broker = tokio::spawn(broker.run(async {
            // An error would say that nobody can ask to stop any more, which is the same.
            let _ = stopped.await;
        }));
        Ok(Self { broker, handle, stop, demands, doors, letters, keeps, _tasks: tasks })
    }

    /// What has come from another process is this one's.
    pub(super) fn claim_files(&mut self) {
        self.doors.claim_file();
    }

    /// Until it ends, or another process goes on.
    pub(super) async fn end(mut self, signals: &mut Signals) -> Result<End, Box<dyn Error>> {
        loop {
            let demand = tokio::select! {
                outcome = &mut self.broker => return over(&outcome?, self.keeps),
                () = signals.next() => Some(Demand::Drain),
                demand = self.demands.recv(), if !self.demands.is_closed() => demand,
            };
            match demand {
                None => {}
                Some(Demand::Drain) => return self.drain(signals).await,
                Some(Demand::Upgrade(told)) => {
                    let started = tokio::select! {
                        started = Successor::start() => started,
                        () = signals.next() => {
                            let _ = told.send(Err("the queue has been told to end".to_owned()));
                            return self.drain(signals).await;
                        }
                    };
                    match started {
                        Ok(successor) => return self.leave_to(successor, told).await,
                        Err(error) => drop(told.send(Err(error))),
                    }
                }
            }
        }
    }

    async fn drain(self, signals: &mut Signals) -> Result<End, Box<dyn Error>> {
        note("stopping once no request is in flight; a second signal stops at once");
        systemd::tell_stopping();
        let _ = self.stop.send(());
        tokio::select! {
            outcome = self.broker => over(&outcome?, self.keeps),
            () = signals.next() => Err("stopped at once".into()),
        }
    }

    async fn leave_to(
        self,
        successor: Successor,
        told: oneshot::Sender<Result<String, String>>,
    ) -> Result<End, Box<dyn Error>> {
        let handover = self.handle.hand_over().await;
        let outcome = self.broker.await?;
        let Ok(handover) = handover else { return over(&outcome, self.keeps) };
        // What only one process may have is free for the next.
        self.letters.iter().for_each(Letters::unlock);
        let listeners = self.doors.leave();
        let legacy = Legacy { handover: Some(handover), listeners, ..Legacy::default() };
        match successor.inherit(&legacy) {
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
}

fn over(outcome: &Outcome, keeps: bool) -> Result<End, Box<dyn Error>> {
    tell_of_end(outcome, keeps);
    match &outcome.failure {
        None => Ok(End::Over(ExitCode::SUCCESS)),
        Some(failure) => Err(failure.to_string().into()),
    }
}
