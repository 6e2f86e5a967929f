//! Codes of vectors that are kept together, a few in a BLOB: a statement that compares a query with all of them has fewer rows
//! to step through.
//!
//! In a BLOB each code has its slot, from 0 to 255: a byte for the slot, two for the code's length, and the code.

use std::collections::BinaryHeap;

use rusqlite::{
    Error, Result,
    functions::{Aggregate, Context},
    types::ValueRef,
};

use super::distance;

/// Bytes before each code.
const HEAD: usize = 3;

/// The codes in a BLOB with their slots; what cannot be read ends them.
fn codes(mut blob: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([slot, low, high], rest) = blob.split_first_chunk::<HEAD>()?;
        let (code, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
        blob = rest;
        Some((*slot, code))
    })
}

/// `codes_with(codes, slot, code)`: the codes with this one in the slot, instead of what was there; without any there, where
/// `code` is NULL. `codes` is a BLOB that this function has made, or NULL: none.
pub(super) fn with(values: &Context<'_>) -> Result<Vec<u8>> {
    let (old, slot, code) = (values.get_raw(0), values.get::<u8>(1)?, values.get_raw(2));
    let old = match old {
        ValueRef::Blob(old) => old,
        ValueRef::Null => &[],
        _ => return Err(wrong("codes_with: the codes are no BLOB")),
    };
    let code = match code {
        ValueRef::Blob(code) => Some(code),
        ValueRef::Null => None,
        _ => return Err(wrong("codes_with: the code is no BLOB")),
    };
    let others = codes(old).filter(|(other, _)| *other != slot);
    let mut new = Vec::with_capacity(old.len() + HEAD + code.map_or(0, <[u8]>::len));
    for (slot, code) in others.chain(code.map(|code| (slot, code))) {
        let length = u16::try_from(code.len()).map_err(|_| wrong("codes_with: the code has more than 65,535 bytes"))?;
        new.push(slot);
        new.extend(length.to_le_bytes());
        new.extend(code);
    }
    Ok(new)
}

/// `nearest_codes(codes, first, query, count)`: the numbers of the codes that differ from the query in the fewest bits, so
/// many of them at most, as JSON: `[17,4]`. Each code's number is `first` and its slot.
pub(super) struct Nearest;

/// How far each is, and its number: the farthest first.
type Found = BinaryHeap<(i64, i64)>;

impl Aggregate<Found, String> for Nearest {
    fn init(&self, _: &mut Context<'_>) -> Result<Found> {
        Ok(Found::new())
    }

    fn step(&self, values: &mut Context<'_>, found: &mut Found) -> Result<()> {
        let (ValueRef::Blob(blob), ValueRef::Blob(query)) = (values.get_raw(0), values.get_raw(2)) else {
            return Err(wrong("nearest_codes: the codes, or the query, are no BLOB"));
        };
        let (first, count) = (values.get::<i64>(1)?, values.get::<u32>(3)? as usize);
        for (slot, code) in codes(blob) {
            let one = (distance(code, query), first.wrapping_add(i64::from(slot)));
            if found.len() < count {
                found.push(one);
            } else if let Some(mut farthest) = found.peek_mut()
                && one < *farthest
            {
                *farthest = one;
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, found: Option<Found>) -> Result<String> {
        let found = found.unwrap_or_default().into_sorted_vec();
        let numbers: Vec<_> = found.into_iter().map(|(_, number)| number.to_string()).collect();
        Ok(format!("[{}]", numbers.join(",")))
    }
}

fn wrong(text: &str) -> Error {
    Error::UserFunctionError(text.into())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().expect("a connection");
        super::super::register(&connection).expect("its functions");
        connection
    }

    fn blob(sql: &str) -> Option<Vec<u8>> {
        connection().query_row(sql, [], |row| row.get(0)).ok()
    }

    #[test]
    fn a_slot_has_the_code_that_was_put_there_last() {
        assert_eq!(blob("SELECT codes_with(NULL, 7, x'abcd')"), Some(vec![7, 2, 0, 0xab, 0xcd]));
        let two = "codes_with(codes_with(NULL, 7, x'abcd'), 2, x'01')";
        assert_eq!(blob(&format!("SELECT {two}")), Some(vec![7, 2, 0, 0xab, 0xcd, 2, 1, 0, 1]));
        assert_eq!(blob(&format!("SELECT codes_with({two}, 7, x'ff')")), Some(vec![2, 1, 0, 1, 7, 1, 0, 0xff]));
        assert_eq!(blob(&format!("SELECT codes_with({two}, 7, NULL)")), Some(vec![2, 1, 0, 1]));
        assert_eq!(blob("SELECT codes_with(codes_with(NULL, 7, x'abcd'), 7, NULL)"), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for values in
            ["'text', 0, x'00'", "NULL, 256, x'00'", "NULL, -1, x'00'", "NULL, 0, 7", "NULL, 0, zeroblob(65536)"]
        {
            assert_eq!(blob(&format!("SELECT codes_with({values})")), None, "{values}");
        }
        for values in ["NULL, 0, x'00', 1", "x'', 0, 'text', 1", "x'', 'text', x'00', 1", "x'', 0, x'00', -1"] {
            let answer = connection().query_row(&format!("SELECT nearest_codes({values})"), [], |_| Ok(()));
            assert!(answer.is_err(), "{values}");
        }
    }

    #[test]
    fn the_nearest_are_told_in_order() {
        let connection = connection();
        let ask = |rows: &str, count: u32| -> String {
            let sql = format!("SELECT nearest_codes(column1, column2, x'ff', {count}) FROM (VALUES {rows})");
            connection.query_row(&sql, [], |row| row.get(0)).expect("an answer")
        };
        // Slots 1, 0 and 2 of 16, and slot 0 of 32; what is cut off is left out.
        let rows = "(x'010100f0' || x'000100ff' || x'0201000f', 16), (x'000100fe' || x'0101', 32)";
        let rows = rows.replace("' || x'", "");
        assert_eq!(ask(&rows, 9), "[16,32,17,18]");
        assert_eq!(ask(&rows, 2), "[16,32]");
        assert_eq!(ask(&rows, 0), "[]");
        let none = connection.query_row("SELECT nearest_codes(x'', 0, x'00', 3) WHERE false", [], |row| row.get(0));
        assert_eq!(none, Ok("[]".to_owned()));
    }

    proptest::proptest! {
        /// They are those that a statement finds which compares one by one.
        #[test]
        fn the_nearest_are_those_that_are(codes: Vec<[u8; 5]>, query: [u8; 5], count in 0_u32..20) {
            let connection = connection();
            connection.execute_batch("CREATE TABLE one (id, code); CREATE TABLE many (block UNIQUE, codes)").expect("tables");
            for (id, code) in (0_i64..).zip(&codes) {
                connection.execute("INSERT INTO one VALUES (?, ?)", (id, code)).expect("a row");
                let together = "INSERT INTO many VALUES (?1 >> 2, codes_with(NULL, ?1 & 3, ?2)) \
                    ON CONFLICT DO UPDATE SET codes = codes_with(codes, ?1 & 3, ?2)";
                connection.execute(together, (id, code)).expect("a row");
            }
            let ask = |sql: &str| -> String {
                connection.query_row(sql, (query, count), |row| row.get(0)).expect("an answer")
            };
            let many = ask("SELECT nearest_codes(codes, block << 2, ?1, ?2) FROM many");
            let one = ask("SELECT json_group_array(id) FROM \
                (SELECT id FROM one ORDER BY bits_apart(code, ?1), id LIMIT ?2)");
            proptest::prop_assert_eq!(many, one);
        }
    }
}
