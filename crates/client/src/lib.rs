//! Finds or starts the broker of a database file, and talks to it.
