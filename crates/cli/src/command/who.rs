//! `dbmux who`: who has the file, who waits for it, and what to do. Starts nothing, and never opens the file.

use std::{io::Write, path::Path};

use dbmux_report::who;

use crate::{exit::Exit, failure::Failure, render};

/// Shows them.
pub(crate) fn run(named: &Path, json: bool) -> Result<Exit, Failure> {
    let client = super::onlooker(named)?;
    let found = super::block_on(async { Ok(who::look(&client).await?) })?;
    if let Some(error) = &found.unasked {
        render::note(&format!("note: no broker was asked: {error}: {}", error.suggestion()));
    }
    let mut out = render::report_output();
    if json {
        writeln!(out, "{}", who::for_program(&found, client.database()))?;
    } else {
        write!(out, "{}", who::for_person(&found, named))?;
    }
    Ok(Exit::Done)
}
