//! A warm dbt, with real dbt.

mod cancel;
mod invoke;
mod lost;
mod output;
mod profile;
mod restart;
mod support;
