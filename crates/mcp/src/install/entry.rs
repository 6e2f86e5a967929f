//! The server, and how JSON says it.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use serde_json::Value;

use super::InstallError;

/// A server that a program is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What the program calls it.
    pub name: String,
    /// What is run: an absolute path, as programs with windows do not have the shell's `PATH`.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Server {
    /// One that is called `dbmux`.
    pub fn new(command: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { name: "dbmux".to_owned(), command: command.into(), arguments }
    }

    /// As text, where each program takes it.
    pub(super) fn words(&self) -> Result<Words<'_>, InstallError> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(InstallError::Name { name: self.name.clone() });
        }
        let arguments: Result<_, _> = self.arguments.iter().map(|argument| unicode(argument)).collect();
        Ok(Words { name: &self.name, command: unicode(self.command.as_os_str())?, arguments: arguments? })
    }
}

fn unicode(word: &OsStr) -> Result<&str, InstallError> {
    word.to_str().ok_or_else(|| InstallError::NotUnicode { word: word.to_string_lossy().into_owned() })
}

/// A server's words, which are UTF-8.
#[derive(Debug)]
pub(super) struct Words<'server> {
    pub(super) name: &'server str,
    pub(super) command: &'server str,
    pub(super) arguments: Vec<&'server str>,
}

/// JSON whose keys stay in their order, whatever serde_json's features are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Text(String),
    List(Vec<String>),
    Object(Vec<(String, Json)>),
}

/// How a file is laid out.
#[derive(Debug)]
pub(super) struct Style {
    pub(super) unit: String,
    pub(super) newline: &'static str,
}

impl Json {
    /// An entry.
    pub(super) fn of(server: &Words<'_>, typed: bool) -> Vec<(String, Self)> {
        let arguments = server.arguments.iter().map(|&argument| argument.to_owned()).collect();
        let of_type = typed.then(|| ("type".to_owned(), Self::Text("stdio".to_owned())));
        let command = ("command".to_owned(), Self::Text(server.command.to_owned()));
        of_type.into_iter().chain([command, ("args".to_owned(), Self::List(arguments))]).collect()
    }

    /// Over several lines, of which the first is at `indent`; without a style in one.
    pub(super) fn text(&self, style: Option<&Style>, indent: &str) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let deeper = style.map(|style| format!("{indent}{}", style.unit)).unwrap_or_default();
        let (open, items, close) = match self {
            Self::Text(text) => return quoted(text),
            Self::List(texts) => ('[', texts.iter().map(|text| quoted(text)).collect::<Vec<_>>(), ']'),
            Self::Object(members) => {
                let colon = if style.is_some() { ": " } else { ":" };
                let member = |(key, value): &(String, Self)| quoted(key) + colon + &value.text(style, &deeper);
                ('{', members.iter().map(member).collect(), '}')
            }
        };
        match style {
            Some(Style { newline, .. }) if !items.is_empty() => {
                let items = items.join(&format!(",{newline}{deeper}"));
                format!("{open}{newline}{deeper}{items}{newline}{indent}{close}")
            }
            _ => format!("{open}{}{close}", items.join(",")),
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Text(text) => Self::from(text.as_str()),
            Json::List(texts) => Self::from(texts.as_slice()),
            Json::Object(members) => {
                Self::Object(members.iter().map(|(key, value)| (key.clone(), value.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_its_file() {
        let server = Server::new("/b/dbmux", ["mcp", "a \"b\""]);
        let entry = Json::Object(Json::of(&server.words().unwrap(), true));
        let style = Style { unit: "\t".to_owned(), newline: "\n" };
        let args = "\"args\": [\n\t\t\t\"mcp\",\n\t\t\t\"a \\\"b\\\"\"\n\t\t]";
        let lines = format!("{{\n\t\t\"type\": \"stdio\",\n\t\t\"command\": \"/b/dbmux\",\n\t\t{args}\n\t}}");
        assert_eq!(entry.text(Some(&style), "\t"), lines);
        let line = r#"{"type":"stdio","command":"/b/dbmux","args":["mcp","a \"b\""]}"#;
        assert_eq!(entry.text(None, ""), line);
        assert_eq!(Value::from(&entry), serde_json::from_str::<Value>(&lines).unwrap());
        assert_eq!(Json::List(Vec::new()).text(Some(&style), ""), "[]");
    }

    #[test]
    fn words_that_no_file_can_hold_are_refused() {
        let bytes = OsString::from_vec(b"caf\xe9.db".to_vec());
        let refused = Server::new("/b/dbmux", [bytes]).words().unwrap_err();
        assert!(matches!(refused, InstallError::NotUnicode { .. }), "{refused}");
        for name in ["", "a b", "a.b", "ü"] {
            let server = Server { name: name.to_owned(), ..Server::new("/b/dbmux", ["mcp"]) };
            assert!(matches!(server.words(), Err(InstallError::Name { .. })), "{name}");
        }
    }
}
