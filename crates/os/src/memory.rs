//! The machine's memory.

/// Memory that new processes can have without others being paged out, in bytes; `None`: the system does not tell.
///
/// Source: `MemAvailable` in `proc_meminfo(5)`.
pub fn available() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn there_is_some() {
        assert!(super::available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
