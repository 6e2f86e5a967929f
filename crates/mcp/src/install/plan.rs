//! What would be written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{InstallError, Position, Program, Scope, Server, entry::Words, json, program::Format, toml, write};

/// A file's text with the entry in it.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) text: String,
    /// The entry that it had, as it was written.
    pub(super) before: Option<String>,
}

/// What would be written, and what it would be written over.
#[derive(Debug)]
pub struct Plan {
    pub(super) file: PathBuf,
    /// What the file had; `None`: there was none.
    pub(super) old: Option<String>,
    pub(super) merged: Merged,
    /// Others may read a file that is made: a project's is for everybody.
    pub(super) shared: bool,
}

impl Plan {
    /// The program's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The file's whole text, with the entry; it may hold the secrets of other servers.
    pub fn text(&self) -> &str {
        &self.merged.text
    }

    /// Whether the file is not so already.
    pub fn changes(&self) -> bool {
        self.old.as_ref() != Some(&self.merged.text)
    }

    /// Whether the file would be made.
    pub fn is_new(&self) -> bool {
        self.old.is_none()
    }

    /// The entry that stood under this name, as the file had it.
    pub fn before(&self) -> Option<&str> {
        self.merged.before.as_deref()
    }
}

/// Reads the program's file, and puts the server's entry into its text. Nothing is written.
///
/// # Errors
/// Where the file cannot be read, is not what the program could read, or would lose something.
pub fn plan(program: Program, scope: &Scope, server: &Server, file: &Path) -> Result<Plan, InstallError> {
    let words = server.words()?;
    let old = read(program, file)?;
    let merged = merged(program, old.as_deref().unwrap_or_default(), &words, file)?;
    Ok(Plan { file: file.to_owned(), old, merged, shared: matches!(scope, Scope::Project(_)) })
}

/// The entry as a file has it that holds nothing else: for those who put it there by hand.
///
/// # Errors
/// Where the server has a name or words that no file can hold.
pub fn entry(program: Program, server: &Server) -> Result<String, InstallError> {
    Ok(merged(program, "", &server.words()?, Path::new(""))?.text)
}

fn merged(program: Program, text: &str, words: &Words<'_>, file: &Path) -> Result<Merged, InstallError> {
    match program.format() {
        Format::Json { comments, typed } => json::merged(text, program.servers(), words, (comments, typed), file),
        Format::Toml => toml::merged(text, program.servers(), words, file),
    }
}

fn read(program: Program, file: &Path) -> Result<Option<String>, InstallError> {
    let target = write::followed(file)?;
    // Asked before it is opened: a pipe would be waited for.
    match fs::metadata(&target) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(InstallError::NotAFile { file: file.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(InstallError::io("read", file)(error)),
    }
    let bytes = fs::read(&target).map_err(InstallError::io("read", file))?;
    let text = String::from_utf8(bytes).map_err(|error| InstallError::Syntax {
        file: file.to_owned(),
        format: if program.format() == Format::Toml { "TOML" } else { "JSON" },
        position: Position::of(error.as_bytes(), error.utf8_error().valid_up_to()),
        reason: "this is not UTF-8".to_owned(),
    })?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::new("/b/dbmux", ["mcp", "--db", "/d/sales.duckdb"])
    }

    #[test]
    fn a_missing_file_is_planned_for_every_program() {
        let home = tempfile::tempdir().unwrap();
        for program in Program::ALL {
            let file = home.path().join("new");
            let plan = plan(program, &Scope::User, &server(), &file).unwrap();
            assert!(plan.is_new() && plan.changes() && plan.before().is_none(), "{program}");
            assert_eq!(plan.text(), entry(program, &server()).unwrap());
            assert!(!file.exists());
            fs::write(&file, plan.text()).unwrap();
            let again = super::plan(program, &Scope::User, &server(), &file).unwrap();
            assert!(!again.changes() && again.before().is_some(), "{program}");
            fs::remove_file(&file).unwrap();
        }
    }

    #[test]
    fn entries_are_as_their_programs_want_them() {
        let typed = |program| entry(program, &server()).unwrap().contains("\"type\": \"stdio\"");
        assert_eq!(Program::ALL.map(typed), [true, false, true, true, false]);
        let desktop = "{\n  \"mcpServers\": {\n    \"dbmux\": {\n      \"command\": \"/b/dbmux\",\n      \
                       \"args\": [\n        \"mcp\",\n        \
                       \"--db\",\n        \"/d/sales.duckdb\"\n      ]\n    }\n  }\n}\n";
        assert_eq!(entry(Program::ClaudeDesktop, &server()).unwrap(), desktop);
        let codex = "[mcp_servers.dbmux]\ncommand = \"/b/dbmux\"\nargs = [\"mcp\", \"--db\", \"/d/sales.duckdb\"]\n";
        assert_eq!(entry(Program::Codex, &server()).unwrap(), codex);
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let refused = plan(Program::Cursor, &Scope::User, &server(), home.path()).unwrap_err();
        assert!(matches!(refused, InstallError::NotAFile { .. }), "{refused}");
        let file = home.path().join("mcp.json");
        fs::write(&file, b"{\n \"\xff\": 1}").unwrap();
        let refused = plan(Program::Cursor, &Scope::User, &server(), &file).unwrap_err().to_string();
        assert!(refused.ends_with("mcp.json is not JSON, at line 2, column 3: this is not UTF-8"), "{refused}");
    }
}
