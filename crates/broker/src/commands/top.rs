//! `broker top`

use std::error::Error;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};
use tokio::time::{MissedTickBehavior, interval};

use super::status::time;
use crate::cli::Top;
use crate::history::Look;
use crate::http::Place;
use crate::signals::Signals;
use crate::status::Report;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// What is shown.
struct Screen {
    place: Place,
    report: Option<Report>,
    looks: Vec<Look>,
    /// Why there is no answer, if there was none to the last question.
    trouble: Option<String>,
    /// Workers above the first that is shown.
    above: usize,
}

pub(crate) async fn run(options: &Top) -> Result<ExitCode, Box<dyn Error>> {
    if !stdout().is_terminal() {
        return Err("this needs a terminal; `broker status` prints the same once".into());
    }
    let place = options.at.place();
    let mut screen = Screen { place, report: None, looks: Vec::new(), trouble: None, above: 0 };
    // Said in a sentence, and not on a screen of its own.
    screen.ask().await?;
    let mut signals = Signals::catch()?;
    let mut terminal = ratatui::try_init()?;
    let mut keys = EventStream::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let result = loop {
        if let Err(error) = terminal.draw(|frame| screen.draw(frame)) {
            break Err(error.into());
        }
        tokio::select! {
            _ = ticks.tick() => screen.trouble = screen.ask().await.err(),
            () = signals.next() => break Ok(ExitCode::SUCCESS),
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Press => {
                    if screen.press(key) {
                        break Ok(ExitCode::SUCCESS);
                    }
                }
                // Of another size, it is drawn anew.
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(ExitCode::SUCCESS),
            },
        }
    };
    ratatui::try_restore()?;
    result
}

impl Screen {
    async fn ask(&mut self) -> Result<(), String> {
        let parse = |error: serde_json::Error| {
            format!("{}: not the status of a queue: {error}", self.place)
        };
        self.report = Some(serde_json::from_str(&self.place.get("/status").await?).map_err(parse)?);
        self.looks = serde_json::from_str(&self.place.get("/history").await?).map_err(parse)?;
        Ok(())
    }

