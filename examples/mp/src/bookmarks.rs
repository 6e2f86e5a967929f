//! `mp inspect bookmarks`: a long remote call, and nothing else.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::{args::Common, failure::Failure, remote, report};

/// Asks the remote service, with a spinner meanwhile.
pub(crate) async fn run(common: &Common) -> Result<(), Failure> {
    let spinner = ProgressBar::new_spinner().with_message("asking for the saved reports …");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let bookmarks = remote::bookmarks(common.time()).await;
    spinner.finish_and_clear();
    report::objects(&bookmarks, common.json)
}
