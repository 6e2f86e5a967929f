//! Starts dbmux's processes, kills them at chosen points, checks their histories.
