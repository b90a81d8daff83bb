//! One DKIM key record (RFC 6376 §3.6.1, RFC 8301, RFC 8463): read, measured, judged.
//!
//! The text is a tag list. `p=` holds base64 of a SubjectPublicKeyInfo or a bare RSAPublicKey for RSA, of 32 raw octets
//! for Ed25519. Nothing here fails: a record that receivers cannot use is [`State::Invalid`] with the reason.

use base64ct::{Base64, Encoding};
use pkcs1::RsaPublicKeyRef;
use pkcs1::der::Decode;
use serde::Serialize;
use spki::SubjectPublicKeyInfoRef;

use crate::stages::escape::quote;
use crate::stages::taglist::{TagList, faults_in_words};

/// Shorter RSA keys are never valid (RFC 8301 §3.2).
pub(super) const RSA_BITS_MIN: u32 = 1_024;

/// Shorter RSA keys should not be used (RFC 8301 §3.2).
pub(super) const RSA_BITS_GOOD: u32 = 2_048;

/// Verifiers need not take longer RSA keys (RFC 8301 §3.2).
pub(super) const RSA_BITS_MAX: u32 = 4_096;

/// Octets of a raw Ed25519 key (RFC 8463 §4).
const ED25519_OCTETS: usize = 32;

/// `rsaEncryption` (RFC 8017 §A.1).
const RSA_OID: spki::ObjectIdentifier = spki::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A key record as receivers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Whether receivers can use it.
    pub state: State,
    /// Why not, or what is odd about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// The length of an RSA modulus in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// `t=y`: receivers are asked not to treat failures differently from unsigned mail.
    pub testing: bool,
    /// `t=s`: the signer's address must be in the domain itself, not below it.
    pub strict: bool,
}

/// Whether receivers can use a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is good.
    Valid,
    /// `p=` is empty: the key was withdrawn.
    Revoked,
    /// Receivers ignore it or fail signatures by it.
    Invalid,
}

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// RSA, the default.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
    /// Something that receivers do not know.
    Unknown,
}

/// Whether a text is meant as a key record, good or bad.
pub(super) fn resembles_key(text: &[u8]) -> bool {
    let list = TagList::parse(text);
    let version = list
        .tag("v")
        .is_some_and(|tag| tag.value.len() >= 4 && tag.value[..4].eq_ignore_ascii_case(b"dkim"));
    version || list.tag("p").is_some() || text.windows(5).any(|window| window.eq_ignore_ascii_case(b"dkim1"))
}

/// Reads a key record.
pub fn read_key(text: &[u8]) -> Key {
    let list = TagList::parse(text);
    let mut key = Key {
        state: State::Valid,
        reason: None,
        kind: kind(&list),
        bits: None,
        testing: flag(&list, b"y"),
        strict: flag(&list, b"s"),
    };
    if let Err(reason) = check_tags(&list).and_then(|()| check_data(&list, &mut key)) {
        key.state = State::Invalid;
        key.reason = Some(reason);
    }
    key
}

fn kind(list: &TagList) -> KeyKind {
    match list.value("k") {
        None | Some(b"rsa") => KeyKind::Rsa,
        Some(b"ed25519") => KeyKind::Ed25519,
        Some(_) => KeyKind::Unknown,
    }
}

/// Whether the colon-separated list in `t=` has this flag.
fn flag(list: &TagList, wanted: &[u8]) -> bool {
    has(list.value("t").unwrap_or_default(), wanted)
}

fn has(value: &[u8], wanted: &[u8]) -> bool {
    value
        .split(|&octet| octet == b':')
        .any(|item| crate::stages::taglist::trim(item) == wanted)
}

fn check_tags(list: &TagList) -> Result<(), String> {
    if let Some(faults) = faults_in_words(&list.faults) {
        return Err(format!("the tag list is malformed: {faults}"));
    }
    if let Some(at) = list.tags.iter().position(|tag| tag.name == "v") {
        if at > 0 {
            return Err(format!("v= must be the first tag; it is at octet {}", list.tags[at].at));
        }
        if list.tags[at].value != b"DKIM1" {
            return Err(format!("the version is \"{}\", not \"DKIM1\"", list.tags[at].text()));
        }
    }
    if kind(list) == KeyKind::Unknown {
        let kind = list.value("k").unwrap_or_default();
        return Err(format!("no receiver knows the key type \"{}\"", quote(kind)));
    }
    if let Some(hashes) = list.value("h").filter(|hashes| !has(hashes, b"sha256")) {
        return Err(format!(
            "h= allows \"{}\" only, and receivers take sha256 only (RFC 8301)",
            quote(hashes)
        ));
    }
    if let Some(services) = list
        .value("s")
        .filter(|services| !has(services, b"*") && !has(services, b"email"))
    {
        return Err(format!("s= is \"{}\": the key is not for mail", quote(services)));
    }
    Ok(())
}

