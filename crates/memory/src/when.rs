//! Times as people say them: always a stretch of time, from its first moment up to what comes behind its last one.
//!
//! Weeks begin on Monday. "last week" is the calendar week before this one, "the past week" the seven days up to now, and
//! "2 weeks ago" the calendar week that was two weeks ago.

mod dates;
mod periods;

use jiff::{Timestamp, Zoned};

use crate::MemoryError;

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 200;
/// Words that a time in a longer text has, at most.
const MOST_WORDS: usize = 7;

/// A stretch of time: from its beginning, which is in it, to its end, which is not. `None`: it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// Its first moment.
    pub from: Option<Timestamp>,
    /// The first moment behind it.
    pub to: Option<Timestamp>,
}

/// A stretch with both ends, in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    from: Zoned,
    to: Zoned,
}

impl TimeRange {
    /// Whether every moment is in it.
    pub fn is_everything(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

impl From<Stretch> for TimeRange {
    fn from(stretch: Stretch) -> Self {
        Self { from: Some(stretch.from.timestamp()), to: Some(stretch.to.timestamp()) }
    }
}

/// What a text means, in English or as an ISO date, seen from this moment and its time zone:
///
/// `today`, `yesterday`, `this morning`, `last night`, `last week`, `this month`, `last 3 days`, `past hour`, `2 weeks ago`,
/// `monday`, `last friday`, `march`, `march 2025`, `q1 2025`, `2025`, `2025-03`, `2025-03-01`, `2025-03-01T10:00`,
/// `since yesterday`, `before 2025-03-01`, `between march and may`, `2025-01-01 to 2025-02-01`, and what the crate `interim`
/// understands. `between` and `to` take in their last day; `before` and `after` leave out what they name.
///
/// # Errors
/// [`MemoryError::Time`] for what is not understood, and for a stretch that ends before it begins.
pub fn time_range(text: &str, now: &Zoned) -> Result<TimeRange, MemoryError> {
    let failed = || MemoryError::Time { text: text.chars().take(LONGEST).collect() };
    if text.len() > LONGEST {
        return Err(failed());
    }
    let plain = plain(text);
    let found = range(&plain, now, true).ok_or_else(failed)?;
    match (found.from, found.to) {
        (Some(from), Some(to)) if from >= to => Err(failed()),
        _ => Ok(found),
    }
}

/// The first time that a longer text has in it, and the text without it: of `what did we decide last week about tea` the
/// week, and `what did we decide about tea`. The longest one counts; words like "may", "sun" or "2024" alone are none here.
pub fn time_in(text: &str, now: &Zoned) -> (Option<TimeRange>, String) {
    let words: Vec<_> = text.split_whitespace().collect();
    for begin in 0..words.len() {
        for end in (begin + 1..=words.len().min(begin + MOST_WORDS)).rev() {
            let some = plain(&words[begin..end].join(" "));
            let alone = end == begin + 1 || some.strip_prefix("on ").is_some_and(may_be_anything);
            if (alone && may_be_anything(some.trim_start_matches("on "))) || some.len() > LONGEST {
                continue;
            }
            if let Some(range) = range(&some, now, false) {
                let rest: Vec<_> = words[..begin].iter().chain(&words[end..]).copied().collect();
                return (Some(range), rest.join(" "));
            }
        }
    }
    (None, words.join(" "))
}

/// A number, "may", "sun": in a longer text they need not be times.
fn may_be_anything(word: &str) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    is_number(word) || periods::month(word).is_some() || (word.len() == 3 && periods::weekday(word).is_some())
}

/// In small letters, with one space between words, and without what stands at the end of a sentence.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    let text = words.join(" ").replace("a couple of ", "2 ").replace("a few ", "3 ");
    text.trim_matches(|c: char| matches!(c, '.' | ',' | '?' | '!' | '"' | ';')).to_owned()
}

/// `guess`: what only `interim` understands counts too.
fn range(text: &str, now: &Zoned, guess: bool) -> Option<TimeRange> {
    let one = |text: &str| stretch(text, now, guess);
    for (word, behind) in [("since ", false), ("starting ", false), ("after ", true)] {
        if let Some(rest) = text.strip_prefix(word) {
            let stretch = one(rest)?;
            let from = if behind { stretch.to } else { stretch.from };
            return Some(TimeRange { from: Some(from.timestamp()), to: None });
        }
    }
    for (word, whole) in [("before ", false), ("until ", true), ("till ", true), ("up to ", true)] {
        if let Some(rest) = text.strip_prefix(word) {
            let stretch = one(rest)?;
            let to = if whole { stretch.to } else { stretch.from };
            return Some(TimeRange { from: None, to: Some(to.timestamp()) });
        }
    }
    if let Some(stretch) = one(text) {
        return Some(stretch.into());
    }
    let (first, last) = ends(text)?;
    Some(Stretch { from: one(first)?.from, to: one(last)?.to }.into()).filter(is_forward)
}

fn is_forward(range: &TimeRange) -> bool {
    range.from < range.to
}

/// The two ends of what has two.
fn ends(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix("between ") {
        return rest.split_once(" and ");
    }
    let rest = text.strip_prefix("from ").unwrap_or(text);
    [" to ", " until ", " till ", "..", " - "].into_iter().find_map(|word| rest.split_once(word))
}

/// A stretch that is named by one name.
fn stretch(text: &str, now: &Zoned, guess: bool) -> Option<Stretch> {
    let text = text.trim();
    let text =
        ["on ", "in ", "during ", "the "].into_iter().fold(text, |text, word| text.strip_prefix(word).unwrap_or(text));
    let known = periods::named(text, now).or_else(|| dates::dated(text, now));
    known.or_else(|| guess.then(|| dates::guessed(text, now)).flatten())
}

#[cfg(test)]
mod tests;
