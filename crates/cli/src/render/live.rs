//! The line that tells for whom one waits, and how far a statement is: alive on a terminal, said once elsewhere, and not
//! at all to a program that asked for JSON: the error will tell it.

use std::time::{Duration, Instant};

use dbmux_client::{Holder, StatementEvent, StatementState};
use indicatif::{ProgressBar, ProgressStyle};

use super::person;
use crate::terminal;

/// A wait longer than this is shown.
pub(crate) const AFTER: Duration = Duration::from_millis(500);

/// Columns of the line beside the holder's command: the times, the process id, the user, the place in line.
const BESIDE: usize = 70;

/// Characters of a holder's command that are shown on the narrowest terminal.
const SHORTEST: usize = 12;

/// The line of one statement, or of one lock.
pub(crate) struct Live {
    began: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
    said: bool,
}

impl Live {
    /// The wait began then.
    pub(crate) fn since(began: Instant, terminal: bool) -> Self {
        Self { began, terminal, bar: None, said: false }
    }

    /// Shows what a statement is at.
    pub(crate) fn event(&mut self, event: &StatementEvent) {
        if let Some((whom, ahead)) = waiting(event) {
            let parts = |order: [&Option<String>; 2]| order.into_iter().flatten().cloned().collect::<Vec<_>>();
            self.show(&parts([&ahead, &whom]).join(" · "), &parts([&whom, &ahead]).join(", "));
        } else if event.state() == StatementState::Running {
            self.running(event);
        }
    }

    /// Shows for whom one waits.
    pub(crate) fn waiting(&mut self, text: &str) {
        self.show(text, text);
    }

    /// The same facts for a line that may be cut, and for a sentence.
    fn show(&mut self, line: &str, sentence: &str) {
        if terminal::wants_json() {
            return;
        }
        let elapsed = person::duration(self.began.elapsed());
        if self.terminal {
            // What changes stands first: a terminal may be too narrow for the rest.
            self.line(None, &format!("waiting {elapsed} · {line}"));
        } else if !self.said {
            self.said = true;
            super::note(&format!("waiting {sentence}; {elapsed} so far"));
        }
    }

    fn running(&mut self, event: &StatementEvent) {
        if self.terminal && !terminal::wants_json() {
            let percent = (event.progress >= 0.0).then_some(event.progress);
            self.line(percent, &person::duration(self.began.elapsed()));
        }
    }

    fn line(&mut self, percent: Option<f64>, text: &str) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(1000);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let template = if percent.is_some() { "{spinner} {bar:30} {msg}" } else { "{spinner} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        match percent {
            Some(percent) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
                bar.set_position((percent.clamp(0.0, 100.0) * 10.0) as u64);
                bar.set_message(format!("{percent:.0} % · {text}"));
            }
            None => bar.set_message(text.to_owned()),
        }
    }

    /// Takes the line away: data follows, or an error.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `for dbt build (pid 66618, alice, 12 s)`, as short as the terminal needs it: the process id must be seen.
fn whom(holder: &Holder) -> String {
    let most = terminal::width().saturating_sub(BESIDE).clamp(SHORTEST, person::ONE_LINE);
    format!("for {}", person::holder_within(holder, most).replace("   (", " ("))
}

/// `for dbt build (pid 66618, alice, 12 s)` and `3 ahead of you`; nothing while it does not wait.
fn waiting(event: &StatementEvent) -> Option<(Option<String>, Option<String>)> {
    if !matches!(event.state(), StatementState::Queued | StatementState::WaitingForFile) {
        return None;
    }
    let ahead = (event.ahead > 0).then(|| format!("{} ahead of you", event.ahead));
    let whom = event.holder.as_ref().map(whom).or_else(|| ahead.is_none().then(|| "in line".to_owned()));
    Some((whom, ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_for_whom() {
        let holder =
            Holder { pid: 7, command: "dbt build".into(), user: "alice".into(), held_ms: 12_000, ..Holder::default() };
        let mut event = StatementEvent { ahead: 3, holder: Some(holder), ..StatementEvent::default() };
        event.set_state(StatementState::WaitingForFile);
        let told = |whom: Option<&str>, ahead: Option<&str>| Some((whom.map(str::to_owned), ahead.map(str::to_owned)));
        let whom = Some("for dbt build (pid 7, alice, 12 s)");
        assert_eq!(waiting(&event), told(whom, Some("3 ahead of you")));
        event.holder = None;
        assert_eq!(waiting(&event), told(None, Some("3 ahead of you")));
        event.ahead = 0;
        assert_eq!(waiting(&event), told(Some("in line"), None));
        event.set_state(StatementState::Running);
        assert_eq!(waiting(&event), None);
    }
}
