//! Where each program has its file.

use std::path::{Path, PathBuf};

use super::{InstallError, Program};

/// Systems that keep programs' files in places of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// `~/.config`, or wherever `XDG_CONFIG_HOME` says.
    Linux,
    /// `~/Library/Application Support`.
    MacOs,
}

/// For whom the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// For this user, everywhere.
    User,
    /// For everybody who works on the project in this directory.
    Project(PathBuf),
}

/// What the places of programs' files depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The user's directory.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`; `None`: `~/.config`.
    pub config_home: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`, which Claude Code goes by.
    pub claude: Option<PathBuf>,
    /// `CODEX_HOME`; `None`: `~/.codex`.
    pub codex: Option<PathBuf>,
    /// The system.
    pub platform: Platform,
}

impl Places {
    /// The program's file, whether or not it is there.
    ///
    /// # Errors
    /// [`InstallError::NoProject`] where the program has none for a project.
    pub fn file(&self, program: Program, scope: &Scope) -> Result<PathBuf, InstallError> {
        match scope {
            Scope::User => Ok(self.of_user(program)),
            Scope::Project(directory) => match in_project(program) {
                Some(file) => Ok(directory.join(file)),
                None => Err(InstallError::NoProject { program }),
            },
        }
    }

    fn of_user(&self, program: Program) -> PathBuf {
        match program {
            Program::ClaudeCode => self.claude_code(),
            Program::ClaudeDesktop => self.of_applications().join("Claude/claude_desktop_config.json"),
            Program::Cursor => self.home.join(".cursor/mcp.json"),
            Program::VsCode => self.of_applications().join("Code/User/mcp.json"),
            Program::Codex => self.codex.clone().unwrap_or_else(|| self.home.join(".codex")).join("config.toml"),
        }
    }

    /// Beside `~/.claude`, but inside of what `CLAUDE_CONFIG_DIR` names; before both, where old versions had it.
    fn claude_code(&self) -> PathBuf {
        let old = self.claude.clone().unwrap_or_else(|| self.home.join(".claude")).join(".config.json");
        let now = || self.claude.as_deref().unwrap_or(&self.home).join(".claude.json");
        if old.exists() { old } else { now() }
    }

    fn of_applications(&self) -> PathBuf {
        match self.platform {
            Platform::Linux => self.config_home.clone().unwrap_or_else(|| self.home.join(".config")),
            Platform::MacOs => self.home.join("Library/Application Support"),
        }
    }
}

fn in_project(program: Program) -> Option<&'static Path> {
    let file = match program {
        Program::ClaudeCode => ".mcp.json",
        Program::ClaudeDesktop => return None,
        Program::Cursor => ".cursor/mcp.json",
        Program::VsCode => ".vscode/mcp.json",
        Program::Codex => ".codex/config.toml",
    };
    Some(Path::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(home: &Path, platform: Platform) -> Places {
        Places { home: home.to_owned(), config_home: None, claude: None, codex: None, platform }
    }

    fn of_user(places: &Places, program: Program) -> String {
        places.file(program, &Scope::User).unwrap().display().to_string()
    }

    #[test]
    fn each_program_has_its_place() {
        let (linux, mac) = (places("/h".as_ref(), Platform::Linux), places("/h".as_ref(), Platform::MacOs));
        let on = |places: &Places| Program::ALL.map(|program| of_user(places, program));
        let apps = ["/h/.config", "/h/Library/Application Support"];
        for (places, apps) in [linux, mac].iter().zip(apps) {
            let desktop = format!("{apps}/Claude/claude_desktop_config.json");
            let code = format!("{apps}/Code/User/mcp.json");
            let expected = ["/h/.claude.json", &desktop, "/h/.cursor/mcp.json", &code, "/h/.codex/config.toml"];
            assert_eq!(on(places), expected.map(str::to_owned));
        }
    }

    #[test]
    fn variables_move_them() {
        let mut places = places("/h".as_ref(), Platform::Linux);
        places.config_home = Some("/x".into());
        places.claude = Some("/c".into());
        places.codex = Some("/o".into());
        assert_eq!(of_user(&places, Program::VsCode), "/x/Code/User/mcp.json");
        assert_eq!(of_user(&places, Program::ClaudeCode), "/c/.claude.json");
        assert_eq!(of_user(&places, Program::Codex), "/o/config.toml");
        places.platform = Platform::MacOs;
        assert_eq!(of_user(&places, Program::VsCode), "/h/Library/Application Support/Code/User/mcp.json");
    }

    #[test]
    fn an_old_claude_code_keeps_its_file() {
        let home = tempfile::tempdir().unwrap();
        let places = places(home.path(), Platform::Linux);
        std::fs::create_dir(home.path().join(".claude")).unwrap();
        assert!(of_user(&places, Program::ClaudeCode).ends_with("/.claude.json"));
        std::fs::write(home.path().join(".claude/.config.json"), "{}").unwrap();
        assert!(of_user(&places, Program::ClaudeCode).ends_with("/.claude/.config.json"));
    }

    #[test]
    fn projects_have_theirs_but_in_claude_desktop() {
        let places = places("/h".as_ref(), Platform::Linux);
        let scope = Scope::Project("/p".into());
        assert_eq!(places.file(Program::ClaudeCode, &scope).unwrap(), Path::new("/p/.mcp.json"));
        assert_eq!(places.file(Program::Codex, &scope).unwrap(), Path::new("/p/.codex/config.toml"));
        let refused = places.file(Program::ClaudeDesktop, &scope).unwrap_err();
        assert!(matches!(refused, InstallError::NoProject { .. }), "{refused}");
    }
}