fn check_data(list: &TagList, key: &mut Key) -> Result<(), String> {
    let tag = list.tag("p").ok_or("there is no p= tag")?;
    if tag.value.is_empty() {
        key.state = State::Revoked;
        return Ok(());
    }
    let data = decode(&tag.value).map_err(|reason| format!("p= at octet {}: {reason}", tag.at))?;
    if key.kind == KeyKind::Ed25519 {
        return check_ed25519(&data);
    }
    let bits = rsa_bits(&data)?;
    key.bits = Some(bits);
    if bits < RSA_BITS_MIN {
        return Err(format!(
            "an RSA key of {bits} bits is not valid: {RSA_BITS_MIN} are the least (RFC 8301)"
        ));
    }
    Ok(())
}

/// Base64 with white space in it, as long records are often written.
fn decode(value: &[u8]) -> Result<Vec<u8>, String> {
    let dense: Vec<u8> = value
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    let strange = |octet: &u8| !octet.is_ascii_alphanumeric() && !matches!(octet, b'+' | b'/' | b'=');
    if let Some(at) = value
        .iter()
        .position(|octet| strange(octet) && !octet.is_ascii_whitespace())
    {
        return Err(format!(
            "\"{}\" at its octet {at} is not base64",
            quote(&value[at..=at])
        ));
    }
    let text = str::from_utf8(&dense).map_err(|_| "not base64")?;
    Base64::decode_vec(text)
        .map_err(|_| format!("{} characters that are not whole base64: perhaps cut short", text.len()))
}

fn check_ed25519(data: &[u8]) -> Result<(), String> {
    if data.len() == ED25519_OCTETS {
        return Ok(());
    }
    if SubjectPublicKeyInfoRef::from_der(data).is_ok() {
        return Err("an Ed25519 key must be the 32 raw octets, not SubjectPublicKeyInfo (RFC 8463 §4)".to_owned());
    }
    Err(format!(
        "an Ed25519 key has {ED25519_OCTETS} octets; this has {}",
        data.len()
    ))
}

