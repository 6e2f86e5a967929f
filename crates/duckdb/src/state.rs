//! What a session would lose with its connection, as far as its statements tell.

use std::collections::BTreeSet;

use dbmux_engine::StatementKind;

use crate::{
    facts::{Fact, Scope},
    ffi::StatementType,
};

/// The traces that a session's statements left in it.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Settings of its own, and variables (behind a `$`), that were set and not reset.
    settings: BTreeSet<String>,
    /// Temporary objects, SQL's own prepared statements, attached files: never forgotten, to be on the safe side.
    objects: bool,
}

impl Traces {
    /// Learns from a statement that was executed.
    pub(crate) fn learn(&mut self, facts: &[Fact], kind: StatementKind) {
        const PREPARE: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_PREPARE as u32;
        for fact in facts {
            match fact {
                Fact::Set { scope: Scope::Global, .. } | Fact::Reset { scope: Scope::Global, .. } => {}
                Fact::Set { name, scope, .. } => {
                    self.settings.insert(key(name, *scope));
                }
                Fact::Reset { name, scope } => {
                    self.settings.remove(&key(name, *scope));
                }
                Fact::Create { temporary: true, .. } | Fact::Statement(PREPARE) | Fact::Attach { .. } => {
                    self.objects = true;
                }
                Fact::Pragma { .. } if kind == StatementKind::Write => self.objects = true,
                _ => {}
            }
        }
    }

    /// Whether anything would be lost.
    pub(crate) fn any(&self) -> bool {
        self.objects || !self.settings.is_empty()
    }
}

fn key(name: &str, scope: Scope) -> String {
    if scope == Scope::Variable { format!("${name}") } else { name.to_owned() }
}
