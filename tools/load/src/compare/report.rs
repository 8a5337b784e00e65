//! Tables in Markdown, plots, and where they go in a document.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::compare::rows::Figure;
use crate::compare::{Bout, Contender, Kind, Line, Plot, Samples};

/// Share of a processor above which the generator may have been the limit.
const GENERATOR_BUSY: f64 = 0.9;

/// What everybody has shown: medians, a row for each load.
pub fn medians(bout: &Bout) -> String {
    let mut contenders: Vec<Contender> = Vec::new();
    for contender in bout.rows.iter().flat_map(|row| &row.contenders) {
        if !contenders.contains(contender) {
            contenders.push(*contender);
        }
    }
    let mut text = String::from("| load |");
    contenders.iter().for_each(|contender| put(&mut text, &format!(" {} |", contender.name())));
    text.push_str("\n|---|");
    contenders.iter().for_each(|_| text.push_str("---|"));
    let mut has_busy = false;
    for (index, row) in bout.rows.iter().enumerate() {
        put(&mut text, &format!("\n| {} |", row.name));
        for &contender in &contenders {
            let Some(samples) = bout.samples(index, contender) else {
                text.push_str(" |");
                continue;
            };
            let is_busy = samples.median_of(|report| report.generator_cpu) > GENERATOR_BUSY;
            has_busy |= is_busy;
            let mark = if is_busy { " *" } else { "" };
            put(&mut text, &format!(" {}{mark} |", cell(row.kind, samples)));
        }
    }
    text.push('\n');
    if has_busy {
        text.push_str("\n\\* The generator needed nearly a whole core: it was the limit.\n");
    }
    text
}

/// What was asked of Weir, and what it reached.
pub fn ratios(bout: &Bout) -> String {
    let mut weirs: Vec<Contender> = Vec::new();
    for contender in bout.rows.iter().flat_map(|row| &row.contenders) {
        if contender.is_weir() && !weirs.contains(contender) {
            weirs.push(*contender);
        }
    }
    let mut text = String::from("| load | ratio | asked |");
    weirs.iter().for_each(|weir| put(&mut text, &format!(" {} |", weir.name())));
    text.push_str("\n|---|---|---|");
    weirs.iter().for_each(|_| text.push_str("---|"));
    for (index, row) in bout.rows.iter().enumerate() {
        for target in &row.targets {
            let (figure, against) = (target.figure, target.against);
            let bound = if figure.more_is_better() { "at least" } else { "at most" };
            put(
                &mut text,
                &format!(
                    "\n| {} | {} / {} | {bound} {} |",
                    row.name,
                    figure.name(),
                    against.name(),
                    target.ratio
                ),
            );
            for &weir in &weirs {
                let ratio = bout.ratio(index, figure, weir, against);
                let mark = if target.is_met(ratio) { "" } else { " (missed)" };
                put(&mut text, &format!(" {ratio:.2}{mark} |"));
            }
        }
    }
    text.push('\n');
    text
}

/// How the cost of one delivery, or write, grows from row to row: a plot of what [`medians`] says.
/// The rows' names are the numbers on the horizontal axis.
pub fn growth(bout: &Bout, title: &str, x_label: &str) -> Plot {
    let mut lines: Vec<Line> = Vec::new();
    let mut y_label = "";
    for (index, row) in bout.rows.iter().enumerate() {
        let x = row.name.parse().unwrap_or(f64::NAN);
        y_label = match row.cost() {
            Figure::CpuPerGb => "server CPU, seconds per GB delivered",
            _ => "server CPU, microseconds per write",
        };
        for &contender in &row.contenders {
            let Some(samples) = bout.samples(index, contender) else { continue };
            let name = contender.name();
            let point = (x, samples.median(row.cost()));
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push(point),
                None => lines.push(Line { name, points: vec![point] }),
            }
        }
    }
    Plot {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        lines,
    }
}

/// One figure and its cost.
fn cell(kind: Kind, samples: &Samples) -> String {
    match kind {
        Kind::Throughput => format!(
            "{:.2} GB/s, {:.3} s/GB",
            samples.median(Figure::Throughput) / 1e9,
            samples.median(Figure::CpuPerGb)
        ),
        Kind::Writes => {
            let deliveries = samples.median_of(|report| report.deliveries_per_second);
            let (writes, us) =
                (samples.median(Figure::Writes), samples.median(Figure::CpuPerWrite));
            match samples.0.first().map_or(1, |report| report.readers) {
                1 => format!("{:.2} M writes/s, {us:.3} µs", writes / 1e6),
                _ => format!("{:.2} M deliveries/s, {us:.3} µs", deliveries / 1e6),
            }
        }
        Kind::RoundTrip => format!(
            "p50 {:.1}, p99 {:.1} µs",
            samples.median(Figure::Round),
            samples.median_of(|report| report.round.p99_us)
        ),
    }
}

/// Puts `text` between the marks of a section of a document.
///
/// # Errors
/// The document has no such marks.
pub fn replace_section(document: &str, section: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- compare: {section} -->\n");
    let end = format!("<!-- end of {section} -->");
    let missing = || format!("the document has no marks for the section {section}");
    let from = document.find(&begin).with_context(missing)? + begin.len();
    let length = document[from..].find(&end).with_context(missing)?;
    Ok(format!("{}\n{}\n\n{}", &document[..from], text.trim(), &document[from + length..]))
}

fn put(text: &mut String, more: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "{more}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_nothing_else() {
        let old = "a\n<!-- compare: x -->\nold\n<!-- end of x -->\nb\n";
        let new = replace_section(old, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- compare: x -->\n\nnew\n\n<!-- end of x -->\nb\n");
        assert_eq!(replace_section(&new, "x", "new").unwrap(), new);
        assert!(replace_section(old, "y", "new").is_err());
    }
}
