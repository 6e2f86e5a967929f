//! Session options, and the end of a session at its client's wish.

use arrow_flight::Action;
use bytes::Bytes;
use prost::Message;

use crate::{sql::Client, support::Served};

/// A map from a text to a message with a text in it: what the requests look like.
#[derive(Clone, PartialEq, prost::Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: std::collections::HashMap<String, Text>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: std::collections::HashMap<String, Number>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(int32, tag = "1")]
    number: i32,
}

async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Bytes {
    let action = Action { r#type: name.to_owned(), body: body.into() };
    client.do_action(action).await.unwrap().message().await.unwrap().unwrap().body
}

#[tokio::test]
async fn options_become_statements() {
    let served = Served::start();
    let mut client = served.standard().await;
    let options = [("schema", "mar\"ts"), ("catalog", "sales"), ("TimeZone", "it's"), ("no; DROP", "x")];
    let options = options.map(|(name, text)| (name.to_owned(), Text { text: text.to_owned() })).into();
    let result = act(&mut client, "SetSessionOptions", Options { options }.encode_to_vec()).await;
    let errors = Errors::decode(result).unwrap().errors;
    assert_eq!(errors.len(), 1);
    assert_eq!(errors["no; DROP"].number, 1, "an invalid name");
    let expected = ["SET SESSION TimeZone = 'it''s'", "USE \"sales\"", "USE \"mar\"\"ts\""];
    assert_eq!(served.service.ran(), expected);
    let told = Options::decode(act(&mut client, "GetSessionOptions", vec![]).await).unwrap();
    assert_eq!(told.options.len(), 2);
    assert_eq!(told.options["catalog"].text, "sales");
}

#[tokio::test]
async fn a_client_ends_its_session() {
    let served = Served::start();
    let mut client = served.standard().await;
    client.execute("SELECT 42".to_owned(), None).await.unwrap();
    act(&mut client, "CloseSession", vec![]).await;
    assert_eq!(served.service.open_sessions(), 0);
    client.execute("SELECT 42".to_owned(), None).await.unwrap();
    assert_eq!(served.service.open_sessions(), 1, "a new one");
    let actions = client.inner_mut().list_actions(arrow_flight::Empty {}).await.unwrap().into_inner();
    let actions: Vec<_> = futures::TryStreamExt::try_collect(actions).await.unwrap();
    assert!(actions.iter().any(|action| action.r#type == "BeginTransaction"), "{actions:?}");
}
