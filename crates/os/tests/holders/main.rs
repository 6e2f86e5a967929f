//! Who holds a file, with real foreign holders: SQLite and DuckDB in Python, every kind of lock that the kernel has, and
//! processes on the other side of a PID namespace.
#![cfg(target_os = "linux")]

mod engines;
mod foreign;
mod kinds;
mod namespaces;
