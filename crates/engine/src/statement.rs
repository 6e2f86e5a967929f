//! What a statement is, for whoever decides when it may run.

/// What a statement may do to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// Answers, and changes nothing that others see. Known by the engine's own word, not by the statement's first one.
    Read,
    /// Changes data, the catalog, or the session.
    Write,
    /// Wants the database for itself: `CHECKPOINT`, `VACUUM`.
    Exclusive,
}

/// Who goes first among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Overtakes a bounded number of the others.
    High,
    /// The usual one.
    #[default]
    Normal,
    /// Is overtaken by the others, a bounded number of times.
    Low,
}

/// What a statement has for itself while it writes, of an engine in which one session writes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seats {
    /// The writer's.
    Writer,
    /// The keeper's: it rearranges what is there, as one does who makes an index, and whoever writes goes on beside it.
    Keeper,
    /// Both.
    Both,
}

/// A single-row `INSERT … VALUES` of constants or parameters, or an operation that writes rows: what may be committed together
/// with others of its shape.
///
/// Two statements with equal `table`, `columns` and `width` do the same with the same columns of the same table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InsertShape {
    /// As written, quoted where needed.
    pub table: String,
    /// As written, in order; empty: all of them. Of an operation that upserts rows: its key's.
    pub columns: Vec<String>,
    /// Values in a row; 0: the rows, any number of them, are the statement's parameters.
    pub width: usize,
}
