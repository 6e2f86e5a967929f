//! Results on standard output.

use std::io::Write;

use crate::failure::Failure;

/// Writes a line.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}
