use super::*;

/// A Wednesday.
fn now() -> Zoned {
    "2025-03-12T15:30:20+01:00[Europe/Berlin]".parse().expect("a moment")
}

fn show(moment: Option<Timestamp>) -> String {
    let Some(moment) = moment else { return "…".to_owned() };
    let zoned = moment.to_zoned(now().time_zone().clone());
    zoned.strftime(if zoned.second() == 0 { "%F %H:%M" } else { "%F %T" }).to_string().replace(" 00:00", "")
}

fn understood(text: &str) -> String {
    match time_range(text, &now()) {
        Ok(range) => format!("{} > {}", show(range.from), show(range.to)),
        Err(_) => "?".to_owned(),
    }
}

#[test]
fn times_are_stretches() {
    for (text, expected) in [
        ("today", "2025-03-12 > 2025-03-13"),
        ("Yesterday", "2025-03-11 > 2025-03-12"),
        ("the day before yesterday", "2025-03-10 > 2025-03-11"),
        ("yesterday evening", "2025-03-11 18:00 > 2025-03-11 22:00"),
        ("this morning", "2025-03-12 05:00 > 2025-03-12 12:00"),
        ("last night", "2025-03-11 22:00 > 2025-03-12 05:00"),
        ("last week", "2025-03-03 > 2025-03-10"),
        ("this week", "2025-03-10 > 2025-03-17"),
        ("past week", "2025-03-05 15:30:20 > 2025-03-12 15:30:20"),
        ("last month", "2025-02-01 > 2025-03-01"),
        ("this month", "2025-03-01 > 2025-04-01"),
        ("last quarter", "2024-10-01 > 2025-01-01"),
        ("this quarter", "2025-01-01 > 2025-04-01"),
        ("last year", "2024-01-01 > 2025-01-01"),
        ("last hour", "2025-03-12 14:00 > 2025-03-12 15:00"),
        ("the last 3 days", "2025-03-09 15:30:20 > 2025-03-12 15:30:20"),
        ("past two hours", "2025-03-12 13:30:20 > 2025-03-12 15:30:20"),
        ("2 days ago", "2025-03-10 > 2025-03-11"),
        ("a week ago", "2025-03-03 > 2025-03-10"),
        ("a couple of days ago", "2025-03-10 > 2025-03-11"),
        ("the past 3 days", "2025-03-09 15:30:20 > 2025-03-12 15:30:20"),
        ("an hour ago", "2025-03-12 14:00 > 2025-03-12 15:00"),
        ("3 months ago", "2024-12-01 > 2025-01-01"),
        ("recently", "2025-03-05 15:30:20 > 2025-03-12 15:30:20"),
        ("monday", "2025-03-10 > 2025-03-11"),
        ("wednesday", "2025-03-12 > 2025-03-13"),
        ("last wednesday", "2025-03-05 > 2025-03-06"),
        ("on friday", "2025-03-07 > 2025-03-08"),
        ("last weekend", "2025-03-08 > 2025-03-10"),
        ("march", "2025-03-01 > 2025-04-01"),
        ("last march", "2024-03-01 > 2024-04-01"),
        ("in december", "2024-12-01 > 2025-01-01"),
        ("January 2023", "2023-01-01 > 2023-02-01"),
        ("Q4 2024", "2024-10-01 > 2025-01-01"),
        ("2024", "2024-01-01 > 2025-01-01"),
        ("2024-02", "2024-02-01 > 2024-03-01"),
        ("2024-02-29", "2024-02-29 > 2024-03-01"),
        ("2025-03-01T10:00", "2025-03-01 10:00 > 2025-03-01 10:01"),
        ("2025-03-01 10:00:05", "2025-03-01 10:00:05 > 2025-03-01 10:00:06"),
        ("2025-03-01T10:00:00Z", "2025-03-01 11:00 > 2025-03-01 11:00:01"),
        ("since yesterday", "2025-03-11 > …"),
        ("after yesterday", "2025-03-12 > …"),
        ("before 2025-03-01", "… > 2025-03-01"),
        ("until 2025-03-01", "… > 2025-03-02"),
        ("between march 2024 and may 2024", "2024-03-01 > 2024-06-01"),
        ("from 2025-01-01 to 2025-01-31", "2025-01-01 > 2025-02-01"),
        ("2025-01-01..2025-01-02", "2025-01-01 > 2025-01-03"),
        // interim's.
        ("1 April 2018", "2018-04-01 > 2018-04-02"),
        ("April 1, 2018", "2018-04-01 > 2018-04-02"),
        // The night in which the clocks were put forward.
        ("2025-03-30", "2025-03-30 > 2025-03-31"),
    ] {
        assert_eq!(understood(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "soon",
        "tea",
        "0 days ago",
        "99999999999 months ago",
        "10001 days ago",
        "2025-13-01",
        "q5 2024",
        "between 2025-02-01 and 2025-01-01",
        "since",
        "last",
        "ago",
        "\u{0}",
        "last last week",
        "2025-02-30",
    ] {
        assert_eq!(understood(text), "?", "{text}");
    }
    assert_eq!(understood(&"last ".repeat(1000)), "?");
}

#[test]
fn a_time_is_found_in_a_longer_text() {
    for (text, expected, rest) in [
        ("what did we decide last week about tea?", "2025-03-03 > 2025-03-10", "what did we decide about tea?"),
        ("everything since yesterday", "2025-03-11 > …", "everything"),
        ("releases between january 2025 and february 2025", "2025-01-01 > 2025-03-01", "releases"),
        ("2 days ago", "2025-03-10 > 2025-03-11", ""),
    ] {
        let (range, left) = time_in(text, &now());
        let range = range.expect("a time");
        assert_eq!((format!("{} > {}", show(range.from), show(range.to)).as_str(), left.as_str()), (expected, rest));
    }
    for text in ["may we march on 2024 feet", "the port is 1433", "", "sun and mon", "2024"] {
        assert_eq!(time_in(text, &now()), (None, text.to_owned()));
    }
}
