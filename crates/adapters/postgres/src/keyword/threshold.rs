//! Which passages can be among the best: those whose words weigh enough together. Most passages that
//! hold one word of a query hold just that one, and to rank them all takes most of a search's time.
//! Asking for the combinations of words that weigh enough leaves the rest to the full-text index,
//! which doesn't read the passages for it.

/// Steps in which weights are added up to estimate how many passages reach a threshold.
const STEPS: usize = 200;

/// Longest expression, in words: each passage that comes into question is held against all of it.
const MOST_WORDS: usize = 120;

/// Shares within so little of each other are one: they are added up in another order elsewhere.
const SAME: f64 = 1e-6;

/// A word that some passages hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    /// As the database's text search takes it.
    pub(super) quoted: String,
    /// Its share of the weight of all words of the query.
    pub(super) share: f64,
    /// How many passages hold it.
    pub(super) held_by: u32,
}

/// The highest share of the query's weight that `wanted` of `passages` can be expected to hold. As if
/// words came independently of each other; those of one query rather come together, so more do.
/// `None` where all that hold any word are hardly so many.
pub(super) fn reached_by(words: &[Held], passages: u32, wanted: f64) -> Option<f64> {
    // The chance of each sum, in steps rounded down.
    let mut chances = vec![0.0; STEPS + 1];
    chances[0] = 1.0;
    for word in words {
        let chance = f64::from(word.held_by) / f64::from(passages.max(word.held_by).max(1));
        let step = steps(word.share);
        for sum in (0..=STEPS).rev() {
            let with = sum.checked_sub(step).map_or(0.0, |before| chances[before]);
            chances[sum] = chances[sum] * (1.0 - chance) + with * chance;
        }
    }
    let mut expected = 0.0;
    for sum in (1..=STEPS).rev() {
        expected += chances[sum] * f64::from(passages);
        if expected >= wanted {
            return Some(sum as f64 / STEPS as f64);
        }
    }
    None
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is between 0 and 1"
)]
fn steps(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * STEPS as f64) as usize
}

/// A text search that every passage matches whose words' shares sum up to `share`; few others do.
pub(super) fn at_least(words: &[Held], share: f64) -> String {
    let mut words: Vec<&Held> = words.iter().collect();
    words.sort_by(|a, b| b.share.total_cmp(&a.share));
    // The shares from each word on.
    let mut rest = vec![0.0; words.len() + 1];
    for (place, word) in words.iter().enumerate().rev() {
        rest[place] = rest[place + 1] + word.share;
    }
    let mut left = MOST_WORDS;
    combinations(&words, &rest, share - SAME, &mut left)
        .unwrap_or_else(|| one_of(&words, &rest, share - SAME))
}

/// All combinations of `words` that reach `share`, which is more than nothing and no more than all of
/// them; `None` when that takes more than `left` words.
fn combinations(words: &[&Held], rest: &[f64], share: f64, left: &mut usize) -> Option<String> {
    let mut ways = Vec::new();
    for (place, word) in words.iter().enumerate() {
        if rest[place] < share {
            break;
        }
        *left = left.checked_sub(1)?;
        let missing = share - word.share;
        if missing <= 0.0 {
            ways.push(word.quoted.clone());
        } else if rest[place + 1] >= missing {
            let with = combinations(&words[place + 1..], &rest[place + 1..], missing, left)?;
            ways.push(format!("{} & ({with})", word.quoted));
        }
    }
    Some(ways.join(" | "))
}

/// One of the rarest words: without any of these the others don't reach `share`.
fn one_of(words: &[&Held], rest: &[f64], share: f64) -> String {
    let needed = rest.iter().position(|rest| *rest < share);
    let needed = needed.unwrap_or(words.len()).max(1).min(words.len());
    let quoted: Vec<_> = words[..needed].iter().map(|w| w.quoted.as_str()).collect();
    quoted.join(" | ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(shares: &[f64]) -> Vec<Held> {
        shares
            .iter()
            .enumerate()
            .map(|(place, share)| Held {
                quoted: format!("'{place}'"),
                share: *share,
                held_by: 100,
            })
            .collect()
    }

    #[test]
    fn combinations_are_those_that_weigh_enough() {
        let words = words(&[0.4, 0.3, 0.2, 0.1]);
        assert_eq!(at_least(&words, 0.4), "'0' | '1' & ('2' | '3')");
        assert_eq!(at_least(&words, 0.35), "'0' | '1' & ('2' | '3')");
        assert_eq!(at_least(&words, 1.0), "'0' & ('1' & ('2' & ('3')))");
        assert_eq!(at_least(&words, 0.05), "'0' | '1' | '2' | '3'");
    }

    #[test]
    fn the_more_passages_are_wanted_the_less_they_need_hold() {
        let words = words(&[0.25; 4]);
        // A word alone: 39 in 10,000; two: some 6 in 100,000 of each pair.
        let one = reached_by(&words, 10_000, 300.0).unwrap();
        let two = reached_by(&words, 10_000, 5.0).unwrap();
        assert!((one - 0.25).abs() < 0.01, "{one}");
        assert!((two - 0.5).abs() < 0.01, "{two}");
        assert_eq!(reached_by(&words, 10_000, 500.0), None);
    }

    /// Whether a passage that holds these words matches `expression`, read as PostgreSQL does.
    fn matches(expression: &str, held: &[bool]) -> bool {
        let tokens: Vec<char> = expression.chars().filter(|c| *c != ' ').collect();
        let mut at = 0;
        let matched = either(&tokens, &mut at, held);
        assert_eq!(at, tokens.len(), "{expression}");
        matched
    }

    fn either(tokens: &[char], at: &mut usize, held: &[bool]) -> bool {
        let mut matched = both(tokens, at, held);
        while tokens.get(*at) == Some(&'|') {
            *at += 1;
            matched |= both(tokens, at, held);
        }
        matched
    }

    fn both(tokens: &[char], at: &mut usize, held: &[bool]) -> bool {
        let mut matched = one(tokens, at, held);
        while tokens.get(*at) == Some(&'&') {
            *at += 1;
            matched &= one(tokens, at, held);
        }
        matched
    }

    fn one(tokens: &[char], at: &mut usize, held: &[bool]) -> bool {
        *at += 1;
        if tokens[*at - 1] == '(' {
            let matched = either(tokens, at, held);
            *at += 1;
            return matched;
        }
        let from = *at;
        while tokens[*at] != '\'' {
            *at += 1;
        }
        let word: String = tokens[from..*at].iter().collect();
        *at += 1;
        held[word.parse::<usize>().unwrap()]
    }

    proptest! {
        #[test]
        fn no_passage_that_weighs_enough_is_left_out(
            weights in prop::collection::vec(0.01_f64..1.0, 1..24),
            held in prop::collection::vec(any::<bool>(), 24),
            share in 0.01_f64..1.0,
        ) {
            let total: f64 = weights.iter().sum();
            let words = words(&weights.iter().map(|w| w / total).collect::<Vec<_>>());
            let sum: f64 = words.iter().zip(&held).filter(|(_, held)| **held)
                .map(|(word, _)| word.share).sum();
            let expression = at_least(&words, share);
            if sum >= share {
                prop_assert!(matches(&expression, &held), "{expression}");
            }
            if words.len() <= 6 {
                prop_assert_eq!(matches(&expression, &held), sum >= share - SAME, "{}", expression);
            }
        }
    }
}
