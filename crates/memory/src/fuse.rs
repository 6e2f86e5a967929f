//! Two orders made one, by reciprocal rank fusion (Cormack, Clarke, Büttcher 2009).

use std::collections::HashMap;

/// How much less the first places count than they would.
const DAMPING: f64 = 60.0;

/// The numbers of both, best first, each with its score from 0 to 1: what is first in both has 1.
pub(crate) fn fuse(words: &[i64], meaning: &[i64]) -> Vec<(i64, f64)> {
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for order in [words, meaning] {
        let mut place = DAMPING;
        for id in order {
            place += 1.0;
            *scores.entry(*id).or_default() += 1.0 / place;
        }
    }
    let best = 2.0 / (DAMPING + 1.0);
    let mut fused: Vec<_> = scores.into_iter().map(|(id, score)| (id, score / best)).collect();
    // The newer one first, where both are as good.
    fused.sort_by(|(id, score), (other, others)| others.total_cmp(score).then(other.cmp(id)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_find_comes_before_what_one_finds() {
        let fused = fuse(&[1, 2, 3], &[4, 2, 1]);
        let order: Vec<_> = fused.iter().map(|(id, _)| *id).collect();
        assert_eq!(order, [1, 2, 4, 3]);
        assert!(fused.iter().all(|(_, score)| *score > 0.0 && *score < 1.0));
    }

    #[test]
    fn the_first_of_both_is_the_best_there_is() {
        assert_eq!(fuse(&[7], &[7]), [(7, 1.0)]);
        assert_eq!(fuse(&[], &[]), []);
        assert_eq!(fuse(&[1], &[2]), [(2, 0.5), (1, 0.5)]);
    }
}
