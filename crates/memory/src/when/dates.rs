//! Dates, written in one way or another.

use interim::{Dialect, parse_date_string};
use jiff::{
    Span, Timestamp, Zoned,
    civil::{Date, DateTime},
};

use super::{Stretch, periods, periods::Period};

/// Years that a number alone may be.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2200;
/// Digits in a row that `interim` is trusted with.
const MOST_DIGITS: usize = 4;

/// A year, month, day or moment as ISO 8601 writes it, or a month by its name, or a quarter.
pub(super) fn dated(text: &str, now: &Zoned) -> Option<Stretch> {
    let day = |date: Date| date.to_zoned(now.time_zone().clone()).ok();
    let first = |year: i16, month: i8| day(Date::new(year, month, 1).ok()?);
    if let Some(year) = year(text) {
        return Period::Year.around(&first(year, 1)?);
    }
    if let Some((year, month)) = text.split_once('-').and_then(|(y, m)| Some((year(y)?, m.parse().ok()?))) {
        return Period::Month.around(&first(year, month)?);
    }
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
    {
        return Period::Day.around(&day(date)?);
    }
    let words: Vec<_> = text.split(' ').collect();
    match words.as_slice() {
        [name] if periods::month(name).is_some() => {
            Period::Month.around(&latest_month(periods::month(name)?, now, true)?)
        }
        ["last", name] => Period::Month.around(&latest_month(periods::month(name)?, now, false)?),
        [quarter, number] if quarter.starts_with('q') => {
            let quarter: i8 = quarter.strip_prefix('q')?.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
            Period::Quarter.around(&first(year(number)?, quarter * 3 - 2)?)
        }
        [name, number] if periods::month(name).is_some() && year(number).is_some() => {
            Period::Month.around(&first(year(number)?, periods::month(name)?)?)
        }
        _ => moment(text, now),
    }
}

fn year(text: &str) -> Option<i16> {
    text.parse().ok().filter(|year| text.len() == 4 && YEARS.contains(year))
}

/// The first day of the latest such month. `or_this`: this one may be it.
fn latest_month(month: i8, now: &Zoned, or_this: bool) -> Option<Zoned> {
    let is_past = month < now.month() || (or_this && month == now.month());
    let year = if is_past { now.year() } else { now.year().checked_sub(1)? };
    Date::new(year, month, 1).ok()?.to_zoned(now.time_zone().clone()).ok()
}

/// A moment of a day: the minute, or where seconds are told, the second.
fn moment(text: &str, now: &Zoned) -> Option<Stretch> {
    if !text.contains(':') || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let written = text.to_uppercase();
    let zone = now.time_zone();
    let from = match written.parse::<Timestamp>() {
        Ok(moment) => moment.to_zoned(zone.clone()),
        Err(_) => written.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?,
    };
    let time = written.split(['T', ' ']).nth(1)?;
    let clock = time.split(['Z', '+', '-', '[']).next().unwrap_or_default();
    let span = if clock.matches(':').count() > 1 { Span::new().seconds(1) } else { Span::new().minutes(1) };
    Some(Stretch { to: from.checked_add(span).ok()?, from })
}

/// What `interim` understands: the day, or where a time of day is told, the minute.
pub(super) fn guessed(text: &str, now: &Zoned) -> Option<Stretch> {
    let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    let is_nothing = text.split(' ').any(|word| word.bytes().all(|byte| byte == b'0'));
    if longest > MOST_DIGITS || is_nothing || !text.is_ascii() {
        return None;
    }
    let found = parse_date_string(text, now.clone(), Dialect::Us).ok()?;
    let half_day = |word: &str| word.ends_with("am") || word.ends_with("pm");
    let has_time = text.contains(':')
        || text.split(' ').any(|word| half_day(word) && word.starts_with(|c: char| c.is_ascii_digit()));
    if has_time { Period::Minute.around(&found) } else { Period::Day.around(&found) }
}
