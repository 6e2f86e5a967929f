//! Tables for people.

use comfy_table::{ContentArrangement, Table};

/// A table without lines between its rows; `width`: columns of the terminal, `None` as wide as it gets.
pub fn frame(width: Option<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).force_no_tty();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table
}
