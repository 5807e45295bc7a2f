//! The rates as bars.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{FLOOR, LIBRARIES, Results};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (1200, 900);
const FONT: (&str, u32) = ("sans-serif", 17);
const TITLE_FONT: (&str, u32) = ("sans-serif", 24);
/// The room for the key beside the bars, in groups.
const KEY: f64 = 0.8;
/// How much of its place a group of bars takes.
const GROUP: f64 = 0.8;
/// These can be told apart without seeing red or green.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(120, 120, 120),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// What each library comes to, relative to 1, for one thing that was measured.
struct Group {
    name: String,
    values: Vec<(&'static str, f64)>,
}

pub fn draw(results: &Results, path: &Path) -> io::Result<()> {
    let jobs = results.jobs.iter().filter_map(|jobs| {
        let floor = jobs.of(FLOOR)?;
        let ratio = |library| jobs.of(library)?.ratio(floor, |run| run.jobs_per_second);
        Some(group(&jobs.case.to_string(), ratio))
    });
    let one_way = results.one_way.iter().map(|run| {
        let rate = |library| run.of(library)?.median(|figures| figures.rate);
        let best = LIBRARIES.into_iter().filter_map(rate).fold(0.0, f64::max);
        group(&run.case.to_string(), |library| Some(rate(library)? / best))
    });
    let panels = [
        ("Brokers: jobs/s, the hand-written loop being 1", jobs.collect()),
        ("One way: messages/s, the best being 1", one_way.collect()),
    ];
    panels_to(path, panels).map_err(|error| io::Error::other(error.to_string()))
}

fn group(name: &str, value: impl Fn(&'static str) -> Option<f64>) -> Group {
    let compared = LIBRARIES.into_iter().filter(|&library| library != FLOOR);
    let values = compared.filter_map(|library| Some((library, value(library)?))).collect();
    Group { name: name.to_owned(), values }
}

fn panels_to(path: &Path, panels: [(&str, Vec<Group>); 2]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (first, second) = root.split_vertically(SIZE.1 / 2);
    for (area, (title, groups)) in [first, second].iter().zip(&panels) {
        panel(area, title, groups)?;
    }
    root.present()?;
    Ok(())
}

/// Groups have their middles at 0, 1, 2 and so on.
fn panel(area: &Area<'_>, title: &str, groups: &[Group]) -> Result<(), Box<dyn Error>> {
    let values = groups.iter().flat_map(|group| group.values.iter().map(|&(_, value)| value));
    let top = values.fold(1.0, f64::max) * 1.05;
    let right = groups.len().max(1) as f64 - 0.5;
    let name = |at: &f64| {
        let middle = at.round();
        let is_middle = (at - middle).abs() < 0.01 && middle >= 0.0;
        let group = is_middle.then(|| groups.get(middle as usize)).flatten();
        group.map_or_else(String::new, |group| group.name.clone())
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, TITLE_FONT)
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d(-0.5..right + KEY, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .x_labels(groups.len() + 2)
        .x_label_formatter(&name)
        .y_label_formatter(&|value| format!("{value:.1}"))
        .label_style(FONT)
        .draw()?;
    let width = GROUP / COLOURS.len() as f64;
    let compared = LIBRARIES.into_iter().filter(|&library| library != FLOOR);
    for (i, (library, colour)) in compared.zip(COLOURS).enumerate() {
        let bars = groups.iter().enumerate().filter_map(|(at, group)| {
            let (_, value) = group.values.iter().find(|(name, _)| *name == library)?;
            let left = at as f64 - GROUP / 2.0 + i as f64 * width;
            Some(Rectangle::new([(left, 0.0), (left + width, *value)], colour.filled()))
        });
        let key = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled());
        chart.draw_series(bars)?.label(library).legend(key);
    }
    let one = PathElement::new([(-0.5, 1.0), (right, 1.0)], BLACK);
    chart.draw_series([one])?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(FONT)
        .draw()?;
    Ok(())
}
