//! The words that providers put into the names they give to addresses, and those of mail servers.
//!
//! A host name is taken apart at everything that is not a letter, so `adsl77-3` is `adsl` and `mx0a` is `mx`, `a`.
//! Words that could hide in an ordinary one must stand alone; the others may be part of a compound (`cablelink`,
//! `dynadsl`).

/// What a word says about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// A mail server, in so many letters.
    Mail,
    /// A mail server, unless the name speaks of an access line too.
    MailPerhaps,
    /// A fixed address.
    Static,
    /// An address that changes hands.
    Dynamic,
    /// A line to somebody's home: so many of these change that it counts as dynamic if the name has a number.
    Access,
    /// A customer's machine of some kind.
    Customer,
    /// A service by its name: `www`, `ns`.
    Service,
}

/// Parts of words, looked for anywhere in a word. The first that fits counts.
const PARTS: &[(&str, Hint)] = &[
    ("mail", Hint::Mail),
    ("smtp", Hint::Mail),
    ("postfix", Hint::Mail),
    ("mta", Hint::MailPerhaps),
    ("smarthost", Hint::MailPerhaps),
    ("ironport", Hint::MailPerhaps),
    ("antispam", Hint::MailPerhaps),
    ("outbound", Hint::MailPerhaps),
    ("outgoing", Hint::MailPerhaps),
    ("newsletter", Hint::MailPerhaps),
    ("bounce", Hint::MailPerhaps),
    ("static", Hint::Static),
    ("statique", Hint::Static),
    ("statisch", Hint::Static),
    ("estatic", Hint::Static),
    ("dedicated", Hint::Static),
    ("leased", Hint::Static),
    ("business", Hint::Static),
    ("dynamic", Hint::Dynamic),
    ("dynamik", Hint::Dynamic),
    ("dynamisch", Hint::Dynamic),
    ("dinamic", Hint::Dynamic),
    ("dynip", Hint::Dynamic),
    ("dyndsl", Hint::Dynamic),
    ("dynadsl", Hint::Dynamic),
    ("dhcp", Hint::Dynamic),
    ("dialup", Hint::Dynamic),
    ("dialin", Hint::Dynamic),
    ("unassigned", Hint::Dynamic),
    ("unnasigned", Hint::Dynamic),
    ("ppp", Hint::Dynamic),
    ("dsl", Hint::Access),
    ("cable", Hint::Access),
    ("catv", Hint::Access),
    ("modem", Hint::Access),
    ("broadband", Hint::Access),
    ("wireless", Hint::Access),
    ("wimax", Hint::Access),
    ("mobile", Hint::Access),
    ("ftth", Hint::Access),
    ("subscriber", Hint::Access),
    ("resident", Hint::Access),
    ("customer", Hint::Customer),
    ("client", Hint::Customer),
    ("kunde", Hint::Customer),
];

