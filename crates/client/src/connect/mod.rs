//! The one safe way to find or start a broker: connect, lock, connect *again*, start. One deadline over it all.

mod deadline;
mod link;
mod silence;
mod spawn;
mod target;

pub(crate) use self::{
    deadline::{Deadline, millis},
    link::{Link, NoLink, Trouble, trouble},
    silence::{OWN_ANSWER, Silence, work},
    target::{Target, canonical, place, usual_runtime_directory},
};
