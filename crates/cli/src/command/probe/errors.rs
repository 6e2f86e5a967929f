//! Errors that are the same but for processes, paths and numbers.

use crate::render::alike::without_numbers;

/// The same error, whichever process, place and number it names: its first line, without them.
pub(super) fn alike(error: &str) -> String {
    let line = error.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    // Where to read more is not what went wrong.
    let line = line.split(". See also").next().unwrap_or(line);
    without_numbers(&line.split(' ').map(without_folders).collect::<Vec<_>>().join(" "))
}

/// `"/tmp/x/direct.duckdb":` is `"direct.duckdb":`.
fn without_folders(word: &str) -> String {
    let start = word.find('/').filter(|start| word[..*start].chars().all(|c| !c.is_alphanumeric()));
    match (start, word.rfind('/')) {
        (Some(start), Some(end)) if end > start => format!("{}{}", &word[..start], &word[end + 1..]),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn processes_paths_and_numbers_make_no_difference() {
        let of = |folder: &str, pid: u32| {
            alike(&format!(
                "\nIO Error: Could not set lock on file \"{folder}/direct.duckdb\": Conflicting lock is held in \
                 {folder}/bin/dbmux (PID {pid}). See also https://duckdb.org/docs/\nmore"
            ))
        };
        let expected =
            "IO Error: Could not set lock on file \"direct.duckdb\": Conflicting lock is held in dbmux (PID …)";
        assert_eq!(of("/tmp/a", 7), expected);
        assert_eq!(of("/home/b 2", 12345).len(), of("/home/c 3", 9).len());
        assert_eq!(alike("and/or 12 of 34"), "and/or … of …");
        assert_ne!(alike("database is locked"), alike("disk I/O error"));
        assert_eq!(alike(" \n"), "it said nothing");
    }
}