/// Words that stand alone, in the order of the alphabet.
const WHOLE: &[(&str, Hint)] = &[
    ("abo", Hint::Access),
    ("addr", Hint::Customer),
    ("api", Hint::Service),
    ("bb", Hint::Access),
    ("biz", Hint::Static),
    ("cdma", Hint::Access),
    ("cdn", Hint::Service),
    ("cgn", Hint::Access),
    ("cgnat", Hint::Access),
    ("cm", Hint::Access),
    ("colo", Hint::Static),
    ("compute", Hint::Customer),
    ("corp", Hint::Static),
    ("cpc", Hint::Access),
    ("cpe", Hint::Access),
    ("cus", Hint::Customer),
    ("cust", Hint::Customer),
    ("db", Hint::Service),
    ("ded", Hint::Static),
    ("delivery", Hint::MailPerhaps),
    ("dial", Hint::Dynamic),
    ("dialip", Hint::Dynamic),
    ("din", Hint::Dynamic),
    ("dip", Hint::Dynamic),
    ("dns", Hint::Service),
    ("dyn", Hint::Dynamic),
    ("esp", Hint::MailPerhaps),
    ("evdo", Hint::Access),
    ("exchange", Hint::MailPerhaps),
    ("exim", Hint::MailPerhaps),
    ("fiber", Hint::Access),
    ("fibre", Hint::Access),
    ("fija", Hint::Static),
    ("fijo", Hint::Static),
    ("fix", Hint::Static),
    ("fixed", Hint::Static),
    ("fixip", Hint::Static),
    ("ftp", Hint::Service),
    ("fttb", Hint::Access),
    ("fttx", Hint::Access),
    ("git", Hint::Service),
    ("gpon", Hint::Access),
    ("gprs", Hint::Access),
    ("gw", Hint::Service),
    ("hfc", Hint::Access),
    ("home", Hint::Access),
    ("host", Hint::Customer),
    ("hsd", Hint::Access),
    ("hsi", Hint::Access),
    ("hst", Hint::Customer),
    ("imap", Hint::Service),
    ("instance", Hint::Customer),
    ("ip", Hint::Customer),
    ("iport", Hint::MailPerhaps),
    ("ipv", Hint::Customer),
    ("isdn", Hint::Access),
    ("kvm", Hint::Customer),
    ("line", Hint::Customer),
    ("lists", Hint::MailPerhaps),
    ("listserv", Hint::MailPerhaps),
    ("lte", Hint::Access),
    ("members", Hint::Customer),
    ("mgw", Hint::MailPerhaps),
    ("mout", Hint::MailPerhaps),
    ("msa", Hint::MailPerhaps),
    ("mx", Hint::MailPerhaps),
    ("mxa", Hint::MailPerhaps),
    ("mxb", Hint::MailPerhaps),
    ("mxin", Hint::MailPerhaps),
    ("mxout", Hint::MailPerhaps),
    ("nat", Hint::Access),
    ("node", Hint::Customer),
    ("ns", Hint::Service),
    ("ntp", Hint::Service),
    ("out", Hint::MailPerhaps),
    ("pon", Hint::Access),
    ("pool", Hint::Dynamic),
    ("pooles", Hint::Dynamic),
    ("pools", Hint::Dynamic),
    ("pop", Hint::Service),
    ("port", Hint::Customer),
    ("pptp", Hint::Dynamic),
    ("proxy", Hint::Service),
    ("ras", Hint::Dynamic),
    ("relay", Hint::MailPerhaps),
    ("res", Hint::Access),
    ("rev", Hint::Customer),
    ("reverse", Hint::Customer),
    ("sender", Hint::MailPerhaps),
    ("server", Hint::Service),
    ("srv", Hint::Service),
    ("sta", Hint::Static),
    ("stat", Hint::Static),
    ("stc", Hint::Static),
    ("sub", Hint::Customer),
    ("subs", Hint::Customer),
    ("umts", Hint::Access),
    ("unused", Hint::Customer),
    ("user", Hint::Customer),
    ("users", Hint::Customer),
    ("usr", Hint::Customer),
    ("vds", Hint::Customer),
    ("vm", Hint::Customer),
    ("vpn", Hint::Service),
    ("vps", Hint::Customer),
    ("web", Hint::Service),
    ("wifi", Hint::Access),
    ("wlan", Hint::Access),
    ("www", Hint::Service),
];

/// Domains under which large senders number their mail servers without a word for it.
pub(super) const SENDERS: &[&str] = &[
    "amazonses.com",
    "apple.com",
    "exacttarget.com",
    "gmx.net",
    "hubspotemail.net",
    "icloud.com",
    "mailchimpapp.net",
    "mailgun.net",
    "mailgun.org",
    "mailgun.us",
    "mailjet.com",
    "mandrillapp.com",
    "mcdlv.net",
    "mcsv.net",
    "messagelabs.com",
    "messagingengine.com",
    "mimecast.com",
    "mtasv.net",
    "outlook.com",
    "postini.com",
    "ppe-hosted.com",
    "pphosted.com",
    "rsgsv.net",
    "sender-sib.com",
    "sendgrid.net",
    "sparkpostmail.com",
];

/// What a word says, if anything. The word is in lower case and has letters only.
pub(super) fn hint(word: &str) -> Option<Hint> {
    let whole = WHOLE.binary_search_by_key(&word, |(known, _)| *known);
    whole
        .ok()
        .map(|at| &WHOLE[at])
        .or_else(|| PARTS.iter().find(|(part, _)| word.contains(part)))
        .map(|(_, hint)| *hint)
}

/// The words of a host name: its stretches of ASCII letters.
pub(super) fn words(host: &str) -> impl Iterator<Item = &str> {
    host.split(|character: char| !character.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stretches_of_letters() {
        let found: Vec<&str> = words("adsl77-3.mx0a-00.x").collect();
        assert_eq!(found, ["adsl", "mx", "a", "x"]);
    }

    #[test]
    fn words_that_stand_alone_are_in_order() {
        assert!(WHOLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn short_words_stand_alone_and_long_ones_may_be_parts() {
        assert_eq!(hint("dyn"), Some(Hint::Dynamic));
        assert_eq!(hint("dynamo"), None);
        assert_eq!(hint("cablelink"), Some(Hint::Access));
        assert_eq!(hint("webmail"), Some(Hint::Mail));
        assert_eq!(hint("mxico"), None);
    }
}
