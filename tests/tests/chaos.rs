//! The program among libzmq peers that are killed, stopped and started again, under load. `make chaos` runs this.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Transport};
use rustix::process::{Pid, Signal, kill_process};

/// How long things go wrong unless `CHAOS_SECONDS` says another number.
const SECONDS: u64 = 60;

/// How many things go wrong at least.
const KILLS: usize = 100;

const WORKERS: usize = 4;
const SOCKETS: &str = "8";

fn spawn(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn peer(args: &[&str]) -> Child {
    spawn(Command::new(env!("CARGO_BIN_EXE_chaos")).args(args))
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A row of numbers that looks random and is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

/// The numbers in a text, in their order.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// The program, which may have become another process.
struct Broker {
    first: Child,
    process: Pid,
    /// All that it will have said on standard error.
    said: JoinHandle<String>,
}

impl Broker {
    /// Has another process go on.
    fn upgrade(&mut self, place: &Place) {
        let mut upgrade = Command::new(program());
        let output = upgrade.arg("upgrade").current_dir(place.directory()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        if Pid::from_child(&self.first) == self.process {
            assert!(self.first.wait().unwrap().success());
        }
        let next = numbers(std::str::from_utf8(&output.stdout).unwrap())[0];
        self.process = i32::try_from(next).ok().and_then(Pid::from_raw).unwrap();
    }

    /// Ends it. Returns what it has said.
    fn end(mut self, by: Signal) -> String {
        kill_process(self.process, by).unwrap();
        let said = self.said.join().unwrap();
        let ended = self.first.wait().unwrap();
        assert!(ended.success() || by == Signal::KILL, "{said}");
        said
    }
}

fn program() -> String {
    std::env::var("BROKER").expect("BROKER is set: run `make chaos`")
}

/// The program and its peers.
struct World {
    place: Place,
    frontend: String,
    backend: String,
    workers: Vec<Child>,
    dice: Dice,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let [frontend, backend] =
            ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
        let mut world = Self { place, frontend, backend, workers: Vec::new(), dice: Dice(1) };
        world.workers = (0..WORKERS).map(|i| world.worker(i)).collect();
        world
    }

    fn worker(&self, i: usize) -> Child {
        peer(&["worker", &self.backend, &format!("W{i}")])
    }

    fn clients(&self, kind: &str, name: &str) -> Child {
        peer(&[kind, &self.frontend, name, SOCKETS])
    }

    fn letters(&self) -> PathBuf {
        self.place.directory().join("letters")
    }

    /// The program once it is ready.
    fn broker(&self, options: &[&str]) -> Broker {
        let mut broker = spawn(
            Command::new(program())
                .arg("serve")
                .args(["--control", "--frontend", &self.frontend, "--backend", &self.backend])
                .args(["--lease", "1", "--error-reply", "ERROR", "--dead-letters"])
                .arg(self.letters())
                .args(options)
                .current_dir(self.place.directory())
                .stderr(Stdio::piped()),
        );
        let mut output = BufReader::new(broker.stdout.take().unwrap()).lines();
        assert!(output.any(|line| line.unwrap() == "ready"));
        // What it says is read, or it would wait for that.
        std::thread::spawn(move || output.for_each(drop));
        let mut stderr = broker.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        Broker { process: Pid::from_child(&broker), first: broker, said }
    }

    fn kill_worker(&mut self, i: usize) {
        kill(&mut self.workers[i]);
        self.workers[i] = self.worker(i);
    }

    /// Stops a worker for longer than the lease. It may be killed while it cannot even close its connection itself.
    fn stop_worker(&mut self, i: usize) {
        signal(&self.workers[i], Signal::STOP);
        std::thread::sleep(Duration::from_millis(1500));
        if self.dice.below(2) == 0 {
            signal(&self.workers[i], Signal::CONT);
        } else {
            self.kill_worker(i);
        }
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.dice.below(200) as u64));
    }
}

/// What clients have seen once they are asked to end: replies, errors, and how often they asked once more.
fn end(mut clients: Child) -> [u64; 3] {
    drop(clients.stdin.take());
    let output = clients.wait_with_output().unwrap();
    assert!(output.status.success(), "a client was left without an answer");
    numbers(std::str::from_utf8(&output.stdout).unwrap()).try_into().unwrap()
}

