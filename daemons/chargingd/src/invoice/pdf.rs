//! Sheets as PDF/A-2u: A4, with the font in the file, and text that can be read out of it.

use std::sync::LazyLock;

use jiff::civil::Date;
use krilla::configure::{Configuration, Validator};
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::text::{Font, TextDirection};
use krilla::{Document, SerializeSettings};
use ttf_parser::Face;

use super::sheet::{Block, Sheet, Table};

/// Points.
const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 56.7;
const RIGHT: f32 = WIDTH - MARGIN;
const BOTTOM: f32 = HEIGHT - 70.0;
const SIZE: f32 = 9.0;
const LEADING: f32 = 12.0;
const TITLE: f32 = 16.0;
/// Between columns.
const GAP: f32 = 10.0;
/// No column of words becomes narrower, so that something of it can be read.
const NARROWEST: f32 = 40.0;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
#[error("the PDF could not be made: {0}")]
pub struct PdfError(String);

/// Regular or bold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Regular,
    Bold,
}

/// Latin, Greek and Cyrillic letters of DejaVu Sans Condensed; see `fonts/README.md`.
struct Fonts {
    regular: (Face<'static>, Font),
    bold: (Face<'static>, Font),
}

static FONTS: LazyLock<Option<Fonts>> = LazyLock::new(|| {
    let font = |octets: &'static [u8]| {
        let face = Face::parse(octets, 0).ok()?;
        Some((face, Font::new(octets.to_vec().into(), 0)?))
    };
    Some(Fonts {
        regular: font(include_bytes!("fonts/DejaVuSansCondensed.ttf"))?,
        bold: font(include_bytes!("fonts/DejaVuSansCondensed-Bold.ttf"))?,
    })
});

impl Fonts {
    fn of(&self, weight: Weight) -> &(Face<'static>, Font) {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// How wide `text` is, points.
    fn width(&self, text: &str, size: f32, weight: Weight) -> f32 {
        let (face, _) = self.of(weight);
        let units: u32 = text
            .chars()
            .filter_map(|character| face.glyph_hor_advance(face.glyph_index(character)?))
            .map(u32::from)
            .sum();
        units as f32 * size / f32::from(face.units_per_em())
    }

    /// `text` with a replacement character for each one that the font does not have.
    fn printable(&self, text: &str) -> String {
        let (face, _) = &self.regular;
        text.chars()
            .map(|character| match face.glyph_index(character) {
                Some(_) => character,
                None => char::REPLACEMENT_CHARACTER,
            })
            .collect()
    }

    /// Breaks `text` into lines that are `width` wide at the most, between words where it can be.
    fn broken(&self, text: &str, width: f32, size: f32, weight: Weight) -> Vec<String> {
        let text = self.printable(text);
        if self.width(&text, size, weight) <= width {
            return vec![text];
        }
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = match line.is_empty() {
                true => word.to_owned(),
                false => format!("{line} {word}"),
            };
            if self.width(&longer, size, weight) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            let mut room = width;
            for character in word.chars() {
                let advance = self.width(character.encode_utf8(&mut [0; 4]), size, weight);
                if advance > room && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    room = width;
                }
                line.push(character);
                room -= advance;
            }
        }
        lines.push(line);
        lines
    }
}

enum Mark {
    Text {
        x: f32,
        y: f32,
        size: f32,
        weight: Weight,
        text: String,
    },
    Rule {
        y: f32,
        width: f32,
    },
}

/// Pages as they fill.
struct Layout<'a> {
    fonts: &'a Fonts,
    pages: Vec<Vec<Mark>>,
    y: f32,
}

