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

/// Levenshtein's distance: insertions, deletions and replacements of one character.
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, letter) in other.chars().take(WORD_CHARS_MAX).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (at, own) in word.iter().enumerate() {
            let replaced = diagonal + usize::from(*own != letter);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
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
        assert_eq!(nearest("teir", ids), None, "two changes in four letters");
        assert_eq!(nearest("barracuda", ids), None);
        assert_eq!(nearest("Q", ["A", "B"]), None, "nothing of it is left");
        assert_eq!(nearest("x", []), None);
    }
}
