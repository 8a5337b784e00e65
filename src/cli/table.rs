//! Rows of text that line up.

use crate::shown;

/// A table: its heads, which columns are numbers, its rows.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize> {
    /// Columns of numbers, which are set to the right.
    numbers: std::ops::Range<usize>,
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(
        head: [&str; COLUMNS],
        numbers: std::ops::Range<usize>,
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) -> Table<COLUMNS> {
        let mut all = vec![head.map(str::to_owned)];
        all.extend(rows);
        Table { numbers, rows: all }
    }
}

impl<const COLUMNS: usize> std::fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        });
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                line.push_str(&match self.numbers.contains(&column) {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The widest that a stranger's text gets in a table.
const TEXT_CHARS_MAX: usize = 64;

/// A peer's address, and behind it what the peer says of itself; nothing of that is checked.
pub(crate) fn peer(address: &str, said: Option<&str>) -> String {
    match said.filter(|said| !said.is_empty()) {
        Some(said) => format!("{} ({})", cell(address), cell(said)),
        None => cell(address),
    }
}

/// A stranger's text, so that it can neither steer the terminal nor spread the table.
pub(crate) fn cell(text: &str) -> String {
    shown::brief(text, TEXT_CHARS_MAX)
}
