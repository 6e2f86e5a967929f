//! What went wrong around dbt, as a failed command.

use dbmux_dbt::{DbtError, WaitsFor};

use crate::{exit::Exit, failure::Failure};

impl From<DbtError> for Failure {
    fn from(error: DbtError) -> Self {
        let (message, suggestion) = (error.to_string(), error.suggestion());
        let holder = error.holder().map(Box::new);
        let plain = Self::system(message).with_hint(suggestion);
        match error {
            DbtError::Client(error) => error.into(),
            DbtError::Lock(error) => error.into(),
            DbtError::Os(error) => error.into(),
            DbtError::Busy { waiting, waited } => Self {
                code: if matches!(waiting.what, WaitsFor::Database(_)) { "DATABASE_LOCKED" } else { "DBT_RUNNING" },
                holder,
                waited_s: Some(waited.as_secs_f64()),
                ahead: waiting.ahead,
                ..plain.with_exit(Exit::TryAgain)
            },
            DbtError::StillRunning { waited, .. } => Self {
                code: "DBT_RUNNING",
                holder,
                waited_s: Some(waited.as_secs_f64()),
                ..plain.with_exit(Exit::TryAgain)
            },
            DbtError::Cancelled => Self::quiet(Exit::Interrupted),
            DbtError::NoProject { .. }
            | DbtError::File { .. }
            | DbtError::Yaml { .. }
            | DbtError::Profile { .. }
            | DbtError::NoResource { .. }
            | DbtError::NoColumn { .. } => Self { code: "INVALID_ARGUMENT", ..plain.with_exit(Exit::Usage) },
            DbtError::NoDbt { .. } => Self { code: "NO_DBT", ..plain.with_exit(Exit::NoBroker) },
            DbtError::Runner { .. } => Self { code: "RUNNER_UNAVAILABLE", ..plain.with_exit(Exit::NoBroker) },
            DbtError::OutcomeUnknown { .. } | DbtError::Lost { .. } => {
                Self { code: "OUTCOME_UNKNOWN", ..plain.with_exit(Exit::OutcomeUnknown) }
            }
            DbtError::Refused { code, .. } => {
                let (code, exit) = match code.as_str() {
                    "DATABASE_LOCKED" => ("DATABASE_LOCKED", Exit::TryAgain),
                    "DBT_RUNNING" => ("DBT_RUNNING", Exit::TryAgain),
                    "QUEUE_FULL" => ("QUEUE_FULL", Exit::TryAgain),
                    "DEADLINE_EXCEEDED" => ("DEADLINE_EXCEEDED", Exit::TryAgain),
                    "OUTCOME_UNKNOWN" => ("OUTCOME_UNKNOWN", Exit::OutcomeUnknown),
                    "INVALID_ARGUMENT" => ("INVALID_ARGUMENT", Exit::Usage),
                    "NO_DBT" => ("NO_DBT", Exit::NoBroker),
                    "RUNNER_UNAVAILABLE" => ("RUNNER_UNAVAILABLE", Exit::NoBroker),
                    _ => ("DBT", Exit::Failed),
                };
                Self { code, ..plain.with_exit(exit) }
            }
            DbtError::Bridge { .. } | DbtError::Dbt { .. } => Self { code: "DBT", ..plain },
        }
    }
}
