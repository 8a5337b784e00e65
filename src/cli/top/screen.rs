//! Draws a [`View`].

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, TableState};

use crate::cli::quantity::{bytes, rate, span};
use crate::cli::stats::{Reader, Stream};
use crate::cli::table::cell;
use crate::cli::top::view::{Sort, View};

/// Rows of a screen that has room for the throughput lines.
const SPARKLINE_ROWS_MIN: u16 = 14;

const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);

/// A column: its head, its width (0 takes the rest) and the narrowest screen that has it.
type Column = (&'static str, u16, u16);

/// Draws all of it.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View) {
    let spark_rows = if frame.area().height >= SPARKLINE_ROWS_MIN { 2 } else { 0 };
    let [head, sparks, body, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(spark_rows),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, view);
    if spark_rows > 0 {
        draw_sparks(frame, sparks, view);
    }
    match view.open_id() {
        None => draw_streams(frame, body, view),
        Some(id) => draw_stream(frame, body, view, id),
    }
    draw_keys(frame, keys, view);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let report = &view.report;
    let line = match view.lost() {
        Some((why, seconds)) => Line::styled(
            format!(
                " no connection for {seconds} s, trying again ({}: {}) ",
                view.address,
                cell(why)
            ),
            BAD.add_modifier(Modifier::REVERSED),
        ),
        None => Line::from(vec![
            Span::from(" weir top ").bold(),
            Span::from(format!(
                " {}  {}  up {}",
                view.address,
                cell(&report.name),
                span(report.uptime_ms)
            )),
        ]),
    };
    frame.render_widget(line, first);
    let totals = &report.totals;
    let parked = Span::from(format!("{} parked", totals.parked_writes));
    let lost = Span::from(format!("{} lost", bytes(totals.lost_bytes)));
    let line = Line::from(vec![
        Span::from(format!(" {} streams  {} readers  ", totals.streams, totals.readers)),
        if totals.parked_writes > 0 { parked.style(BAD) } else { parked },
        Span::from("  "),
        if totals.lost_bytes > 0 { lost.style(BAD) } else { lost },
        Span::from(format!(
            "  {} held of {}",
            bytes(totals.held_bytes),
            bytes(totals.held_bytes_max)
        )),
    ]);
    frame.render_widget(line, second);
}

fn draw_sparks(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let rows = Layout::vertical([Constraint::Length(1); 2]).areas::<2>(area);
    let most = view.in_rates.iter().chain(&view.out_rates).max().copied().unwrap_or(0);
    for (row, (name, rates, color)) in rows
        .into_iter()
        .zip([("in", &view.in_rates, Color::Blue), ("out", &view.out_rates, Color::Gray)])
    {
        let [label, line] =
            Layout::horizontal([Constraint::Length(18), Constraint::Min(0)]).areas(row);
        let latest = rates.back().map_or_else(|| "-".to_owned(), |&latest| rate(latest));
        frame.render_widget(Line::from(format!(" {name:<3} {latest:>11}")), label);
        let shown = rates.len().saturating_sub(usize::from(line.width));
        let sparkline = Sparkline::default()
            .data(rates.iter().skip(shown).copied())
            .max(most.max(1))
            .style(Style::new().fg(color));
        frame.render_widget(sparkline, line);
    }
}

/// Those columns that a screen of this width has.
fn shown(columns: &[Column], width: u16) -> Vec<usize> {
    (0..columns.len()).filter(|&place| width >= columns[place].2).collect()
}

fn table<'a>(
    columns: &[Column],
    rows: impl Iterator<Item = Vec<Cell<'a>>>,
    width: u16,
) -> Table<'a> {
    let shown = shown(columns, width);
    let widths = shown.iter().map(|&place| match columns[place].1 {
        0 => Constraint::Min(8),
        width => Constraint::Length(width),
    });
    let head = Row::new(shown.iter().map(|&place| columns[place].0)).style(QUIET);
    let rows = rows.map(|cells| {
        let cells = cells.into_iter().enumerate().filter(|(place, _)| shown.contains(place));
        Row::new(cells.map(|(_, cell)| cell))
    });
    Table::new(rows, widths).header(head).column_spacing(1)
}

