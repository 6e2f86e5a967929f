//! SQLite, through dbmux and by programs that open the file themselves, as SQLite allows.

mod inserts;
mod reads;
pub(crate) mod writer;

pub(crate) use self::{inserts::measure as insert, reads::measure as read};
