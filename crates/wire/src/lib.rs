//! Wire protocols in front of a dbmux broker.
