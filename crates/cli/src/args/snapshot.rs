//! What the commands around snapshots take.

use std::path::PathBuf;

use clap::Args;

use super::Waiting;

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// The database file.
    pub(crate) database: PathBuf,
    /// Where the copy goes.
    pub(crate) target: PathBuf,
    /// Replaces a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The file; the copy goes to standard output, which is a file.
    #[arg(long)]
    pub(crate) source: PathBuf,
    /// Bytes, where the copy cannot share them with the file.
    #[arg(long)]
    pub(crate) limit: u64,
}

#[cfg(feature = "broker")]
/// `2GiB`, `500MB`, `0`, `none`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("kb", 1000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ];
    let wish = text.trim().to_ascii_lowercase();
    if wish == "none" {
        return Ok(u64::MAX);
    }
    let split = wish.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(wish.len());
    let factor = UNITS.iter().find(|(unit, _)| *unit == wish[split..].trim()).map(|(_, factor)| *factor);
    let size = wish[..split].parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.ok_or_else(|| "it is a size (bytes, KB, MB, GB, TB, KiB, MiB, GiB, TiB), as 2GiB, or none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("2GiB", 2 << 30), ("500 mb", 500_000_000), ("none", u64::MAX)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "1.5GB", "2 pb", "99999999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
