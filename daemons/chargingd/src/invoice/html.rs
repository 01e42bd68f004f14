//! Sheets as HTML: one file, nothing loaded from elsewhere, for screen and paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::sheet::{Block, Sheet, Table};

/// Plain, of high contrast, and on paper the size of the paper.
const STYLE: &str = "
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #111; font: 15px/1.45 \"DejaVu Sans Condensed\", \"Segoe UI\", Roboto, \"Helvetica Neue\", Arial, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2rem 1.5rem; }
article + article { margin-top: 4rem; }
address { font-style: normal; }
.sender { text-align: right; margin-bottom: 2rem; }
h1 { font-size: 1.5rem; margin: 2.5rem 0 1rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.5rem; margin: 0; }
dt { color: #444; }
dd { margin: 0; }
table { width: 100%; border-collapse: collapse; margin: 1.75rem 0 0; }
caption { text-align: left; font-weight: bold; padding-bottom: .25rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 2px solid #111; }
tbody tr { border-bottom: 1px solid #bbb; }
tfoot td, tfoot th { border-top: 2px solid #111; font-weight: bold; }
.figure { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
p { margin: .25rem 0; }
@page { size: A4; margin: 20mm; }
@media print {
  main { max-width: none; padding: 0; }
  article + article { break-before: page; margin: 0; }
  thead { display: table-header-group; }
  tr, dl, address { break-inside: avoid; }
}
";

/// One page of one or several sheets.
pub fn document(sheets: &[Sheet]) -> String {
    let first = sheets.first();
    let language = first.map_or("en", |sheet| sheet.language);
    let title = first.map_or("", |sheet| sheet.title.as_str());
    html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { @for sheet in sheets { (article(sheet)) } } }
        }
    }
    .into_string()
}

fn article(sheet: &Sheet) -> Markup {
    html! {
        article lang=(sheet.language) {
            @if !sheet.sender.is_empty() { address.sender { (broken(&sheet.sender)) } }
            address.recipient { (broken(&sheet.recipient)) }
            h1 { (sheet.title) }
            dl { @for (name, value) in &sheet.facts { dt { (name) } dd { (value) } } }
            @for block in &sheet.blocks {
                @match block {
                    Block::Table(content) => { (table(content)) }
                    Block::Text { heading, lines } => {
                        section {
                            @if !heading.is_empty() { h2 { (heading) } }
                            @for line in lines { p { (line) } }
                        }
                    }
                }
            }
        }
    }
}

fn broken(lines: &[String]) -> Markup {
    html! { @for (at, line) in lines.iter().enumerate() { @if at > 0 { br; } (line) } }
}

fn table(table: &Table) -> Markup {
    let class = |column: usize| {
        let column = table.columns.get(column);
        column.filter(|column| column.is_figure).map(|_| "figure")
    };
    let cell = |at: usize, cell: &str, is_heading: bool| {
        html! {
            @if is_heading { th scope="row" class=[class(at)] { (cell) } } @else { td class=[class(at)] { (cell) } }
        }
    };
    let row = |cells: &[String], is_total: bool| {
        html! { tr { @for (at, text) in cells.iter().enumerate() { (cell(at, text, is_total && at == 0)) } } }
    };
    html! {
        table {
            caption { (table.caption) }
            thead { tr {
                @for (at, column) in table.columns.iter().enumerate() { th scope="col" class=[class(at)] { (column.title) } }
            } }
            tbody { @for cells in &table.rows { (row(cells, false)) } }
            @if !table.totals.is_empty() { tfoot { @for cells in &table.totals { (row(cells, true)) } } }
        }
    }
}