/// The length of the modulus of a SubjectPublicKeyInfo or a bare RSAPublicKey.
fn rsa_bits(data: &[u8]) -> Result<u32, String> {
    let key = match SubjectPublicKeyInfoRef::from_der(data) {
        Ok(info) if info.algorithm.oid != RSA_OID => {
            return Err(format!("the key's algorithm is {}, not RSA", info.algorithm.oid));
        }
        Ok(info) => {
            let octets = info
                .subject_public_key
                .as_bytes()
                .ok_or("the key's bit string is not whole octets")?;
            RsaPublicKeyRef::from_der(octets)
        }
        // RFC 6376 §3.6.1 asks for the bare form, though nearly everybody writes the other.
        Err(_) => RsaPublicKeyRef::from_der(data),
    };
    let key = key.map_err(|error| format!("not an RSA public key in DER: {error}"))?;
    let modulus = key.modulus.as_bytes();
    let exponent = key.public_exponent.as_bytes();
    if exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
        return Err("the RSA exponent is even or 1".to_owned());
    }
    let lead = modulus.first().map_or(0, |first| first.leading_zeros());
    let octets = u32::try_from(modulus.len()).map_err(|_| "an RSA modulus beyond all measure")?;
    Ok((octets * 8).saturating_sub(lead))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::stages::dkim) const RSA_768: &str = "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhALV4+wRGdGun/dm/cVswHsde340KRCrgXM3DAzTqRWShoOZGtRWwwCAKuKRbQb5JSDV1R0mS/CYUdlHH9idTn4nAbtg12SaKcTJEm0HX+M3lPa1AQ5LY9a+PN+wX4U4XiQIDAQAB";
    pub(in crate::stages::dkim) const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDC4cza9OCnrZg2mNXXP8h8niIIHV2ABv0St30rjY7zBfJBEjOha1yDPbMpS0rdfKVL9xqw7OhIIUZzPN+Bu6x8TzRrTBmemUwz7piU1snPtnSzQ2ndftrRP0LIfXxJ6F8bieIO7iDgE7UGulXdX/kNYyDe/abhSlKlZpslJmIRdQIDAQAB";
    pub(in crate::stages::dkim) const RSA_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlBbzq3oM0m8c64ze/5GJ37uCRNIT33891MTWs2ThoySPWc1/aidR4oeVoJNGTYiIhyZo3faFn1wmAdeXf6JBmbK1D3TExJkvZgxW4mviTXUx0xlPc3SUOU93t9knCXaP622yBjFnF3EFOi4YHIKTBREBzeZMfNJdL8kHWPBzLxmBKs4d5yP0t9N1enLVubNngmusLz4Oq7nDNzMmskNC8lpzM313nWI2AMUcJlkFxtjZ0f10qtMjPVDHEeZYzbcURHIbMxNGbtwa8iwMZ9TCYOETgWhO3JHCG2eS8BU9o8SGlSnUChERdMvu+pfExCTgVCk8BshVpGg3tBtJ5u8GYQIDAQAB";
    /// The bare RSAPublicKey form.
    const RSA_1024_BARE: &str = "MIGJAoGBAM6QCJIF4yDXATDSHlQrSNy6ctwrnrHDjwkTHYuON/nn4wUwvX/5r/dld247pLkQViY1VK0aXSJB/tCScJ6sv1RRhii12ke0Xtdx+GH40oZ4mj0Y0GioCEgRBAkNdydCNhr77m5X8XoOwfo/tm2cTcwZ3FPmwhJh5B2dYfmZLtIHAgMBAAE=";
    /// The key of RFC 8463 §A.2.
    pub(in crate::stages::dkim) const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const ED25519_SPKI: &str = "MCowBQYDK2VwAyEAuv9BSEOf5rpIhaqonPDTi6QojG3/9r64yNQ5fvEiBGU=";

    fn state(text: &str) -> (State, Option<u32>) {
        let key = read_key(text.as_bytes());
        (key.state, key.bits)
    }

    fn reason(text: &str) -> String {
        let key = read_key(text.as_bytes());
        assert_eq!(key.state, State::Invalid, "{text}");
        key.reason.expect("an invalid key has a reason")
    }

    #[test]
    fn rsa_keys_are_measured_in_both_forms() {
        assert_eq!(
            state(&format!("v=DKIM1; k=rsa; p={RSA_2048}")),
            (State::Valid, Some(2048))
        );
        assert_eq!(state(&format!("p={RSA_1024}")), (State::Valid, Some(1024)));
        assert_eq!(
            state(&format!("v=DKIM1; p={RSA_1024_BARE};")),
            (State::Valid, Some(1024))
        );
        assert!(reason(&format!("v=DKIM1; p={RSA_768}")).contains("768"));
        let spaced = format!("v=DKIM1; p={} \t {}", &RSA_1024[..40], &RSA_1024[40..]);
        assert_eq!(state(&spaced), (State::Valid, Some(1024)));
    }

    #[test]
    fn ed25519_keys_are_raw_octets() {
        assert_eq!(state(&format!("v=DKIM1; k=ed25519; p={ED25519}")), (State::Valid, None));
        assert!(reason(&format!("v=DKIM1; k=ed25519; p={ED25519_SPKI}")).contains("raw"));
        assert!(reason("v=DKIM1; k=ed25519; p=AAAA").contains("this has 3"));
    }

    #[test]
    fn flags_and_revocation_are_read() {
        let key = read_key(format!("v=DKIM1; t= y : s; p={RSA_1024}").as_bytes());
        assert!(key.testing && key.strict);
        assert_eq!(state("v=DKIM1; p="), (State::Revoked, None));
        assert_eq!(state("v=DKIM1; k=ed25519; p= ;"), (State::Revoked, None));
    }

    #[test]
    fn what_receivers_refuse_is_invalid_with_its_reason() {
        assert!(reason("v=DKIM1; k=rsa").contains("no p="));
        assert!(reason(&format!("k=rsa; v=DKIM1; p={RSA_1024}")).contains("octet 7"));
        assert!(reason(&format!("v=DKIM2; p={RSA_1024}")).contains("DKIM2"));
        assert!(reason(&format!("v=DKIM1; k=dsa; p={RSA_1024}")).contains("dsa"));
        assert!(reason(&format!("v=DKIM1; h=sha1; p={RSA_1024}")).contains("sha256"));
        assert!(reason(&format!("v=DKIM1; s=tlsrpt; p={RSA_1024}")).contains("not for mail"));
        assert!(reason(&format!("v=DKIM1; p={RSA_1024}; p={RSA_1024}")).contains("second time"));
        assert!(reason("v=DKIM1; p=AB\"C").contains("octet 2"));
        assert!(reason(&format!("v=DKIM1; p={}", &RSA_2048[..255])).contains("cut short"));
        assert!(reason(&format!("v=DKIM1; p={}", &RSA_2048[..256])).contains("DER"));
        assert!(reason(&format!("v=DKIM1; p={ED25519_SPKI}")).contains("not RSA"));
        assert!(reason("v=DKIM1 p=AAAA").contains("not \"DKIM1\""));
    }

    #[test]
    fn texts_of_other_kinds_are_not_taken_for_keys() {
        assert!(resembles_key(b"k=rsa; p=AAAA") && resembles_key(b"\"v=DKIM1"));
        assert!(!resembles_key(b"v=spf1 -all") && !resembles_key(b"hello") && !resembles_key(b"v=DMARC1"));
    }

    proptest::proptest! {
        #[test]
        fn any_octets_can_be_read(text: Vec<u8>, data: Vec<u8>) {
            let _ = read_key(&text);
            let _ = resembles_key(&text);
            let key = format!("v=DKIM1; p={}", Base64::encode_string(&data));
            proptest::prop_assert!(data.is_empty() || read_key(key.as_bytes()).state == State::Invalid);
        }
    }
}
