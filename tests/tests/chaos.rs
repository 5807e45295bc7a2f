//! The program among libzmq peers that are killed, stopped and started again, under load. `make chaos` runs this.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
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
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn peer(args: &[&str]) -> Child {
    spawn(Command::new(env!("CARGO_BIN_EXE_chaos")).args(args).stderr(Stdio::inherit()))
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

#[test]
fn whoever_is_killed_no_client_that_stays_is_left_without_an_answer() {
    let seconds = std::env::var("CHAOS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let place = Place::new();
    let endpoint = |name| place.endpoint(Transport::Ipc, name);
    let (frontend, backend) = (endpoint("frontend"), endpoint("backend"));
    let program = std::env::var("BROKER").expect("BROKER is set: run `make chaos`");
    let letters = place.directory().join("letters");
    let mut broker = spawn(
        Command::new(program)
            .args(["serve", "--frontend", &frontend, "--backend", &backend, "--lease", "1"])
            .args(["--error-reply", "ERROR", "--dead-letters"])
            .arg(&letters),
    );
    let mut output = BufReader::new(broker.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap() == "ready"));
    // What it says of others' faults is read, or it would wait for that.
    let mut stderr = broker.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        said
    });
    let worker = |i: usize| peer(&["worker", &backend, &format!("W{i}")]);
    let mut workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let stays = peer(&["clients", &frontend, "STAYS", SOCKETS]);
    let leaver = || peer(&["clients", &frontend, "LEAVES", SOCKETS]);
    let mut leaves = leaver();

    let (mut dice, mut kills) = (Dice(1), 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) || kills < KILLS {
        let i = dice.below(WORKERS);
        match dice.below(4) {
            0 | 1 => {
                kill(&mut workers[i]);
                workers[i] = worker(i);
            }
            2 => {
                // Longer than the lease, or killed while it cannot even close its connection itself.
                signal(&workers[i], Signal::STOP);
                std::thread::sleep(Duration::from_millis(1500));
                if dice.below(2) == 0 {
                    signal(&workers[i], Signal::CONT);
                } else {
                    kill(&mut workers[i]);
                    workers[i] = worker(i);
                }
            }
            _ => {
                kill(&mut leaves);
                leaves = leaver();
            }
        }
        kills += 1;
        std::thread::sleep(Duration::from_millis(dice.below(200) as u64));
    }

    let mut answers = [0, 0];
    for mut clients in [stays, leaves] {
        drop(clients.stdin.take());
        let output = clients.wait_with_output().unwrap();
        assert!(output.status.success(), "a client was left without an answer");
        let counts = numbers(std::str::from_utf8(&output.stdout).unwrap());
        answers = [answers[0] + counts[0], answers[1] + counts[1]];
    }
    workers.iter_mut().for_each(kill);
    signal(&broker, Signal::TERM);
    assert!(broker.wait().unwrap().success());
    let said = said.join().unwrap();
    let summary = said.lines().last().unwrap();
    println!("{kills} kills; {answers:?} replies and errors seen by clients; {summary}");
    check(summary, answers, &letters);
    assert!(start.elapsed() < Duration::from_secs(seconds) + 2 * PATIENCE);
}

/// Each request ended in one way, and what clients saw is among it.
fn check(summary: &str, [replies, errors]: [u64; 2], letters: &Path) {
    let count = |what: &str| {
        let part = summary.split(&[':', ',', ';'][..]).find(|part| part.contains(what));
        part.map_or(0, |part| *numbers(part).first().unwrap())
    };
    let requests = count("requests");
    let (answered, given_up) = (count("answered"), count("given up"));
    let left = count("whose clients left");
    assert_eq!(requests, answered + given_up + left, "{summary}");
    assert!(answered >= replies && given_up >= errors, "{replies}, {errors}: {summary}");
    let kept = std::fs::read_to_string(letters).unwrap().lines().count() as u64;
    assert_eq!(kept, given_up, "each is in the file");
}
