//! Plans: files of dbt steps that are merged, run side by side, or in order, as what they need allows.

mod file;
mod resume;
mod run;
mod schedule;
mod steps;

pub use file::{PlanFile, ScenarioFile, StepFile};
pub use run::{Listener, PlanCancel, PlanEvent, PlanOptions, Scenario, StepReport, run, scenarios};
pub use schedule::{Fate, Schedule};
pub use steps::{Step, steps};
