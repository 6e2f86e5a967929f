//! The official SDKs as clients of a dbt project's tools, with real dbt on the test project.

use std::process::Command;

use super::official::{node_client, python_client, runs};
use crate::dbt::shop::Shop;

fn uses_a_project(mut client: Command) {
    let shop = Shop::new();
    client.arg(shop.place.binary()).arg(shop.project.root());
    runs(&shop.place, client);
}

#[test]
fn the_python_sdk_uses_a_dbt_project() {
    uses_a_project(python_client("dbt_official.py"));
}

#[test]
fn the_typescript_sdk_uses_a_dbt_project() {
    uses_a_project(node_client("dbt_official.mjs"));
}
