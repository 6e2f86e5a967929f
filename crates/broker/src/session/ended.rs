//! A transaction that was ended behind its client's back, because it was idle and others waited.
//!
//! What the client meant for it must not happen by itself. So until the client ends that transaction too, its statements
//! are refused with the reason: ROLLBACK is what has happened already, COMMIT fails, and a BEGIN begins anew once the
//! client has been told.

use dbmux_engine::ServiceError;

/// Why, and whether the client knows.
pub(crate) struct Ended {
    why: ServiceError,
    told: bool,
}

/// What becomes of a statement.
#[derive(Debug)]
pub(super) enum Verdict {
    GoesOn,
    /// It asks for what has happened already.
    Done,
    Refused(ServiceError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Begin,
    Commit,
    RollBack,
    Other,
}

impl Ended {
    pub(super) fn new(why: ServiceError) -> Self {
        Self { why, told: false }
    }

    /// Judges a statement that the client asks to run. `ended` is none when the matter is settled.
    pub(super) fn judge(ended: &mut Option<Self>, text: &str) -> Verdict {
        let Some(present) = ended else { return Verdict::GoesOn };
        let refusal = Verdict::Refused(present.why.clone());
        let told = std::mem::replace(&mut present.told, true);
        let (settles, verdict) = match word(text) {
            Word::RollBack => (true, Verdict::Done),
            Word::Begin if told => (true, Verdict::GoesOn),
            Word::Commit => (true, refusal),
            Word::Begin | Word::Other => (false, refusal),
        };
        if settles {
            *ended = None;
        }
        verdict
    }

    /// Judges a statement that is only prepared: of those that settle the matter nothing happens yet.
    pub(super) fn judge_prepared(ended: &mut Option<Self>, text: &str) -> Verdict {
        match ended {
            Some(present) if word(text) == Word::Other => {
                present.told = true;
                Verdict::Refused(present.why.clone())
            }
            _ => Verdict::GoesOn,
        }
    }
}

/// What a text says of transactions, where it says nothing else. In doubt it is another statement, and is refused.
fn word(text: &str) -> Word {
    let mut words = text.split(|c: char| c.is_whitespace() || c == ';').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_uppercase();
    let alone = match words.next().map(str::to_uppercase).as_deref() {
        None => true,
        Some("TRANSACTION" | "WORK") => words.next().is_none(),
        Some(_) => false,
    };
    match first.as_str() {
        "BEGIN" | "START" => Word::Begin,
        "COMMIT" | "END" if alone => Word::Commit,
        "ROLLBACK" | "ABORT" if alone => Word::RollBack,
        _ => Word::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::errors;

    fn ended() -> Option<Ended> {
        Some(Ended::new(errors::idle_transaction(Duration::from_secs(30))))
    }

    #[test]
    fn nothing_of_an_ended_transaction_happens_by_itself() {
        let mut ended = ended();
        for text in ["insert into t values (1)", "select 1", "rollback; drop table t", "-- \nrollback", ""] {
            assert!(matches!(Ended::judge(&mut ended, text), Verdict::Refused(_)), "{text}");
        }
        assert!(matches!(Ended::judge(&mut ended, "commit"), Verdict::Refused(_)));
        assert!(matches!(Ended::judge(&mut ended, "insert into t values (1)"), Verdict::GoesOn), "it was settled");
    }

    #[test]
    fn a_rollback_is_done_and_a_begin_begins_anew_for_one_who_knows() {
        for text in ["rollback", " ABORT ;", "Rollback Transaction;", "rollback work"] {
            let mut ended = ended();
            assert!(matches!(Ended::judge(&mut ended, text), Verdict::Done), "{text}");
            assert!(ended.is_none());
        }
        let mut ended = ended();
        assert!(matches!(Ended::judge_prepared(&mut ended, "commit"), Verdict::GoesOn));
        assert!(matches!(Ended::judge(&mut ended, "begin"), Verdict::Refused(_)), "it does not know");
        assert!(matches!(Ended::judge_prepared(&mut ended, "select 1"), Verdict::Refused(_)));
        assert!(matches!(Ended::judge(&mut ended, "begin transaction read only"), Verdict::GoesOn));
        assert!(ended.is_none());
    }
}