impl Layout<'_> {
    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn text(&mut self, x: f32, size: f32, weight: Weight, text: String) {
        let y = self.y;
        self.mark(Mark::Text {
            x,
            y,
            size,
            weight,
            text,
        });
    }

    fn new_page(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN + LEADING;
    }

    /// Whether a new page had to be begun for `height`.
    fn make_room(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.new_page();
        }
        full
    }

    fn lines(&mut self, lines: &[String], x: f32, size: f32, weight: Weight) {
        for line in lines {
            for part in self.fonts.broken(line, RIGHT - x, size, weight) {
                self.make_room(0.0);
                self.text(x, size, weight, part);
                self.y += size * LEADING / SIZE;
            }
        }
    }

    fn sheet(&mut self, sheet: &Sheet) {
        self.new_page();
        let sender: Vec<String> = (sheet.sender.iter())
            .flat_map(|line| {
                self.fonts
                    .broken(line, (RIGHT - MARGIN) / 2.0, SIZE, Weight::Regular)
            })
            .collect();
        for line in sender {
            let x = RIGHT - self.fonts.width(&line, SIZE, Weight::Regular);
            self.make_room(0.0);
            self.text(x, SIZE, Weight::Regular, line);
            self.y += LEADING;
        }
        self.y += LEADING;
        self.lines(&sheet.recipient, MARGIN, SIZE + 1.0, Weight::Regular);
        self.y += 2.0 * LEADING;
        let title = std::slice::from_ref(&sheet.title);
        self.lines(title, MARGIN, TITLE, Weight::Bold);
        let name = |fact: &(&str, String)| self.fonts.width(fact.0, SIZE, Weight::Regular);
        let names = sheet.facts.iter().map(name).fold(0.0, f32::max);
        for (name, value) in &sheet.facts {
            self.make_room(0.0);
            self.text(MARGIN, SIZE, Weight::Regular, (*name).to_owned());
            let value = std::slice::from_ref(value);
            self.lines(value, MARGIN + names + 2.0 * GAP, SIZE, Weight::Regular);
        }
        for block in &sheet.blocks {
            self.y += LEADING;
            match block {
                Block::Table(table) => self.table(table),
                Block::Text { heading, lines } => {
                    if !heading.is_empty() {
                        self.make_room(LEADING);
                        self.lines(&[(*heading).to_owned()], MARGIN, SIZE, Weight::Bold);
                    }
                    self.lines(lines, MARGIN, SIZE, Weight::Regular);
                }
            }
        }
    }

    fn table(&mut self, table: &Table) {
        let widths = self.widths(table);
        // A caption without its table, and a heading without a row, are of no use.
        self.make_room(4.0 * LEADING);
        self.lines(
            std::slice::from_ref(&table.caption),
            MARGIN,
            SIZE,
            Weight::Bold,
        );
        self.heading(table, &widths);
        for row in &table.rows {
            self.row(table, &widths, row, Weight::Regular);
            let y = self.y - LEADING + 4.0;
            self.mark(Mark::Rule { y, width: 0.25 });
            self.y += 2.0;
        }
        for row in &table.totals {
            let y = self.y - LEADING + 2.5;
            self.mark(Mark::Rule { y, width: 1.0 });
            self.row(table, &widths, row, Weight::Bold);
            self.y += 2.0;
        }
    }

    fn heading(&mut self, table: &Table, widths: &[f32]) {
        let titles: Vec<String> = (table.columns.iter())
            .map(|column| column.title.to_owned())
            .collect();
        self.cells(table, widths, &titles, Weight::Bold, false);
        let y = self.y - LEADING + 4.0;
        self.mark(Mark::Rule { y, width: 1.0 });
        self.y += 3.0;
    }

    fn row(&mut self, table: &Table, widths: &[f32], cells: &[String], weight: Weight) {
        self.cells(table, widths, cells, weight, true);
    }

    /// Line by line, so that a row may be longer than a page.
    fn cells(
        &mut self,
        table: &Table,
        widths: &[f32],
        cells: &[String],
        weight: Weight,
        repeat_heading: bool,
    ) {
        let broken: Vec<Vec<String>> = (cells.iter().zip(widths))
            .map(|(cell, width)| self.fonts.broken(cell, *width, SIZE, weight))
            .collect();
        let height = broken.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            if self.make_room(0.0) && repeat_heading {
                self.heading(table, widths);
            }
            let mut x = MARGIN;
            for ((lines, width), column) in broken.iter().zip(widths).zip(&table.columns) {
                if let Some(line) = lines.get(at)
                    && !line.is_empty()
                {
                    let shift = match column.is_figure {
                        true => width - self.fonts.width(line, SIZE, weight),
                        false => 0.0,
                    };
                    self.text(x + shift, SIZE, weight, line.clone());
                }
                x += width + GAP;
            }
            self.y += LEADING;
        }
    }

    /// Figures get what they need. Of the rest the narrow columns of words get what they need, and the wide ones equal
    /// shares.
    fn widths(&self, table: &Table) -> Vec<f32> {
        let mut widths: Vec<f32> = (table.columns.iter().enumerate())
            .map(|(at, column)| {
                let cells = table.rows.iter().chain(&table.totals);
                cells
                    .filter_map(|row| row.get(at))
                    .map(|cell| self.fonts.width(cell, SIZE, Weight::Bold))
                    .fold(self.fonts.width(column.title, SIZE, Weight::Bold), f32::max)
                    + 0.5
            })
            .collect();
        let gaps = GAP * table.columns.len().saturating_sub(1) as f32;
        let room = RIGHT - MARGIN - gaps;
        let (mut figures, mut words): (Vec<&mut f32>, Vec<&mut f32>) = (Vec::new(), Vec::new());
        for (width, column) in widths.iter_mut().zip(&table.columns) {
            match column.is_figure {
                true => figures.push(width),
                false => words.push(width),
            }
        }
        // Figures give way only when they alone would fill the page.
        let wanted: f32 = figures.iter().map(|width| **width).sum();
        let most = room - NARROWEST * words.len() as f32;
        if wanted > most {
            for width in &mut figures {
                **width *= most / wanted;
            }
        }
        let mut left = room - wanted.min(most);
        words.sort_by(|one, other| one.total_cmp(other));
        let mut columns = words.len();
        for width in words {
            let share = left / columns as f32;
            columns -= 1;
            // The widest gets what is left.
            if columns == 0 || *width > share {
                *width = share;
            }
            left -= *width;
        }
        widths
    }
}