fn draw_streams(frame: &mut Frame<'_>, area: Rect, view: &View) {
    const COLUMNS: &[Column] = &[
        (" ID", 7, 0),
        ("NAME", 0, 0),
        ("TYPE", 12, 100),
        ("       RATE", 11, 50),
        ("FILL", 12, 60),
        ("PARK", 4, 72),
        ("RDRS", 4, 72),
        ("LARGEST LAG", 19, 32),
        ("    LOST", 8, 90),
    ];
    let streams = &view.report.streams;
    if streams.is_empty() {
        let hint = " no streams yet; try: echo hello | weir pub";
        frame.render_widget(Paragraph::new(hint).style(QUIET), area);
        return;
    }
    let table = table(COLUMNS, streams.iter().map(stream_cells), area.width)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(view.chosen_place());
    frame.render_stateful_widget(table, area, &mut state);
}

fn stream_cells(stream: &Stream) -> Vec<Cell<'static>> {
    let is_full = stream.parked_writes > 0;
    let name = match stream.name.as_deref() {
        Some(name) => cell(name),
        None => cell(&stream.stream_type),
    };
    let name = match stream.state() {
        "live" => name,
        state => format!("{name} ({state})"),
    };
    let percent = stream.fill_percent();
    let fill = format!("{} {percent:>3}%", bar(percent, 6));
    let (lag, is_slow) = match stream.slowest() {
        None => ("-".to_owned(), false),
        Some(reader) => (lag(reader), reader.lagging || reader.stalled),
    };
    vec![
        Cell::from(format!(" {}", cell(&stream.id))),
        Cell::from(name),
        Cell::from(cell(&stream.stream_type)),
        Cell::from(format!("{:>11}", rate(stream.rate))),
        styled(fill, is_full),
        styled(format!("{:>4}", stream.parked_writes), is_full),
        Cell::from(format!("{:>4}", stream.reader_count)),
        styled(lag, is_slow),
        styled(format!("{:>8}", bytes(stream.lost())), stream.lost() > 0),
    ]
}

fn draw_stream(frame: &mut Frame<'_>, area: Rect, view: &View, id: &str) {
    const COLUMNS: &[Column] = &[
        (" READER", 0, 0),
        ("STATE", 8, 40),
        ("LAG", 19, 0),
        (" DELIVERED", 10, 90),
        ("     LOST", 9, 54),
        ("PENDING", 7, 110),
    ];
    let Some(stream) = view.open_stream() else {
        let gone = format!(" {} is gone", cell(id));
        frame.render_widget(Paragraph::new(gone).style(BAD), area);
        return;
    };
    let [facts, body] = Layout::vertical([Constraint::Length(5), Constraint::Min(1)]).areas(area);
    frame.render_widget(Paragraph::new(stream_facts(stream)), facts);
    let readers = stream.readers.iter().skip(view.first_reader).map(reader_cells);
    frame.render_widget(table(COLUMNS, readers, area.width), body);
}

