//! Days, weeks, months and their like, by their names.

use jiff::{RoundMode, Span, Unit, Zoned, ZonedRound, civil::Weekday};

use super::Stretch;

/// The largest number in a text.
const LARGEST: i64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Period {
    fn of(word: &str) -> Option<Self> {
        Some(match word.strip_suffix('s').unwrap_or(word) {
            "minute" | "min" => Self::Minute,
            "hour" | "hr" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// So many of them.
    fn times(self, count: i64) -> Option<Span> {
        let span = Span::new();
        match self {
            Self::Minute => span.try_minutes(count),
            Self::Hour => span.try_hours(count),
            Self::Day => span.try_days(count),
            Self::Week => span.try_weeks(count),
            Self::Month => span.try_months(count),
            Self::Quarter => span.try_months(count.checked_mul(3)?),
            Self::Year => span.try_years(count),
        }
        .ok()
    }

    /// The one that a moment is in.
    pub(super) fn around(self, moment: &Zoned) -> Option<Stretch> {
        let first = match self {
            Self::Minute => return self.short(moment, Unit::Minute),
            Self::Hour => return self.short(moment, Unit::Hour),
            Self::Day => moment.date(),
            Self::Week => {
                let behind = i64::from(moment.weekday().to_monday_zero_offset());
                moment.date().checked_sub(Span::new().try_days(behind).ok()?).ok()?
            }
            Self::Month => moment.date().first_of_month(),
            Self::Quarter => {
                let month = (moment.month() - 1) / 3 * 3 + 1;
                jiff::civil::Date::new(moment.year(), month, 1).ok()?
            }
            Self::Year => moment.date().first_of_year(),
        };
        let behind = first.checked_add(self.times(1)?).ok()?;
        let zone = moment.time_zone();
        Some(Stretch { from: first.to_zoned(zone.clone()).ok()?, to: behind.to_zoned(zone.clone()).ok()? })
    }

    fn short(self, moment: &Zoned, unit: Unit) -> Option<Stretch> {
        let from = moment.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc)).ok()?;
        let to = from.checked_add(self.times(1)?).ok()?;
        Some(Stretch { from, to })
    }

    /// The one that came so many of them ago.
    fn ago(self, count: i64, now: &Zoned) -> Option<Stretch> {
        self.around(&now.checked_sub(self.times(count)?).ok()?)
    }

    /// As many of them up to now.
    fn last(self, count: i64, now: &Zoned) -> Option<Stretch> {
        Some(Stretch { from: now.checked_sub(self.times(count)?).ok()?, to: now.clone() })
    }
}

/// What a name means.
pub(super) fn named(text: &str, now: &Zoned) -> Option<Stretch> {
    match text {
        "now" | "just now" => return Period::Hour.last(1, now),
        "recent" | "recently" | "lately" => return Period::Day.last(7, now),
        "day before yesterday" => return Period::Day.ago(2, now),
        "last night" => return part_of_day("night", &Period::Day.ago(1, now)?.from),
        "tonight" => return part_of_day("night", now),
        "weekend" | "last weekend" | "this weekend" => return weekend(text, now),
        _ => {}
    }
    let words: Vec<_> = text.split(' ').collect();
    match words.as_slice() {
        [day] => one_day(day, now).or_else(|| weekday(day).and_then(|day| latest(day, now, true))),
        ["last" | "past" | "previous", word] if weekday(word).is_some() => latest(weekday(word)?, now, false),
        ["past", period] => Period::of(period)?.last(1, now),
        ["last" | "previous", period] => Period::of(period)?.ago(1, now),
        ["this", part] if part_of_day(part, now).is_some() => part_of_day(part, now),
        ["this", period] => Period::of(period)?.around(now),
        [day, part] if one_day(day, now).is_some() => part_of_day(part, &one_day(day, now)?.from),
        ["last" | "past" | "previous", count, period] => Period::of(period)?.last(number(count)?, now),
        [count, period, "ago"] => Period::of(period)?.ago(number(count)?, now),
        _ => None,
    }
}

fn one_day(word: &str, now: &Zoned) -> Option<Stretch> {
    match word {
        "today" => Period::Day.around(now),
        "yesterday" => Period::Day.ago(1, now),
        "tomorrow" => Period::Day.ago(-1, now),
        _ => None,
    }
}

fn number(word: &str) -> Option<i64> {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let named = WORDS.iter().position(|name| *name == word).and_then(|index| i64::try_from(index + 1).ok());
    let number = match word {
        "a" | "an" => Some(1),
        digits => named.or_else(|| digits.parse().ok()),
    };
    number.filter(|number| (1..=LARGEST).contains(number))
}

/// From an hour to another one; the night goes on into the next day.
fn part_of_day(part: &str, day: &Zoned) -> Option<Stretch> {
    let (from, to) = match part {
        "morning" => (5, 12),
        "noon" => (12, 13),
        "afternoon" => (12, 18),
        "evening" => (18, 22),
        "night" => (22, 29),
        _ => return None,
    };
    let hour = |hour: i8| {
        let date = if hour < 24 { day.date() } else { day.date().tomorrow().ok()? };
        date.at(hour % 24, 0, 0, 0).to_zoned(day.time_zone().clone()).ok()
    };
    Some(Stretch { from: hour(from)?, to: hour(to)? })
}

pub(super) fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Memories are of the past: the latest such day. `or_today`: today may be it.
fn latest(day: Weekday, now: &Zoned, or_today: bool) -> Option<Stretch> {
    let behind = i64::from(day.until(now.weekday()));
    Period::Day.ago(if behind == 0 && !or_today { 7 } else { behind }, now)
}

/// Saturday and Sunday: those of this week when it has come so far, or is asked for; else those before.
fn weekend(text: &str, now: &Zoned) -> Option<Stretch> {
    let has_come = matches!(now.weekday(), Weekday::Saturday | Weekday::Sunday);
    let this = text == "this weekend" || (text == "weekend" && has_come);
    let week = if this { Period::Week.around(now)? } else { Period::Week.ago(1, now)? };
    let from = week.from.checked_add(Span::new().try_days(5).ok()?).ok()?;
    Some(Stretch { from, to: week.to })
}

/// A month's number by its name.
pub(super) fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_it = |name: &&str| {
        *name == word || (word.len() == 3 && name.starts_with(word)) || (word == "sept" && name.starts_with(word))
    };
    MONTHS.iter().position(is_it).and_then(|index| i8::try_from(index + 1).ok())
}
