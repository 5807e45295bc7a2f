//! A terminal: a program that runs in it, and pictures of it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use interop::PATIENCE;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

pub(crate) const ROWS: u16 = 26;
pub(crate) const COLUMNS: u16 = 110;

/// A program in a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    pub(crate) fn run(program: &str, args: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keys, size).unwrap();
        let path = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        // So that it is the one that the program asks for its size.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", program])
            .args(args)
            .env("TERM", "xterm-256color")
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|error| panic!("setsid: {error}"));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let keys = File::from(keys);
        let (mut output, parser) = (keys.try_clone().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end of the program.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                parser.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, keys, screen }
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as it is to be.
    pub(crate) fn wait_for(&self, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if is_so(&text) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the program's end, and says whether the terminal is as it was.
    pub(crate) fn end(mut self) -> (ExitStatus, bool) {
        let status = self.child.wait().unwrap();
        let start = Instant::now();
        let is_restored = || {
            let parser = self.screen.lock().unwrap();
            !parser.screen().alternate_screen() && !parser.screen().hide_cursor()
        };
        while !is_restored() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        (status, is_restored())
    }

    /// Draws the screen.
    pub(crate) fn photograph(&self, path: &Path) {
        let parser = self.screen.lock().unwrap();
        let (width, height) = (f32::from(COLUMNS) * 8.4 + 24.0, f32::from(ROWS) * 17.0 + 24.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-size=\"14\" \
             font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16191d\"/>\n"
        );
        for row in 0..ROWS {
            let cells =
                (0..COLUMNS).map(|column| parser.screen().cell(row, column).unwrap().clone());
            let cells: Vec<_> = cells.collect();
            let mut column = 0;
            for run in cells.chunk_by(|a, b| style(a) == style(b)) {
                let text: String = run
                    .iter()
                    .map(|cell| if cell.has_contents() { cell.contents() } else { " " })
                    .collect();
                if !text.trim().is_empty() {
                    let (x, y) = (12.0 + f64::from(column) * 8.4, 26 + row * 17);
                    let length = f64::from(u16::try_from(run.len()).unwrap()) * 8.4;
                    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                    // Others are taken together.
                    let text = text.replace(' ', "\u{a0}");
                    let style = style(&run[0]);
                    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" {style}>{text}</text>").unwrap();
                }
                column += u16::try_from(run.len()).unwrap();
            }
        }
        svg.push_str("</svg>\n");
        std::fs::write(path, svg).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn style(cell: &vt100::Cell) -> String {
    let colour = match cell.fgcolor() {
        vt100::Color::Idx(1) => "#f87171",
        vt100::Color::Idx(2) => "#4ade80",
        vt100::Color::Idx(3) => "#fbbf24",
        vt100::Color::Idx(5) => "#d58cf0",
        vt100::Color::Idx(6) => "#5cc8e0",
        _ if cell.dim() => "#8b939b",
        _ => "#e6e8ea",
    };
    let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
    format!("fill=\"{colour}\"{weight}")
}
