//! What is the same but for its numbers.

/// A text whose numbers are all `…`.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut alike = String::with_capacity(text.len());
    let mut digits = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            alike.push(c);
        } else if !digits {
            alike.push('…');
        }
        digits = c.is_ascii_digit();
    }
    alike
}
