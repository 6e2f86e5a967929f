//! The text of Codex's file before and after.

use super::*;

const ENTRY: &str = "[mcp_servers.dbmux]\ncommand = \"/b/dbmux\"\nargs = [\"mcp\"]\n";

fn put_into(text: &str) -> Result<Merged, InstallError> {
    let server = Words { name: "dbmux", command: "/b/dbmux", arguments: vec!["mcp"] };
    merged(text, "mcp_servers", &server, Path::new("/h/.codex/config.toml"))
}

#[test]
fn comments_order_and_other_servers_stay() {
    let old = "# mine\nmodel = \"o\"   # the best\n\n\
               [mcp_servers.b] # b\ncommand = 'b'\n\n[mcp_servers.b.env]\nK = \"v\"\n\n\
               [projects.\"/p\"]\ntrust_level = \"trusted\"\n\n[mcp_servers.a]\nurl = \"http://a\"\n";
    let merged = put_into(old).unwrap();
    assert_eq!(merged.text, format!("{old}\n{ENTRY}"));
    assert_eq!(merged.before, None);
    let again = put_into(&merged.text).unwrap();
    assert_eq!((again.text, again.before.as_deref()), (merged.text, Some(ENTRY)));
}

#[test]
fn an_empty_file_gets_the_entry_alone() {
    assert_eq!(put_into("").unwrap().text, ENTRY);
    assert!(put_into("model = \"o\"\n").unwrap().text.ends_with(&format!("\"o\"\n\n{ENTRY}")));
}

#[test]
fn what_the_user_added_to_the_entry_stays() {
    let old = "[mcp_servers.dbmux]\n# ours\nenabled = false\ncommand = \"old\" # path\nargs = [\n  \"mcp\", # it\n]\n\n\
               [mcp_servers.dbmux.env]\nK = \"v\"\n";
    let merged = put_into(old).unwrap();
    assert_eq!(merged.text, old.replace("\"old\"", "\"/b/dbmux\""));
    assert!(merged.before.unwrap().contains("command = \"old\""));
}

#[test]
fn a_server_with_an_address_is_replaced() {
    let old = "[mcp_servers.dbmux]\nurl = \"http://x\"\n\n[tui]\ntheme = \"x\"\n";
    let merged = put_into(old).unwrap();
    assert!(!merged.text.contains("http"), "{}", merged.text);
    assert!(merged.text.contains(ENTRY) && merged.text.contains("[tui]\ntheme = \"x\"\n"), "{}", merged.text);
    assert_eq!(merged.before.as_deref(), Some("[mcp_servers.dbmux]\nurl = \"http://x\"\n"));
}

#[test]
fn tables_may_be_written_in_other_ways() {
    let others = [
        "mcp_servers = { a = { command = \"a\" } }\n",
        "mcp_servers.a.command = \"a\"\n",
        "[mcp_servers]\na = { command = \"a\" }\n",
        "[mcp_servers]\n\n[other]\nx = 1\n",
        "mcp_servers = { dbmux = { command = \"old\", env = { K = \"v\" } } }\n",
    ];
    for old in others {
        let new = put_into(old).unwrap().text;
        let document: DocumentMut = new.parse().unwrap();
        assert_eq!(document["mcp_servers"]["dbmux"]["command"].as_str(), Some("/b/dbmux"), "{new}");
        assert_eq!(document["mcp_servers"]["dbmux"]["args"][0].as_str(), Some("mcp"), "{new}");
        for kept in ["\"a\"", "x = 1", "K = \"v\""] {
            assert_eq!(new.contains(kept), old.contains(kept), "{new}");
        }
        assert_eq!(put_into(&new).unwrap().text, new);
    }
}

#[test]
fn lines_end_as_they_did() {
    let new = put_into("model = \"o\"\r\n\r\n[tui]\r\ntheme = \"x\"\r\n").unwrap().text;
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count(), "{new:?}");
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    let refused = put_into("model = \"o\"\n[mcp_servers\n").unwrap_err();
    let InstallError::Syntax { position, format: "TOML", .. } = &refused else { panic!("{refused}") };
    assert_eq!(position.line, 2, "{refused}");
    for text in ["mcp_servers = 1\n", "[[mcp_servers]]\na = 1\n"] {
        let refused = put_into(text).unwrap_err();
        assert!(matches!(refused, InstallError::Shape { .. }), "{refused}");
    }
}
