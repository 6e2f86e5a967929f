//! Plans: files of dbt steps that are merged, run side by side, or in order, as what they need allows.

mod cancel;
mod file;
mod resume;
mod run;
mod scenario;
mod scenarios;
mod schedule;
mod steps;
mod turns;

pub use cancel::PlanCancel;
pub use file::{PlanFile, ScenarioFile, StepFile};
pub use run::{Listener, PlanEvent, PlanOptions, StepReport, run};
pub use scenarios::{Scenario, scenarios};
pub use schedule::{Fate, Schedule};
pub use steps::{Step, steps};
