//! The text of JSON files before and after.

use super::*;

fn put_into(text: &str, comments: bool) -> Result<Merged, InstallError> {
    let server = Words { name: "dbmux", command: "/b/dbmux", arguments: vec!["mcp"] };
    merged(text, "mcpServers", &server, (comments, false), Path::new("/h/mcp.json"))
}

fn strict(text: &str) -> String {
    put_into(text, false).unwrap().text
}

fn with_comments(text: &str) -> String {
    put_into(text, true).unwrap().text
}

#[test]
fn other_servers_and_the_order_of_keys_stay() {
    let old = "{\n  \"zoom\": 1.50,\n  \"mcpServers\": {\n    \"z\": { \"command\": \"z\" },\n    \"a\": {\n      \
               \"command\": \"a\"\n    }\n  },\n  \"alpha\": \"\\u00fc\"\n}";
    let entry = "\"dbmux\": {\n      \"command\": \"/b/dbmux\",\n      \"args\": [\n        \"mcp\"\n      ]\n    }";
    let inner = "\"command\": \"a\"\n    }";
    assert_eq!(strict(old), old.replace(inner, &format!("{inner},\n    {entry}")));
}

#[test]
fn the_servers_are_added_where_there_are_none() {
    let entry = |unit: &str| {
        let lines = ["\"mcpServers\": {", " \"dbmux\": {", "  \"command\": \"/b/dbmux\",", "  \"args\": ["];
        let lines = lines.iter().chain(&["   \"mcp\"", "  ]", " }", "}"]).map(|line| {
            let text = line.trim_start();
            format!("{}{text}", unit.repeat(1 + line.len() - text.len()))
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let two = entry("  ");
    assert_eq!(strict("{}\n"), format!("{{\n{two}\n}}\n"));
    assert_eq!(strict(" \n"), format!("{{\n{two}\n}}\n"));
    assert_eq!(strict("{\n  \"a\": 1\n}\n"), format!("{{\n  \"a\": 1,\n{two}\n}}\n"));
    assert_eq!(strict("{\n\t\"a\": 1\n}"), format!("{{\n\t\"a\": 1,\n{}\n}}", entry("\t")));
    assert_eq!(strict("{\n    \"mcpServers\": {}\n}"), format!("{{\n{}\n}}", entry("    ")));
    let returns = strict("{\r\n  \"a\": 1\r\n}\r\n");
    assert_eq!(returns, format!("{{\n  \"a\": 1,\n{two}\n}}\n").replace('\n', "\r\n"));
    let line = r#""mcpServers":{"dbmux":{"command":"/b/dbmux","args":["mcp"]}}"#;
    assert_eq!(strict(r#"{"a":{"b":[1]}}"#), format!(r#"{{"a":{{"b":[1]}},{line}}}"#));
    assert_eq!(strict(r#"{"mcpServers":{}}"#), format!("{{{line}}}"));
}

#[test]
fn what_the_user_added_to_the_entry_stays() {
    let before = r#"{"env": {"K": "v"}, "args": ["old"], "disabled": true, "command": "old"}"#;
    let merged = put_into(&format!("{{\"mcpServers\": {{\n  \"dbmux\": {before}\n}}}}"), false).unwrap();
    assert_eq!(merged.before.as_deref(), Some(before));
    let new: Value = serde_json::from_str(&merged.text).unwrap();
    let entry = serde_json::json!({ "env": {"K": "v"}, "args": ["mcp"], "disabled": true, "command": "/b/dbmux" });
    assert_eq!(new["mcpServers"]["dbmux"], entry);
    assert!(merged.text.starts_with("{\"mcpServers\": {\n  \"dbmux\": {\"env\": {\"K\": \"v\"}, \"args\": ["));
}

#[test]
fn an_entry_that_says_the_same_is_left_as_it_is() {
    let old = r#"{"mcpServers": {"dbmux": {"args":["mcp"]  , "type": "stdio", "command": "\/b/dbmux"}}}"#;
    assert_eq!(strict(old), old);
}

#[test]
fn a_server_with_an_address_is_replaced_as_a_whole() {
    for entry in [r#"{"url": "http://x", "headers": {}}"#, r#"{"type": "http", "env": {}}"#, "null", "[]"] {
        let merged = put_into(&format!("{{\"mcpServers\": {{\"dbmux\": {entry}}}, \"a\": 1}}"), false).unwrap();
        let new: Value = serde_json::from_str(&merged.text).unwrap();
        let ours = serde_json::json!({ "command": "/b/dbmux", "args": ["mcp"] });
        assert_eq!(new, serde_json::json!({ "mcpServers": { "dbmux": ours }, "a": 1 }));
        assert_eq!(merged.before.as_deref(), Some(entry));
    }
}

#[test]
fn comments_stay_and_so_do_commas() {
    let old = "// mine\n{\n  \"mcpServers\": { // all\n    \"a\": { \"command\": \"a\" }, // first {\n    \
               /* \"b\": 1, */\n  },\n}\n// end";
    let new = with_comments(old);
    let entry =
        "\n    \"dbmux\": {\n      \"command\": \"/b/dbmux\",\n      \"args\": [\n        \"mcp\"\n      ]\n    }";
    assert_eq!(new, old.replace("/* \"b\": 1, */", &format!("/* \"b\": 1, */{entry}")));
    assert_eq!(with_comments(&new), new);
    let last = with_comments("{\n  \"a\": 1 // one\n}");
    assert!(last.starts_with("{\n  \"a\": 1, // one\n  \"mcpServers\": {\n    \"dbmux\""), "{last}");
    let empty = with_comments("{\n  \"mcpServers\": {\n    // none yet\n  }\n}");
    assert!(empty.starts_with("{\n  \"mcpServers\": {\n    // none yet\n    \"dbmux\": {\n"), "{empty}");
    assert!(empty.ends_with("\n    }\n  }\n}"), "{empty}");
    let alone = with_comments("// nothing yet\n");
    assert!(alone.starts_with("// nothing yet\n{\n  \"mcpServers\"") && alone.ends_with("}\n"), "{alone}");
    let line = with_comments("{\"a\": 1 /* one */}");
    assert!(line.starts_with("{\"a\": 1, /* one */\"mcpServers\":{"), "{line}");
}

#[test]
fn the_last_of_two_keys_is_the_one_that_counts() {
    let new = strict(r#"{"mcpServers": {"a": 1}, "mcp\u0053ervers": {"b": 1}}"#);
    assert!(new.starts_with(r#"{"mcpServers": {"a": 1}, "mcp\u0053ervers": {"b": 1,"dbmux":{"#), "{new}");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases = [
        ("{\n  \"a\": 1,\n}", 3, 1),
        ("{\n  // no\n}", 2, 3),
        ("{\"a\" 1}", 1, 6),
        ("{} {}", 1, 4),
        ("<<<<<<< HEAD\n{}", 1, 1),
    ];
    for (text, line, column) in cases {
        let refused = put_into(text, false).unwrap_err();
        let InstallError::Syntax { position, format: "JSON", .. } = &refused else { panic!("{refused}") };
        assert_eq!((position.line, position.column), (line, column), "{text}: {refused}");
        assert_eq!(refused.to_string().matches("line").count(), 1, "{refused}");
    }
    for text in ["{\n /* open", "{,}", "{\"a\": 1,, }"] {
        put_into(text, true).unwrap_err();
    }
}

#[test]
fn servers_that_are_something_else_are_refused() {
    for (text, expected) in [("[]", ""), ("1", ""), (r#"{"mcpServers": []}"#, "mcpServers")] {
        let refused = put_into(text, false).unwrap_err();
        assert!(matches!(&refused, InstallError::Shape { key, .. } if key == expected), "{text}: {refused}");
    }
}