    /// Whether that is the end.
    fn press(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.above += 1,
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::PageDown => self.above += 10,
            _ => {}
        }
        let workers = self.report.as_ref().map_or(0, |report| report.workers.len());
        self.above = self.above.min(workers.saturating_sub(1));
        false
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let Some(report) = &self.report else { return };
        let faults = report.recent.len().clamp(1, 5);
        let faults = u16::try_from(faults).unwrap_or(1) + 1;
        let areas = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(2),
            Constraint::Length(6),
            Constraint::Length(3),
            Constraint::Min(3),
            Constraint::Length(faults),
        ]);
        let [head, now, plots, times, tables, bottom] = areas.areas(frame.area());
        self.draw_head(frame, head, report);
        self.draw_now(frame, now, report);
        self.draw_plots(frame, plots);
        self.draw_times(frame, times);
        let [left, right] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(2).areas(tables);
        self.draw_workers(frame, left, report);
        draw_clients(frame, right, report);
        draw_faults(frame, bottom, report);
    }

    fn draw_head(&self, frame: &mut Frame<'_>, area: Rect, report: &Report) {
        if let Some(trouble) = &self.trouble {
            let line = Line::from(format!("this is from before: {trouble}"));
            return frame.render_widget(line.red().reversed(), area);
        }
        let state = report.state();
        let colour = if state == "open" { Color::Green } else { Color::Yellow };
        let title = Line::from(vec![
            Span::from(format!("broker {}  ", report.version)).bold(),
            Span::styled(state, Style::new().fg(colour).add_modifier(Modifier::BOLD)),
            Span::from(format!("  up for {}  {}", time(report.up), self.place)),
        ]);
        frame.render_widget(title, area);
        frame.render_widget(Line::from("arrows scroll, q ends").dim().right_aligned(), area);
    }

    fn draw_now(&self, frame: &mut Frame<'_>, area: Rect, report: &Report) {
        let rate = self.looks.last().map_or("-".to_owned(), |look| whole(look.requests));
        let idle = report.workers.iter().filter(|worker| worker.state == "idle").count();
        let oldest = report.waiting.oldest.map_or("-".to_owned(), time);
        let tiles = [
            ("requests a second", rate),
            ("waiting", report.waiting.requests.to_string()),
            ("oldest wait", oldest),
            ("in flight", report.in_flight.to_string()),
            ("idle workers", format!("{idle} of {}", report.workers.len())),
            ("clients", report.clients.to_string()),
        ];
        let columns: [Rect; 6] = Layout::horizontal([Constraint::Fill(1); 6]).areas(area);
        for ((name, value), area) in tiles.into_iter().zip(columns) {
            let tile = vec![Line::from(name).dim(), Line::from(value).bold()];
            frame.render_widget(Paragraph::new(tile), area);
        }
    }

    fn draw_plots(&self, frame: &mut Frame<'_>, area: Rect) {
        let columns: [Rect; 2] =
            Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(area);
        let replies = self.looks.iter().map(|look| rounded(look.replies)).collect();
        let waiting = self.looks.iter().map(|look| look.waiting as u64).collect();
        let plots =
            [("replies a second", replies, Color::Cyan), ("waiting", waiting, Color::Magenta)];
        for ((name, values, colour), area) in plots.into_iter().zip(columns) {
            plot(frame, area, name, values, colour);
        }
    }

    fn draw_times(&self, frame: &mut Frame<'_>, area: Rect) {
        let last = self.looks.last();
        let row = |name: &'static str, times: Option<[f64; 3]>| {
            let cells = times.map_or(["-"; 3].map(str::to_owned), |times| times.map(time));
            Row::new([name.to_owned()].into_iter().chain(cells))
        };
        let rows = [
            row("until a worker had it", last.and_then(|look| look.waited)),
            row("until the worker's reply", last.and_then(|look| look.served)),
        ];
        let widths = [24, 10, 10, 10].map(Constraint::Length);
        let head = Row::new(["in the last second", "median", "90 %", "99 %"]).dim();
        frame.render_widget(Table::new(rows, widths).header(head), area);
    }

    fn draw_workers(&self, frame: &mut Frame<'_>, area: Rect, report: &Report) {
        let rows = report.workers.iter().skip(self.above).map(|worker| {
            let since = worker.since.map(time).unwrap_or_default();
            let client = worker.client.clone().unwrap_or_default();
            let colour = match &*worker.state {
                "idle" => Color::Green,
                "busy" => Color::Reset,
                "quarantined" => Color::Red,
                _ => Color::Yellow,
            };
            let state = Span::styled(worker.shown_state(), Style::new().fg(colour));
            let name = Span::from(worker.name.clone());
            Row::new([name, state, Span::from(client), Span::from(since)])
        });
        let widths = [
            Constraint::Fill(2),
            Constraint::Length(11),
            Constraint::Fill(2),
            Constraint::Length(8),
        ];
        let title = format!("workers, in the order of their turns ({})", report.workers.len());
        let head = Row::new(["name", "state", "for client", "since"]).dim();
        let table = Table::new(rows, widths).header(head).block(titled(title));
        frame.render_widget(table, area);
    }
}

fn draw_clients(frame: &mut Frame<'_>, area: Rect, report: &Report) {
    let longest = report.waiting.longest.iter();
    let rows = longest.map(|client| Row::new([client.name.clone(), time(client.waits)]));
    let widths = [Constraint::Fill(1), Constraint::Length(8)];
    let table = Table::new(rows, widths).header(Row::new(["name", "waits"]).dim());
    frame.render_widget(table.block(titled("clients that wait longest")), area);
}

fn draw_faults(frame: &mut Frame<'_>, area: Rect, report: &Report) {
    let mut lines: Vec<_> = report
        .recent
        .iter()
        .map(|fault| {
            let at = fault.at.get(11..19).unwrap_or(&fault.at);
            Line::from(vec![Span::from(format!("{at} ")).dim(), Span::from(fault.what.clone())])
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::from("nothing went wrong so far").dim());
    }
    frame.render_widget(Paragraph::new(lines).block(titled("recent faults, UTC")), area);
}

fn titled(title: impl Into<String>) -> Block<'static> {
    Block::new().borders(Borders::TOP).border_style(Style::new().dim()).title(title.into())
}

/// The latest at the right end.
fn plot(frame: &mut Frame<'_>, area: Rect, name: &str, mut values: Vec<u64>, colour: Color) {
    let behind = values.len().saturating_sub(area.width.into());
    values.drain(..behind);
    let most = values.iter().max().copied().unwrap_or(0);
    let gap = usize::from(area.width).saturating_sub(values.len());
    values.splice(..0, vec![0; gap]);
    let block = titled(format!("{name}, at most {most}"));
    let line = Sparkline::default().data(values).max(most.max(1));
    frame.render_widget(line.style(Style::new().fg(colour)).block(block), area);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is neither")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

fn whole(rate: f64) -> String {
    rounded(rate).to_string()
}