/// The PDF of one or several sheets, dated `issued`. The same sheets give the same octets.
///
/// # Errors
/// The library refuses: a fault of ours.
pub fn document(sheets: &[Sheet], issued: Date) -> Result<Vec<u8>, PdfError> {
    let fonts = FONTS.as_ref();
    let fonts = fonts.ok_or_else(|| PdfError("the font cannot be read".into()))?;
    let mut document = Document::new_with(SerializeSettings {
        configuration: Configuration::new_with_validator(Validator::A2_U),
        enable_tagging: false,
        ..SerializeSettings::default()
    });
    let mut metadata = Metadata::new().creation_date(
        DateTime::new(issued.year().unsigned_abs())
            .month(issued.month().unsigned_abs())
            .day(issued.day().unsigned_abs())
            .hour(0)
            .minute(0)
            .second(0)
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    );
    if let Some(first) = sheets.first() {
        metadata = metadata
            .title(first.title.clone())
            .language(first.language.to_owned());
    }
    document.set_metadata(metadata);
    for sheet in sheets {
        let mut layout = Layout {
            fonts,
            pages: Vec::new(),
            y: 0.0,
        };
        layout.sheet(sheet);
        let total = layout.pages.len();
        for (number, marks) in (1..).zip(layout.pages) {
            draw(&mut document, fonts, sheet, marks, number, total)?;
        }
    }
    document
        .finish()
        .map_err(|error| PdfError(format!("{error:?}")))
}

fn draw(
    document: &mut Document,
    fonts: &Fonts,
    sheet: &Sheet,
    mut marks: Vec<Mark>,
    number: usize,
    total: usize,
) -> Result<(), PdfError> {
    let (page, of) = sheet.page_words;
    let footer = format!("{} \u{b7} {page} {number} {of} {total}", sheet.title);
    let footer = fonts.printable(&footer);
    let size = SIZE - 1.0;
    marks.push(Mark::Text {
        x: RIGHT - fonts.width(&footer, size, Weight::Regular),
        y: HEIGHT - 40.0,
        size,
        weight: Weight::Regular,
        text: footer,
    });
    let settings = PageSettings::from_wh(WIDTH, HEIGHT);
    let settings = settings.ok_or_else(|| PdfError("the page has no size".into()))?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    for mark in marks {
        match mark {
            Mark::Text {
                x,
                y,
                size,
                weight,
                text,
            } => {
                surface.set_stroke(None);
                surface.set_fill(Some(Fill::default()));
                let (_, font) = fonts.of(weight);
                surface.draw_text(
                    Point::from_xy(x, y),
                    font.clone(),
                    size,
                    &text,
                    false,
                    TextDirection::LeftToRight,
                );
            }
            Mark::Rule { y, width } => {
                let mut path = PathBuilder::new();
                path.move_to(MARGIN, y);
                path.line_to(RIGHT, y);
                surface.set_fill(None);
                surface.set_stroke(Some(Stroke {
                    width,
                    ..Stroke::default()
                }));
                if let Some(path) = path.finish() {
                    surface.draw_path(&path);
                }
            }
        }
    }
    surface.finish();
    page.finish();
    Ok(())
}
