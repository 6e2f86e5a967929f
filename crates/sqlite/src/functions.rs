//! SQL functions of our own, which every connection has.

mod codes;

use rusqlite::{
    Connection, Result,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};

/// Makes them known to a connection.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("bits_apart", 2, pure, |values| Ok(bits_apart(values)))?;
    connection.create_scalar_function("codes_with", 3, pure, codes::with)?;
    connection.create_aggregate_function("nearest_codes", 4, pure, codes::Nearest)
}

/// `bits_apart(a, b)`: in how many bits two BLOBs differ (Hamming's distance), where those that only one of them has count as
/// different; NULL where they are anything else. sqlite-vec's `vec_distance_hamming` tells the same of `vec_bit` of each, and
/// copies both for it.
fn bits_apart(values: &Context<'_>) -> Option<i64> {
    let (ValueRef::Blob(one), ValueRef::Blob(other)) = (values.get_raw(0), values.get_raw(1)) else { return None };
    Some(distance(one, other))
}

fn distance(one: &[u8], other: &[u8]) -> i64 {
    let common = one.len().min(other.len());
    let beyond = 8 * (one.len().max(other.len()) - common);
    // A BLOB of SQLite's has less than 2^31 bytes.
    i64::try_from(beyond).unwrap_or(i64::MAX) + i64::from(differences(&one[..common], &other[..common]))
}

fn differences(one: &[u8], other: &[u8]) -> u32 {
    let (ones, rest) = one.as_chunks::<8>();
    let (others, others_rest) = other.as_chunks::<8>();
    let words = ones.iter().zip(others).map(|(a, b)| (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones());
    let bytes = rest.iter().zip(others_rest).map(|(a, b)| (a ^ b).count_ones());
    words.chain(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(sql: &str) -> Option<i64> {
        let connection = Connection::open_in_memory().expect("a connection");
        register(&connection).expect("its functions");
        connection.query_row(sql, [], |row| row.get(0)).expect("an answer")
    }

    #[test]
    fn bits_are_counted_in_blobs() {
        assert_eq!(answer("SELECT bits_apart(x'', x'')"), Some(0));
        assert_eq!(answer("SELECT bits_apart(x'00ff', x'01fe')"), Some(2));
        assert_eq!(answer("SELECT bits_apart(zeroblob(11), x'ffffffffffffffff0000ff')"), Some(72));
        assert_eq!(answer("SELECT bits_apart(x'01', x'0000ff')"), Some(17));
        assert_eq!(answer("SELECT bits_apart(x'01', x'')"), Some(8));
        for other in ["'ab'", "7", "NULL"] {
            assert_eq!(answer(&format!("SELECT bits_apart(x'0000', {other})")), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn each_bit_counts_once(pairs: Vec<(u8, u8)>) {
            let (one, other): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let expected: u32 = pairs.iter().map(|(a, b)| (a ^ b).count_ones()).sum();
            proptest::prop_assert_eq!(differences(&one, &other), expected);
        }
    }
}
