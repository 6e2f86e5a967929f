//! Who has the file, for a program.

use std::path::Path;

use dbmux_client::HolderKind;
use dbmux_lock::Snapshot;
use dbmux_os::holders::Layout;
use serde_json::{Value, json};

use super::{WhoHas, advice, is_lease, kind};
use crate::{parts, status};

/// For a program.
pub fn for_program(report: &WhoHas, database: &Path) -> Value {
    let holders = report.holders.iter().map(|(holder, layout)| {
        let mut value = parts::holder(holder);
        value["engine"] = json!(match layout {
            Layout::DuckDb => Some("duckdb"),
            Layout::Sqlite => Some("sqlite"),
            Layout::Other => None,
        });
        value["what"] = json!(kind(holder, *layout));
        value["advice"] = json!(advice(holder));
        value
    });
    let lock = |lock: &Option<Snapshot>| {
        lock.as_ref()
            .map(|lock| json!({ "holders": parts::tickets(&lock.holders), "waiting": parts::tickets(&lock.waiters) }))
    };
    let mut file_lock = json!(lock(&report.file));
    let holders_of_file = report.file.iter().flat_map(|file| &file.holders).enumerate();
    for (index, _) in holders_of_file.filter(|(_, ticket)| is_lease(report, ticket)) {
        file_lock["holders"][index]["kind"] = json!(parts::holder_kind(HolderKind::Lease));
    }
    json!({
        "database": database,
        "exists": report.exists,
        "holders": holders.collect::<Vec<_>>(),
        "owner_lock": lock(&report.owner),
        "file_lock": file_lock,
        "broker": report.broker.as_ref().map(status::for_program),
    })
}
