//! The programs that an entry can be written for.

use std::{fmt, str::FromStr};

use super::InstallError;

/// A program that starts MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Claude Code.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// VS Code.
    VsCode,
    /// Codex: its command line, its extension and its app share a file.
    Codex,
}

/// How a program's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json {
        /// The program reads comments and commas before a closing bracket too.
        comments: bool,
        /// The program wants `"type": "stdio"`.
        typed: bool,
    },
    Toml,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ClaudeCode, Self::ClaudeDesktop, Self::Cursor, Self::VsCode, Self::Codex];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Codex => "codex",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Codex => "Codex",
        }
    }

    /// What its user does for the entry to count, as a sentence's end.
    pub const fn afterwards(self) -> &'static str {
        match self {
            Self::ClaudeCode => "start Claude Code anew; `/mcp` shows the server",
            Self::ClaudeDesktop => "quit Claude Desktop and start it again",
            Self::Cursor => "switch the server on in Cursor's settings, under MCP",
            Self::VsCode => "run `MCP: List Servers` in VS Code, and start the server",
            Self::Codex => "start Codex anew; `/mcp` shows the server",
        }
    }

    /// The key that the servers are under.
    pub(super) const fn servers(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor => "mcpServers",
            Self::VsCode => "servers",
            Self::Codex => "mcp_servers",
        }
    }

    pub(super) const fn format(self) -> Format {
        match self {
            Self::ClaudeCode => Format::Json { comments: false, typed: true },
            Self::ClaudeDesktop => Format::Json { comments: false, typed: false },
            Self::Cursor | Self::VsCode => Format::Json { comments: true, typed: true },
            Self::Codex => Format::Toml,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Program {
    type Err = InstallError;

    fn from_str(name: &str) -> Result<Self, InstallError> {
        let named = Self::ALL.into_iter().find(|program| program.name() == name);
        named.ok_or_else(|| InstallError::Program { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for program in Program::ALL {
            assert_eq!(program.to_string().parse::<Program>().unwrap(), program);
        }
        let refused = "emacs".parse::<Program>().unwrap_err().to_string();
        assert!(refused.contains("`emacs`") && refused.contains("claude-desktop"), "{refused}");
    }
}