fn seconds() -> u64 {
    std::env::var("CHAOS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap())
}

#[test]
fn whoever_is_killed_no_client_that_stays_is_left_without_an_answer() {
    let mut world = World::new();
    let mut broker = world.broker(&[]);
    let stays = world.clients("clients", "STAYS");
    let mut leaves = world.clients("clients", "LEAVES");
    let (mut kills, mut upgrades) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds()) || kills < KILLS {
        let i = world.dice.below(WORKERS);
        match world.dice.below(5) {
            0 | 1 => world.kill_worker(i),
            2 => world.stop_worker(i),
            3 => {
                broker.upgrade(&world.place);
                upgrades += 1;
            }
            _ => {
                kill(&mut leaves);
                leaves = world.clients("clients", "LEAVES");
            }
        }
        kills += 1;
        world.pause();
    }
    let [stayed, left] = [end(stays), end(leaves)];
    let answers = [stayed[0] + left[0], stayed[1] + left[1]];
    world.workers.iter_mut().for_each(kill);
    let said = broker.end(Signal::TERM);
    let of_earlier =
        said.lines().filter_map(|line| line.split_once("goes on; so far ")).map(|it| it.1);
    let last = said.lines().last().and_then(|line| line.split_once("INFO")).unwrap().1;
    println!(
        "{} kills and {upgrades} upgrades; {answers:?} replies and errors seen by clients; at last {last}",
        kills - upgrades
    );
    let summaries: Vec<_> = of_earlier.chain([last]).collect();
    assert_eq!(summaries.len(), upgrades + 1, "{said}");
    check(&summaries, answers, &world.letters());
    assert!(start.elapsed() < Duration::from_secs(seconds()) + 2 * PATIENCE);
}

#[test]
fn whoever_is_killed_and_the_queue_too_no_client_gets_anothers_answer_and_few_have_to_ask_again() {
    let mut world = World::new();
    let mut broker = world.broker(&["--journal", "journal"]);
    let clients = ["A", "B"].map(|name| world.clients("stubborn", name));
    let (mut kills, mut restarts, mut upgrades, mut went_on) = (0, 0, 0, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds()) || kills < KILLS / 4 {
        let i = world.dice.below(WORKERS);
        match world.dice.below(5) {
            0 => world.kill_worker(i),
            1 => world.stop_worker(i),
            2 => {
                broker.upgrade(&world.place);
                upgrades += 1;
            }
            _ => {
                went_on += u64::from(broker.end(Signal::KILL).contains("going on with"));
                broker = world.broker(&["--journal", "journal"]);
                restarts += 1;
                // Clients and workers come back, and are at work when it is killed again.
                std::thread::sleep(Duration::from_millis(1500));
            }
        }
        kills += 1;
        world.pause();
    }
    let seen = clients.map(end);
    let [replies, errors, asked_again] = [0, 1, 2].map(|i| seen[0][i] + seen[1][i]);
    world.workers.iter_mut().for_each(kill);
    broker.end(Signal::TERM);
    println!(
        "{kills} kills and upgrades, {restarts} kills of the queue, of which {went_on} left requests, and {upgrades} upgrades; {replies} replies, {errors} errors, \
         {asked_again} asked again"
    );
    assert!(went_on > 0, "some were killed with requests");
    // Those whose request or reply was in the system's buffers.
    assert!(asked_again <= 2 * restarts, "{asked_again} requests were lost with {restarts} queues");
}

/// Each request ended in one way, and what clients saw is among it. A process that is left counts what it leaves as well.
fn check(summaries: &[&str], [replies, errors]: [u64; 2], letters: &Path) {
    let count = |summary: &str, what: &str| {
        let part = summary.split(&[':', ',', ';'][..]).find(|part| part.contains(what));
        part.map_or(0, |part| *numbers(part).first().unwrap())
    };
    let all = |what| summaries.iter().map(|summary| count(summary, what)).sum::<u64>();
    let last = |what| count(summaries.last().unwrap(), what);
    let ended = last("answered") + last("given up") + last("whose clients left");
    assert_eq!(last("requests"), ended, "{summaries:?}");
    let (answered, given_up) = (all("answered"), all("given up"));
    assert!(answered >= replies && given_up >= errors, "{replies}, {errors}: {summaries:?}");
    let kept = std::fs::read_to_string(letters).unwrap().lines().count() as u64;
    assert_eq!(kept, given_up, "each is in the file");
}
