//! A fair, crash-safe lock between processes: readers and writers, priorities, deadlines, fencing tokens.