fn stream_facts(stream: &Stream) -> Vec<Line<'static>> {
    let text = |part: &Option<String>| cell(part.as_deref().unwrap_or("-"));
    let waits = match stream.stall_timeout {
        None => "for ever".to_owned(),
        Some(0) => "never".to_owned(),
        Some(ms) => span(ms),
    };
    let held = match &stream.held_by {
        Some(held) if stream.parked_writes > 0 => Line::styled(
            format!(
                " full for {}: {} writes parked; {} ({}) behind is {}",
                span(stream.full_ms),
                stream.parked_writes,
                bytes(held.lag),
                span(held.lag_ms),
                held.peer(),
            ),
            BAD,
        ),
        _ => Line::from(format!(" {} writes parked", stream.parked_writes)),
    };
    vec![
        Line::from(vec![
            Span::from(format!(" {} ", cell(&stream.id))).bold(),
            Span::from(format!("{}  {}  ", cell(&stream.stream_type), text(&stream.name))),
            Span::from(format!("{}, {}", cell(&stream.direction), stream.state())).style(QUIET),
        ]),
        Line::from(format!(
            " owner {}  context {}  {} old",
            stream.owner(),
            text(&stream.context_id),
            span(stream.age_ms)
        )),
        Line::from(format!(
            " {} in  {} of {} buffered  history {}  waits for a reader: {waits}",
            rate(stream.rate),
            bytes(stream.buffered),
            bytes(stream.buffer_size),
            bytes(stream.history),
        )),
        held,
    ]
}

fn reader_cells(reader: &Reader) -> Vec<Cell<'static>> {
    let is_slow = reader.away || reader.lagging || reader.stalled;
    vec![
        Cell::from(format!(" {}", reader.peer())),
        styled(reader.state().to_owned(), is_slow),
        styled(lag(reader), is_slow),
        Cell::from(format!("{:>10}", bytes(reader.delivered))),
        styled(format!("{:>9}", bytes(reader.lost)), reader.lost > 0),
        Cell::from(format!("{:>7}", reader.pending_reads)),
    ]
}

fn lag(reader: &Reader) -> String {
    match reader.lag_ms {
        0 => bytes(reader.lag),
        ms => format!("{} {}", bytes(reader.lag), span(ms)),
    }
}

fn styled(text: String, is_bad: bool) -> Cell<'static> {
    Cell::from(text).style(if is_bad { BAD } else { Style::new() })
}

