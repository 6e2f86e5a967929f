//! The single owner of a database file.
