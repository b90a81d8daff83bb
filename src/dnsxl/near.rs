//! The nearest of the words there are, for errors that know what was probably meant.

/// Longest word that is compared, in characters: distances cost the product of the lengths.
const WORD_CHARS_MAX: usize = 64;

/// The candidate with the fewest letters to change, if they are few enough to be a slip (a third of the word).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
    let near = candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.len() / 3).max(1) && distance < word.len()).then_some(candidate)
}

/// `did you mean "x"?`, or the other text if nothing is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(word, candidates) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => otherwise.to_owned(),
    }
}

/// How many slips make one word of the other: characters put in, left out, replaced, or swapped with their neighbour
/// (Damerau and Levenshtein, each place touched once).
fn distance(word: &[char], other: &str) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=word.len()).collect();
    let mut last = None;
    for (line, letter) in other.chars().take(WORD_CHARS_MAX).enumerate() {
        let mut next = vec![line + 1];
        for (at, own) in word.iter().enumerate() {
            let replaced = row[at] + usize::from(*own != letter);
            let mut least = replaced.min(row[at + 1] + 1).min(next[at] + 1);
            if at > 0 && last == Some(*own) && word[at - 1] == letter {
                least = least.min(before[at - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(letter);
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let ids = ["spamhaus-zen", "spamcop", "zone", "tier"];
        assert_eq!(nearest("spamhaus-zne", ids), Some("spamhaus-zen"));
        assert_eq!(nearest("Zones", ids), Some("zone"));
        assert_eq!(nearest("teir", ids), Some("tier"), "neighbours swapped");
        assert_eq!(nearest("tire", ids), Some("tier"), "neighbours swapped");
        assert_eq!(nearest("teri", ids), None, "two changes in four letters");
        assert_eq!(nearest("barracuda", ids), None);
        assert_eq!(nearest("Q", ["A", "B"]), None, "nothing of it is left");
        assert_eq!(nearest("x", []), None);
    }
}
