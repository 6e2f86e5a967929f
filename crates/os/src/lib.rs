//! Processes, holders of a file, byte-range locks, local sockets: what dbmux asks of the kernel.
