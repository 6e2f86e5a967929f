//! What is measured, round by round, and what is quoted of it.

use crate::Result;

/// Samples of one side: a list a round, in seconds or in operations a second.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Vec<f64>>);

impl Samples {
    /// The median of the rounds' quantiles: one bad round of a shared machine does not count.
    pub(crate) fn typical(&self, quantile: f64) -> f64 {
        let each: Vec<f64> = self.0.iter().map(|round| at(round, quantile)).collect();
        at(&each, 0.5)
    }

    /// The quantile of all samples together.
    pub(crate) fn overall(&self, quantile: f64) -> f64 {
        at(&self.0.concat(), quantile)
    }

    pub(crate) fn push(&mut self, round: Vec<f64>) {
        self.0.push(round);
    }
}

/// The value below which this part of the samples lies.
fn at(samples: &[f64], quantile: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let place = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1).min(last)).copied().unwrap_or(f64::NAN)
}

/// One side of a comparison: a round of it, and its samples.
pub(crate) type Side<'a> = &'a mut dyn FnMut() -> Result<Vec<f64>>;

/// Runs the sides in turn, so that each sees the same machine, after one round that warms up and is not counted.
pub(crate) fn in_turn<const N: usize>(rounds: usize, mut sides: [Side<'_>; N]) -> Result<[Samples; N]> {
    let mut all = std::array::from_fn(|_| Samples::default());
    for round in 0..=rounds {
        for (side, samples) in sides.iter_mut().zip(all.iter_mut()) {
            let taken = side()?;
            if round > 0 {
                samples.push(taken);
            }
        }
    }
    Ok(all)
}

/// A quantity with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    Seconds(f64),
    PerSecond(f64),
    Bytes(f64),
    /// How many; fewer is better.
    Count(f64),
}

impl Figure {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Seconds(value) | Self::PerSecond(value) | Self::Bytes(value) | Self::Count(value) => value,
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Seconds(_) => "s",
            Self::PerSecond(_) => "1/s",
            Self::Bytes(_) => "bytes",
            Self::Count(_) => "",
        }
    }

    /// How many times better than the other one.
    pub(crate) fn better_than(self, other: Self) -> f64 {
        match self {
            Self::PerSecond(ours) => ours / other.value(),
            Self::Seconds(ours) | Self::Bytes(ours) | Self::Count(ours) => other.value() / ours,
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Seconds(seconds) if seconds < 1e-4 => write!(to, "{:.2} µs", seconds * 1e6),
            Self::Seconds(seconds) if seconds < 1e-1 => write!(to, "{:.2} ms", seconds * 1e3),
            Self::Seconds(seconds) if seconds < 1.0 => write!(to, "{:.0} ms", seconds * 1e3),
            Self::Seconds(seconds) => write!(to, "{seconds:.2} s"),
            Self::PerSecond(rate) => write!(to, "{rate:.0}/s"),
            Self::Count(count) => write!(to, "{count:.0}"),
            Self::Bytes(bytes) => write!(to, "{:.0} MiB", bytes / f64::from(1 << 20)),
        }
    }
}

/// What is promised.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most so many times what the rival takes.
    Within(f64),
    /// At least so many times better than the rival.
    Better(f64),
    /// At most this.
    AtMost(Figure),
    /// At least this.
    AtLeast(Figure),
    /// Nothing: told for orientation.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) ours: Figure,
    pub(crate) rival: Option<(&'static str, Figure)>,
    pub(crate) goal: Goal,
}

impl Line {
    pub(crate) fn beside(what: &str, ours: Figure, rival: (&'static str, Figure), goal: Goal) -> Self {
        Self { what: what.to_owned(), ours, rival: Some(rival), goal }
    }

    pub(crate) fn alone(what: &str, ours: Figure, goal: Goal) -> Self {
        Self { what: what.to_owned(), ours, rival: None, goal }
    }

    /// How the two compare, as the goal counts it.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let better = self.ours.better_than(self.rival?.1);
        Some(if matches!(self.goal, Goal::Within(_)) { 1.0 / better } else { better })
    }

    /// `None`: nothing was promised.
    pub(crate) fn met(&self) -> Option<bool> {
        match (self.goal, self.ratio()) {
            (Goal::Within(times), Some(ratio)) => Some(ratio <= times),
            (Goal::Better(times), Some(ratio)) => Some(ratio >= times),
            (Goal::AtMost(most), _) => Some(self.ours.value() <= most.value()),
            (Goal::AtLeast(least), _) => Some(self.ours.value() >= least.value()),
            _ => None,
        }
    }

    pub(crate) fn ratio_text(&self) -> String {
        let Some(ratio) = self.ratio() else { return String::new() };
        // Where nothing is promised, the larger way round reads better.
        let (ratio, words) = match self.goal {
            Goal::Within(_) => (ratio, "of it"),
            // As large a part of it as that.
            Goal::Better(times) if times < 1.0 => (ratio, "of it"),
            Goal::None if ratio < 1.0 => (1.0 / ratio, "of it"),
            _ => (ratio, "better"),
        };
        if ratio < 10.0 { format!("{ratio:.1}× {words}") } else { format!("{ratio:.0}× {words}") }
    }

    pub(crate) fn goal_text(&self) -> String {
        match self.goal {
            Goal::Within(times) => format!("at most {times}×"),
            Goal::Better(1.0) => "better".to_owned(),
            Goal::Better(times) => format!("at least {times}×"),
            Goal::AtMost(figure) => format!("at most {figure}"),
            Goal::AtLeast(figure) => format!("at least {figure}"),
            Goal::None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples = Samples::default();
        samples.push((1..=100).map(f64::from).collect());
        samples.push(vec![1000.0]);
        samples.push(vec![7.0]);
        assert_eq!(samples.overall(0.99), 100.0);
        assert_eq!(samples.typical(0.5), 50.0);
    }

    #[test]
    fn a_goal_is_met_or_missed_by_its_own_count() {
        let line = |ours, rival, goal| Line::beside("", ours, ("", rival), goal).met();
        let (second, two) = (Figure::Seconds(1.0), Figure::Seconds(2.0));
        assert_eq!(line(two, second, Goal::Within(2.0)), Some(true));
        assert_eq!(line(two, second, Goal::Within(1.9)), Some(false));
        assert_eq!(line(second, two, Goal::Better(2.0)), Some(true));
        assert_eq!(line(Figure::PerSecond(9.0), Figure::PerSecond(2.0), Goal::Better(5.0)), Some(false));
        assert_eq!(Line::alone("", two, Goal::AtMost(second)).met(), Some(false));
        assert_eq!(line(two, second, Goal::None), None);
        let none = Goal::AtMost(Figure::Count(0.0));
        assert_eq!(Line::alone("", Figure::Count(0.0), none).met(), Some(true));
        assert_eq!(Line::alone("", Figure::Count(1.0), none).met(), Some(false));
        let (slow, fast) = (Figure::PerSecond(3.0), Figure::PerSecond(5.0));
        let slowest = Line::beside("", slow, ("the fastest", fast), Goal::Better(0.5));
        assert_eq!((slowest.met(), slowest.ratio_text().as_str()), (Some(true), "0.6× of it"));
    }
}
