//! Why an entry was not written.

use std::{fmt, io, path::PathBuf};

use super::Program;

/// Where in a file something is, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The byte of the line.
    pub column: usize,
}

impl Position {
    /// Of a byte of the text.
    pub(super) fn of(text: &[u8], byte: usize) -> Self {
        let before = &text[..byte.min(text.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |feed| feed + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Self { line, column: before.len() - start + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why an entry was not written. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no such program.
    #[error("`{name}` is no program that dbmux knows; it knows {}", known())]
    Program {
        /// What was asked for.
        name: String,
    },
    /// The program reads no servers from a project's files.
    #[error("{} has no servers for a project", program.title())]
    NoProject {
        /// The program.
        program: Program,
    },
    /// Not every program takes such a name.
    #[error("`{name}` cannot be a server's name: use letters, digits, `-` and `_`")]
    Name {
        /// The name.
        name: String,
    },
    /// Neither JSON nor TOML can hold it.
    #[error("`{word}` is not UTF-8, and cannot be written into a configuration file")]
    NotUnicode {
        /// What it looks like.
        word: String,
    },
    /// Not what a configuration is in.
    #[error("{} is not a file", file.display())]
    NotAFile {
        /// What was there.
        file: PathBuf,
    },
    /// Somebody wants it to stay as it is.
    #[error("{} is read-only", file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// The program could not read it either.
    #[error("{} is not {format}, at {position}: {reason}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// `JSON` or `TOML`.
        format: &'static str,
        /// Where.
        position: Position,
        /// What is wrong there.
        reason: String,
    },
    /// Servers can be written into a table of names only.
    #[error("{} has something else in `{key}` than servers by their names", file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// Where it is; empty for the whole file.
        key: String,
    },
    /// It is written in a way that we do not know.
    #[error("{} cannot be changed without changing more of it than this entry", file.display())]
    Strange {
        /// The file.
        file: PathBuf,
    },
    /// Somebody else wrote the file since it was read.
    #[error("{} was changed by another program in the meantime", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// The system refuses.
    #[error("{operation} {}: {source}", file.display())]
    Io {
        /// What was done.
        operation: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn known() -> String {
    Program::ALL.map(Program::name).join(", ")
}

impl InstallError {
    /// What to do about it; empty where nothing true can be said.
    pub fn suggestion(&self) -> &'static str {
        match self {
            Self::NoProject { .. } => "leave out --project",
            Self::NotUnicode { .. } => "give the file a name that is UTF-8, or a link to it",
            Self::Syntax { .. } => "correct the file, and try again; nothing was written",
            Self::Shape { .. } => "correct the file, or move it away, and try again; nothing was written",
            Self::NotAFile { .. } => "move it away, and try again",
            Self::ReadOnly { .. } | Self::Strange { .. } => "put what --print shows there by hand; nothing was written",
            Self::Changed { .. } => "try again; nothing was written",
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                "if another tool looks after that file, put what --print shows there by hand"
            }
            Self::Program { .. } | Self::Name { .. } | Self::Io { .. } => "",
        }
    }

    /// For `map_err`.
    pub(super) fn io(operation: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |source| Self::Io { operation, file, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one() {
        let places = [(0, 1, 1), (2, 1, 3), (3, 2, 1), (5, 2, 3), (99, 2, 3)];
        for (byte, line, column) in places {
            assert_eq!(Position::of(b"ab\ncd", byte), Position { line, column }, "byte {byte}");
        }
    }
}
