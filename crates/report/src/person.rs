//! Times, counts and holders in a person's words.

use std::time::Duration;

use dbmux_client::{Holder, HolderKind};

/// Characters of a command line that are shown on one line.
pub const ONE_LINE: usize = 90;

/// `340 ms`, `12 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=99 => format!("{seconds} s"),
        100..=5_999 => two(seconds / 60, "min", seconds % 60, "s"),
        6_000..=172_799 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// As [`duration`], of milliseconds as the wire has them.
pub fn millis(ms: u64) -> String {
    duration(Duration::from_millis(ms))
}

/// `870 µs`, `3.2 ms`, `1.25 s`: for latencies.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn micros(us: u64) -> String {
    match us {
        0..=999 => format!("{us} µs"),
        1_000..=999_999 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// `336,776`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 row`, `2 rows`.
pub fn rows(number: u64) -> String {
    counted(number, "row")
}

/// `1 session`, `2 sessions`: of what has a plain plural.
pub fn counted(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{} {thing}s", count(number)) }
}

/// `78.5 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
pub fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// `dbt build --select marts   (pid 66618, alice, 12 s)`.
pub fn holder(holder: &Holder) -> String {
    holder_within(holder, ONE_LINE)
}

/// The same, with so many characters of its command at most.
pub fn holder_within(holder: &Holder, most: usize) -> String {
    let what = match holder.kind() {
        HolderKind::OtherNamespace => "a process in another container".to_owned(),
        HolderKind::OtherHost => "a process on another host".to_owned(),
        _ if holder.command.is_empty() => "a process that cannot be seen from here".to_owned(),
        HolderKind::Session => format!("a session of {}", cut(&holder.command, most)),
        _ => cut(&holder.command, most),
    };
    let mut facts = Vec::new();
    if holder.pid != 0 {
        facts.push(format!("pid {}", holder.pid));
    }
    if !holder.user.is_empty() {
        facts.push(holder.user.clone());
    }
    if holder.held_ms > 0 {
        facts.push(millis(holder.held_ms));
    }
    if holder.stopped {
        facts.push("stopped".to_owned());
    }
    if !holder.lock.is_empty() {
        facts.push(holder.lock.clone());
    }
    if facts.is_empty() { what } else { format!("{what}   ({})", facts.join(", ")) }
}

/// A command line on one line that is no wider than a terminal usually is.
pub fn one_line(text: &str) -> String {
    cut(text, ONE_LINE)
}

fn cut(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let flat: String = flat.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if flat.chars().count() <= most {
        return flat;
    }
    flat.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (ms, text) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (12_900, "12 s"),
            (99_999, "99 s"),
            (125_000, "2 min 5 s"),
            (120_000, "2 min"),
            (12_000_000, "3 h 20 min"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(millis(ms), text);
        }
        assert_eq!(micros(870), "870 µs");
        assert_eq!(micros(3_210), "3.2 ms");
        assert_eq!(micros(1_250_000), "1.25 s");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(336_776), "336,776");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(rows(1), "1 row");
        assert_eq!(rows(1_000), "1,000 rows");
    }

    #[test]
    fn holders_that_have_no_pid_here_are_named_as_what_they_are() {
        let mut one = Holder {
            command: "dbt  build\n".into(),
            pid: 7,
            user: "alice".into(),
            held_ms: 12_000,
            ..Holder::default()
        };
        assert_eq!(holder(&one), "dbt build   (pid 7, alice, 12 s)");
        one = Holder::default();
        one.set_kind(HolderKind::OtherNamespace);
        assert_eq!(holder(&one), "a process in another container");
        assert_eq!(one_line(&"x".repeat(200)).chars().count(), 90);
    }
}
