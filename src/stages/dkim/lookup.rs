//! The `dkim` stage: a domain's keys at given selectors and at common ones.
//!
//! One TXT question a selector, all at once. What is missing at a given selector is an error; what is missing at a
//! guessed one says nothing and is left out. A zone that answers every selector with the same text has a wildcard.
//! Bounds: [`GIVEN_MAX`] given selectors, [`COMMON`] guessed ones.

use serde::Serialize;

use super::key::{Key, KeyKind, RSA_BITS_GOOD, RSA_BITS_MAX, State, read_key, resembles_key};
use super::selectors::{COMMON, GIVEN_MAX};
use crate::exchange::Resolver;
use crate::stages::ask::{Known, Texts, texts, together};
use crate::stages::escape::quote;
use crate::stages::finding::Finding;
use crate::wire::{Name, NameError};

/// The stage's name in records and findings.
pub const STAGE: &str = "dkim";

/// A text that so many guessed selectors share is a wildcard's.
const WILDCARD_MIN: usize = 8;

/// What was found at a selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Selector {
    /// The selector.
    pub selector: String,
    /// It was guessed, not given.
    pub guessed: bool,
    /// What is there.
    pub found: Presence,
    /// The key, if there is exactly one record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

/// What is at a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// One record.
    One,
    /// Several: which one a receiver takes is undefined (RFC 6376 §3.6.2.2).
    Several,
    /// None.
    None,
    /// It is not known.
    Unknown,
}

/// Asks for the keys of `domain` at the given selectors, and at common ones if `guess`.
pub async fn dkim(
    resolver: &dyn Resolver,
    domain: &Name,
    given: &[String],
    guess: bool,
) -> (Vec<Selector>, Vec<Finding>) {
    let mut findings = Vec::new();
    if given.len() > GIVEN_MAX {
        let text = format!("{} selectors were given; {GIVEN_MAX} are looked at", given.len());
        findings.push(Finding::warning(STAGE, "dkim_too_many_selectors", text));
    }
    let given = given.iter().take(GIVEN_MAX).map(|selector| (selector.as_str(), false));
    let common = COMMON.iter().filter(|_| guess).map(|selector| (*selector, true));
    let mut asked: Vec<(&str, bool, Name)> = Vec::new();
    for (selector, guessed) in given.chain(common) {
        match key_name(selector, domain) {
            Ok(name) if asked.iter().all(|(_, _, other)| *other != name) => asked.push((selector, guessed, name)),
            Ok(_) => {}
            Err(error) => {
                let text = format!(
                    "\"{}\" is not a selector of {domain}: {error}",
                    quote(selector.as_bytes())
                );
                findings.push(Finding::warning(STAGE, "dkim_bad_selector", text));
            }
        }
    }
    let found = together(asked.iter().map(|(_, _, name)| texts(resolver, name.clone()))).await;
    let wildcard = wildcard_text(&asked, &found);
    if let Some(text) = &wildcard {
        let text = format!("{domain} answers every selector alike, with \"{}\"", quote(text));
        let mend = "remove the wildcard TXT record, or guessed selectors mean nothing";
        findings.push(Finding::info(STAGE, "dkim_wildcard", text).mend(mend));
    }
    let silent = asked
        .iter()
        .zip(&found)
        .filter(|((_, guessed, _), found)| *guessed && matches!(found, Known::Unknown(_)))
        .count();
    let mut selectors = Vec::new();
    for ((selector, guessed, name), found) in asked.iter().zip(found) {
        let only_wildcard =
            matches!(&found, Known::Some(texts) if wildcard.is_some() && texts.texts.first() == wildcard.as_ref());
        if *guessed && only_wildcard {
            continue;
        }
        let ask = Asked {
            selector,
            guessed: *guessed,
            name,
        };
        selectors.extend(ask.judge(found, &mut findings));
    }
    if selectors.is_empty() && guess {
        let asked = COMMON.len();
        let (code, text) = match silent {
            0 => (
                "dkim_none_guessed",
                format!("no DKIM key of {domain} was found at {asked} common selectors"),
            ),
            _ => (
                "dkim_guesses_unknown",
                format!("no DKIM key of {domain} was found; of {asked} common selectors {silent} are not known"),
            ),
        };
        let mend = "give the selector that the mail is signed with (s= in its DKIM-Signature)";
        findings.push(Finding::info(STAGE, code, text).mend(mend));
    }
    (selectors, findings)
}

/// `selector._domainkey.domain` (RFC 6376 §3.6.2.1).
fn key_name(selector: &str, domain: &Name) -> Result<Name, NameError> {
    let mut name: Name = selector.parse()?;
    name.push(b"_domainkey")?;
    name.under(domain)
}

