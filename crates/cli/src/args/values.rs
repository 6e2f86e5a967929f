//! What values of flags and variables may be; a refusal says what is allowed.

use std::time::Duration;

#[cfg(feature = "broker")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workers {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

/// Statements that can run side by side: each has a thread.
#[cfg(feature = "broker")]
const MOST_WORKERS: usize = 256;

#[cfg(feature = "broker")]
pub(super) fn workers(text: &str) -> Result<Workers, String> {
    let allowed = || format!("it is MIN..MAX, or one number, from 1 to {MOST_WORKERS}, as 4..16");
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| allowed());
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (number(min)?, number(max)?),
        None => (number(text)?, number(text)?),
    };
    if min == 0 || max < min || max > MOST_WORKERS { Err(allowed()) } else { Ok(Workers { min, max }) }
}

#[cfg(feature = "broker")]
pub(super) fn count<const LEAST: usize, const MOST: usize>(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|count| (LEAST..=MOST).contains(count));
    count.ok_or_else(|| format!("it is a number from {LEAST} to {MOST}"))
}

/// `4GB`, `80%`, `none`: what DuckDB takes, without what leaves it no memory at all.
#[cfg(feature = "broker")]
pub(super) fn memory_limit(text: &str) -> Result<String, String> {
    const UNITS: &[&str] = &["kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib"];
    let wish = text.trim();
    let split = wish.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(wish.len());
    let (number, unit) = (wish[..split].parse::<f64>().ok(), wish[split..].trim().to_ascii_lowercase());
    let fits = match (number, unit.as_str()) {
        (None, unit) => unit == "none" && split == 0,
        (Some(percent), "%") => percent > 0.0 && percent <= 100.0,
        (Some(number), unit) => number > 0.0 && UNITS.contains(&unit),
    };
    let allowed = "it is a size with its unit (KB, MB, GB, TB, KiB, MiB, GiB, TiB), as 4GB, a share, as 60%, or none";
    if fits { Ok(wish.to_owned()) } else { Err(allowed.to_owned()) }
}

/// What looks like a version; which ones there are, DuckDB knows.
pub(super) fn storage_version(text: &str) -> Result<String, String> {
    let number = text.strip_prefix('v').unwrap_or_default();
    let is_version = number.split('.').count() == 3
        && number.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let known = is_version || text == "latest";
    if known { Ok(text.to_owned()) } else { Err("it is a version of DuckDB, as v1.2.0, or latest".to_owned()) }
}

/// The longest time that is taken: what a sum of some of them still holds.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// `500ms`, `30s`, `2m 30s`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().map(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = number.unwrap_or_else(|| humantime::parse_duration(text).ok());
    let duration = duration.ok_or_else(|| "that is no time; say 500ms, 30s or 2m".to_owned())?;
    if duration > LONGEST { Err("nobody waits for more than ten years".to_owned()) } else { Ok(duration) }
}
