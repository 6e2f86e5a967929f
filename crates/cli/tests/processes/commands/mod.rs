//! What a person or a script meets: each command's arguments, output, errors and exit codes.

mod completions;
mod demo;
mod lock;
mod log;
mod network;
mod nonsense;
mod output;
mod position;
mod probe;
mod readme;
mod reports;
mod screen;
mod shim;
mod signals;
mod silent;
mod terminal;
mod unfinished;