/// A bar of so many cells for a share in percent, to the half.
fn bar(percent: u64, cells: u64) -> String {
    let halves = (percent * cells * 2).div_ceil(100).min(cells * 2);
    let full = "█".repeat((halves / 2) as usize);
    let half = if halves % 2 == 1 { "▌" } else { "" };
    format!("{:<1$}", format!("{full}{half}"), cells as usize)
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, view: &View) {
    if view.is_open() {
        frame.render_widget(Line::styled(" Esc back  ↑↓ move  q quit", QUIET), area);
        return;
    }
    let mut line = Line::styled(" q quit  ↑↓ choose  Enter readers  sort by", QUIET);
    for sort in Sort::ALL {
        let style = match sort == view.sort {
            true => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            false => QUIET,
        };
        line.push_span(Span::from("  "));
        line.push_span(Span::from(sort.name()).style(style));
    }
    frame.render_widget(line, area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};

    use super::*;
    use crate::cli::stats::Report;
    use crate::cli::top::keys::{Then, press};

    /// A view with two answers, a second apart.
    fn view() -> View {
        let mut view = View::new("127.0.0.1:9534".to_owned());
        let mut report = Report::sample();
        view.take(report.clone());
        report.uptime_ms += 1000;
        report.totals.accepted_bytes += 10 << 20;
        report.totals.delivered_bytes += 20 << 20;
        view.take(report);
        view
    }

    fn draw_at(view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width));
        let text = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        text.map(|row| row.trim_end().to_owned()).collect()
    }

    fn key(view: &mut View, code: KeyCode) -> Then {
        press(view, KeyEvent::from(code))
    }

    #[test]
    fn the_streams_are_shown_on_a_plain_terminal() {
        let lines = draw_at(&view(), 80, 24);
        assert_eq!(
            lines[..8],
            [
                " weir top  127.0.0.1:9534  lab  up 3 min 21 s",
                " 2 streams  3 readers  3 parked  1.0 KiB lost  4.0 MiB held of 4.0 GiB",
                " in     10 MiB/s  ▄",
                " out    20 MiB/s  █",
                " ID     NAME                     RATE FILL         PARK RDRS LARGEST LAG",
                " VS2    cpu0                 10 MiB/s ██████ 100%     3    3 4.0 MiB 2.1 s",
                " VS3    a\\x1b[31mb (ended       0 B/s          0%     0    0 -",
                "",
            ]
        );
        assert_eq!(
            lines[23],
            " q quit  ↑↓ choose  Enter readers  sort by  attention  lag  rate  fill"
        );
    }

    #[test]
    fn a_narrow_terminal_keeps_what_matters() {
        let lines = draw_at(&view(), 50, 8);
        assert_eq!(lines[3], " VS2    cpu0          10 MiB/s 4.0 MiB 2.1 s");
        for (width, height) in [(20, 5), (10, 3), (1, 1)] {
            draw_at(&view(), width, height);
        }
    }

    #[test]
    fn a_stream_is_opened_and_closed() {
        let mut view = view();
        assert_eq!(key(&mut view, KeyCode::Enter), Then::GoOn);
        let lines = draw_at(&view, 80, 24);
        assert_eq!(
            lines[4..12],
            [
                " VS2 trace  cpu0  out, live",
                " owner 127.0.0.1:5 (board-1, root)  context board-1  3 min 19 s old",
                " 10 MiB/s in  4.0 MiB of 4.0 MiB buffered  history 64 KiB  waits for a reader: 2",
                " full for 1.5 s: 3 writes parked; 4.0 MiB (2.1 s) behind is 127.0.0.1:6 (ci-7, w",
                "",
                " READER                                   STATE    LAG                      LOST",
                " 127.0.0.1:6 (ci-7, weir tail)            stalled  4.0 MiB 2.1 s         1.0 KiB",
                " 127.0.0.1:7                              reading  0 B                       0 B",
            ]
        );
        assert!(lines[12].starts_with(" 127.0.0.1:8 (a\\x1b[31mb)") && lines[12].contains("away"));
        // Whose stream goes away while it is looked at is told so.
        let mut without = Report::sample();
        without.streams.remove(0);
        view.take(without);
        assert!(draw_at(&view, 80, 24).join("\n").contains("VS2 is gone"));
        assert_eq!(key(&mut view, KeyCode::Esc), Then::GoOn);
        assert!(draw_at(&view, 80, 24).join("\n").contains("VS3"));
        assert_eq!(key(&mut view, KeyCode::Esc), Then::Quit);
    }

    #[test]
    fn the_choice_follows_its_stream_and_not_its_row() {
        let mut view = view();
        key(&mut view, KeyCode::Down);
        assert_eq!(view.chosen_place(), Some(1));
        key(&mut view, KeyCode::End);
        assert_eq!(view.chosen_place(), Some(1));
        let mut report = Report::sample();
        report.streams[1].rate = 99 << 20;
        view.take(report);
        key(&mut view, KeyCode::Char('r'));
        assert_eq!((view.chosen_place(), view.sort.name()), (Some(0), "rate"));
    }

    #[test]
    fn a_lost_connection_is_said_until_it_is_back() {
        let mut view = view();
        view.miss("Connection refused".to_owned());
        let lines = draw_at(&view, 100, 24);
        assert!(
            lines[0].starts_with(" no connection for 0 s, trying again (127.0.0.1:9534: "),
            "{}",
            lines[0]
        );
        assert!(lines[5].contains("cpu0"), "the last numbers stay");
        view.take(Report::sample());
        assert!(draw_at(&view, 100, 24)[0].starts_with(" weir top"));
    }

    #[test]
    fn bars_fill_from_the_left() {
        assert_eq!(bar(0, 6), "      ");
        assert_eq!(bar(1, 6), "▌     ");
        assert_eq!(bar(50, 6), "███   ");
        assert_eq!(bar(100, 6), "██████");
    }
}
