//! Ordinary clients and workers in other languages, on the program. `make peers` runs this.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Transport};

/// A directory for what has to be compiled.
static BUILT: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

const LANGUAGES: [&str; 6] = ["c", "mjs", "php", "pl", "py", "rb"];

fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make peers`"))
}

/// What runs the peer of a language.
fn peer(language: &str) -> Command {
    static C: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = BUILT.path().join("peer");
        let mut compile = Command::new("cc");
        compile.arg(script("c")).arg("-o").arg(&program).args(["-lczmq", "-lzmq"]);
        assert!(compile.status().unwrap().success(), "{compile:?}");
        program
    });
    let interpreter = match language {
        "c" => return Command::new(&*C),
        "mjs" => "node".to_owned(),
        "php" => "php".to_owned(),
        "pl" => "perl".to_owned(),
        "py" => from_environment("PYTHON"),
        _ => "ruby".to_owned(),
    };
    let mut command = Command::new(interpreter);
    command.arg(script(language)).env("ZEROMQ", from_environment("ZEROMQ"));
    command
}

fn script(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("peers/lru/peer.{language}"))
}

/// A process that does not outlive the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, on a place's endpoints.
fn queue(place: &Place) -> Running {
    let [frontend, backend] = endpoints(place);
    let mut command = Command::new(from_environment("BROKER"));
    Running::start(command.args(["serve", "--frontend", &frontend, "--backend", &backend]))
}

fn endpoints(place: &Place) -> [String; 2] {
    ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name))
}

/// What a client of a language is answered.
fn ask(language: &str, frontend: &str, body: &str) -> String {
    let mut client = Running::start(peer(language).args(["client", frontend, "CLIENT", body]));
    let start = Instant::now();
    while client.0.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "a client in {language} gets no answer");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut output = String::new();
    std::io::Read::read_to_string(client.0.stdout.as_mut().unwrap(), &mut output).unwrap();
    output
}

#[test]
fn clients_of_each_language_are_served_by_workers_of_each() {
    let place = Place::new();
    let _queue = queue(&place);
    let [frontend, backend] = endpoints(&place);
    for worker in LANGUAGES {
        let name = format!("WORKER-{worker}");
        let _worker = Running::start(peer(worker).args(["worker", &backend, &name]));
        for client in LANGUAGES {
            let reply = ask(client, &frontend, "a request");
            assert_eq!(reply, format!("{name}: a request\n"), "{client} asks {worker}");
        }
    }
}

#[test]
fn workers_of_each_language_serve_the_queue_that_comes_after_one_that_was_killed() {
    for language in LANGUAGES {
        let place = Place::new();
        let mut first = queue(&place);
        let [frontend, backend] = endpoints(&place);
        let _worker = Running::start(peer(language).args(["worker", &backend, "WORKER"]));
        assert_eq!(ask(language, &frontend, "one"), "WORKER: one\n");
        first.kill();
        let _second = queue(&place);
        // It has said READY to the first, and says nothing to the second.
        assert_eq!(ask(language, &frontend, "two"), "WORKER: two\n", "{language}");
    }
}