/// The text that most guessed selectors have, if so many cannot be real.
fn wildcard_text(asked: &[(&str, bool, Name)], found: &[Known<Texts>]) -> Option<Vec<u8>> {
    let guessed = || {
        asked
            .iter()
            .zip(found)
            .filter_map(|((_, guessed, _), found)| match found {
                Known::Some(texts) if *guessed => texts.texts.first(),
                _ => None,
            })
    };
    let first = guessed().next()?;
    (guessed().filter(|text| *text == first).count() >= WILDCARD_MIN).then(|| first.clone())
}

/// One selector that was asked for.
struct Asked<'a> {
    selector: &'a str,
    guessed: bool,
    name: &'a Name,
}

impl Asked<'_> {
    fn judge(&self, found: Known<Texts>, findings: &mut Vec<Finding>) -> Option<Selector> {
        match found {
            Known::Some(texts) => self.judge_texts(&texts, findings),
            Known::Nothing { .. } if self.guessed => None,
            Known::Unknown(_) if self.guessed => None,
            Known::Nothing { .. } => {
                let text = format!("there is no DKIM key at {}", self.name);
                let mend = "publish the key there, or sign with a selector that has one";
                findings.push(Finding::error(STAGE, "dkim_missing", text).mend(mend));
                Some(self.record(Presence::None, None))
            }
            Known::Unknown(why) => {
                let text = format!("whether there is a DKIM key at {} is not known: {why}", self.name);
                findings.push(Finding::warning(STAGE, "dkim_unknown", text).mend("try again later"));
                Some(self.record(Presence::Unknown, None))
            }
        }
    }

    fn judge_texts(&self, texts: &Texts, findings: &mut Vec<Finding>) -> Option<Selector> {
        if texts.malformed > 0 || texts.cut {
            let text = format!("the TXT records at {} could not all be read", self.name);
            findings.push(Finding::warning(STAGE, "dkim_malformed", text).mend("have them written anew"));
        }
        let keys: Vec<&Vec<u8>> = texts.texts.iter().filter(|text| resembles_key(text)).collect();
        if self.guessed && keys.is_empty() {
            return None;
        }
        if texts.texts.is_empty() {
            return Some(self.record(Presence::Unknown, None));
        }
        if texts.texts.len() > 1 {
            let text = format!(
                "{} has {} TXT records: which one counts is undefined",
                self.name,
                texts.texts.len()
            );
            let mend = "leave one record at the selector (RFC 6376 §3.6.2.2)";
            findings.push(Finding::error(STAGE, "dkim_several", text).mend(mend));
            return Some(self.record(Presence::Several, None));
        }
        let text = &texts.texts[0];
        let key = read_key(text);
        findings.extend(self.about(&key, text));
        Some(self.record(Presence::One, Some(key)))
    }

    fn record(&self, found: Presence, key: Option<Key>) -> Selector {
        Selector {
            selector: quote(self.selector.as_bytes()),
            guessed: self.guessed,
            found,
            key,
        }
    }

    fn about(&self, key: &Key, text: &[u8]) -> Vec<Finding> {
        let name = self.name;
        let mut findings = Vec::new();
        match (key.state, key.bits) {
            (State::Invalid, _) => {
                let reason = key.reason.as_deref().unwrap_or("unknown");
                let text = format!(
                    "receivers cannot use the DKIM key at {name}: {reason}; the record is \"{}\"",
                    quote(text)
                );
                let finding = if self.guessed { Finding::warning } else { Finding::error };
                findings.push(
                    finding(STAGE, "dkim_invalid", text).mend("publish the key anew as the signing software prints it"),
                );
            }
            (State::Revoked, _) => {
                let text = format!("the DKIM key at {name} is revoked");
                let finding = if self.guessed { Finding::info } else { Finding::error };
                findings.push(finding(STAGE, "dkim_revoked", text).mend("sign with a selector whose key is published"));
            }
            (State::Valid, Some(bits)) if bits < RSA_BITS_GOOD => {
                let text = format!("the DKIM key at {name} has {bits} bits");
                let mend = format!("use RSA with {RSA_BITS_GOOD} bits under a new selector (RFC 8301)");
                findings.push(Finding::warning(STAGE, "dkim_short_key", text).mend(mend));
            }
            (State::Valid, Some(bits)) if bits > RSA_BITS_MAX => {
                let text = format!("the DKIM key at {name} has {bits} bits, more than receivers must take");
                let mend = format!("use RSA with {RSA_BITS_GOOD} bits (RFC 8301)");
                findings.push(Finding::warning(STAGE, "dkim_long_key", text).mend(mend));
            }
            (State::Valid, _) => {}
        }
        if key.testing && key.state == State::Valid {
            let text = format!("the DKIM key at {name} is marked as a test (t=y)");
            findings.push(Finding::warning(STAGE, "dkim_testing", text).mend("remove t=y once signing works"));
        }
        if key.kind == KeyKind::Ed25519 && key.state == State::Valid {
            let text = format!("the DKIM key at {name} is Ed25519, which many receivers do not read yet");
            findings.push(Finding::info(STAGE, "dkim_ed25519", text).mend("sign with an RSA key as well"));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{ED25519, RSA_768, RSA_1024, RSA_2048};
    use super::*;
    use crate::stages::testing::{World, codes, name};
    use crate::wire::Rtype;

    async fn run(world: &World, given: &[&str], guess: bool) -> (Vec<Selector>, Vec<Finding>) {
        let given: Vec<String> = given.iter().map(|selector| (*selector).to_owned()).collect();
        dkim(world, &name("example.org"), &given, guess).await
    }

    fn key(selector: &str, text: &str) -> World {
        World::new().txt(&format!("{selector}._domainkey.example.org"), text)
    }

    #[tokio::test]
    async fn a_good_key_is_found_at_a_given_selector_and_by_guess() {
        let world = key("s1", &format!("v=DKIM1; p={RSA_2048}"));
        let (selectors, findings) = run(&world, &["s1"], true).await;
        assert_eq!((selectors.len(), selectors[0].guessed), (1, false));
        assert!(findings.is_empty(), "{findings:?}");
        let (selectors, _) = run(&world, &[], true).await;
        assert!(selectors[0].guessed && selectors[0].key.as_ref().is_some_and(|key| key.bits == Some(2048)));
    }

    #[tokio::test]
    async fn absence_matters_only_where_a_key_was_promised() {
        let (selectors, findings) = run(&World::new(), &["s1"], true).await;
        assert_eq!(
            (selectors[0].found, codes(&findings)),
            (Presence::None, vec!["dkim_missing"])
        );
        let (selectors, findings) = run(&World::new(), &[], true).await;
        assert_eq!((selectors.len(), codes(&findings)), (0, vec!["dkim_none_guessed"]));
        let world = World::new().silent("s1._domainkey.example.org", Rtype::TXT);
        let (selectors, findings) = run(&world, &["s1"], false).await;
        assert_eq!(
            (selectors[0].found, codes(&findings)),
            (Presence::Unknown, vec!["dkim_unknown"])
        );
        let world = World::new().malformed("s1._domainkey.example.org", Rtype::TXT);
        let (selectors, findings) = run(&world, &["s1"], false).await;
        assert_eq!(
            (selectors[0].found, codes(&findings)),
            (Presence::Unknown, vec!["dkim_malformed"])
        );
    }

    #[tokio::test]
    async fn weak_odd_and_broken_keys_are_told() {
        for (text, code) in [
            (format!("v=DKIM1; p={RSA_1024}"), "dkim_short_key"),
            (format!("v=DKIM1; p={RSA_768}"), "dkim_invalid"),
            (format!("v=DKIM1; t=y; p={RSA_2048}"), "dkim_testing"),
            (format!("v=DKIM1; k=ed25519; p={ED25519}"), "dkim_ed25519"),
            ("v=DKIM1; p=".to_owned(), "dkim_revoked"),
            ("v=spf1 -all".to_owned(), "dkim_invalid"),
            ("\u{1b}[2J".to_owned(), "dkim_invalid"),
        ] {
            let (_, findings) = run(&key("s1", &text), &["s1"], false).await;
            assert_eq!(codes(&findings), [code], "{text}");
            assert!(!findings[0].text.contains('\u{1b}'));
        }
        let world = key("s1", "v=DKIM1; p=AAAA").txt("s1._domainkey.example.org", "v=DKIM1; p=BBBB");
        assert_eq!(codes(&run(&world, &["s1"], false).await.1), ["dkim_several"]);
    }

    #[tokio::test]
    async fn a_wildcard_is_no_key() {
        let mut world = World::new();
        for selector in COMMON {
            world = world.txt(&format!("{selector}._domainkey.example.org"), "v=DKIM1; p=");
        }
        let (selectors, findings) = run(&world, &[], true).await;
        assert!(selectors.is_empty());
        assert_eq!(codes(&findings), ["dkim_wildcard", "dkim_none_guessed"]);
    }

    #[tokio::test]
    async fn bad_and_too_many_selectors_are_told() {
        let (_, findings) = run(&World::new(), &["a..b"], false).await;
        assert_eq!(codes(&findings), ["dkim_bad_selector"]);
        let many: Vec<String> = (0..50).map(|index| format!("s{index}")).collect();
        let world = World::new();
        let (_, findings) = dkim(&world, &name("example.org"), &many, false).await;
        assert!(codes(&findings).contains(&"dkim_too_many_selectors"));
        assert_eq!(world.asked().len(), GIVEN_MAX);
    }
}
