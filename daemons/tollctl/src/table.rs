//! Aligned tables, safe to show on a terminal.

use std::borrow::Cow;
use std::io::{self, Write};

/// Which side a column's cells stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// A table with a title over each column.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns by title. A title that begins with `>` stands on the right, as its cells do.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        let columns = titles
            .iter()
            .map(|title| match title.strip_prefix('>') {
                Some(title) => (title, Side::Right),
                None => (*title, Side::Left),
            })
            .collect();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// One more row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells
            .into_iter()
            .map(|cell| match cell.is_empty() {
                true => "-".into(),
                false => printable(&cell).into_owned(),
            })
            .collect();
        self.rows.push(cells);
    }

    /// Prints titles and rows; the titles also of an empty table.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        self.print_lines(std::iter::once(&titles).chain(&self.rows), out)
    }

    /// Prints the rows alone, as wide as with titles.
    pub(crate) fn print_rows(&self, out: &mut dyn Write) -> io::Result<()> {
        self.print_lines(self.rows.iter(), out)
    }

    fn print_lines<'a>(
        &self,
        lines: impl Iterator<Item = &'a Vec<String>>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(column, (title, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| cell.chars().count())
                    .fold(title.len(), usize::max)
            })
            .collect();
        for row in lines {
            let mut line = String::new();
            for ((cell, width), (_, side)) in row.iter().zip(&widths).zip(&self.columns) {
                match side {
                    Side::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Side::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `text` with control characters written out: much of what is shown was chosen by callers, and must not be
/// able to steer the operator's terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // Bidirectional overrides and isolates reorder what follows.
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut printable = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if steers(character) {
            printable.extend(character.escape_unicode());
        } else {
            printable.push(character);
        }
    }
    Cow::Owned(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", ">MONEY", "NOTE"]);
        table.row(["a".into(), "1.00".into(), String::new()]);
        table.row(["longer".into(), "100.00".into(), "ü".into()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAME     MONEY  NOTE\na         1.00  -\nlonger  100.00  ü\n"
        );
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            printable("sip:\u{1b}[2Ja\u{202e}b\n@x"),
            "sip:\\u{1b}[2Ja\\u{202e}b\\u{a}@x"
        );
    }
}
