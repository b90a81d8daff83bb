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

/// Words that stand alone.
const WHOLE: &[(&str, Hint)] = &[
    ("mx", Hint::MailPerhaps),
    ("mxa", Hint::MailPerhaps),
    ("mxb", Hint::MailPerhaps),
    ("mxin", Hint::MailPerhaps),
    ("mxout", Hint::MailPerhaps),
    ("iport", Hint::MailPerhaps),
    ("exchange", Hint::MailPerhaps),
    ("delivery", Hint::MailPerhaps),
    ("out", Hint::MailPerhaps),
    ("mout", Hint::MailPerhaps),
    ("relay", Hint::MailPerhaps),
    ("mgw", Hint::MailPerhaps),
    ("msa", Hint::MailPerhaps),
    ("exim", Hint::MailPerhaps),
    ("lists", Hint::MailPerhaps),
    ("listserv", Hint::MailPerhaps),
    ("sender", Hint::MailPerhaps),
    ("esp", Hint::MailPerhaps),
    ("sta", Hint::Static),
    ("stat", Hint::Static),
    ("stc", Hint::Static),
    ("ded", Hint::Static),
    ("fix", Hint::Static),
    ("fixed", Hint::Static),
    ("fixip", Hint::Static),
    ("fija", Hint::Static),
    ("fijo", Hint::Static),
    ("biz", Hint::Static),
    ("corp", Hint::Static),
    ("colo", Hint::Static),
    ("dyn", Hint::Dynamic),
    ("din", Hint::Dynamic),
    ("dip", Hint::Dynamic),
    ("pool", Hint::Dynamic),
    ("pools", Hint::Dynamic),
    ("pooles", Hint::Dynamic),
    ("pptp", Hint::Dynamic),
    ("dial", Hint::Dynamic),
    ("dialip", Hint::Dynamic),
    ("ras", Hint::Dynamic),
    ("hsd", Hint::Access),
    ("hsi", Hint::Access),
    ("hfc", Hint::Access),
    ("cm", Hint::Access),
    ("cpe", Hint::Access),
    ("cpc", Hint::Access),
    ("isdn", Hint::Access),
    ("gprs", Hint::Access),
    ("umts", Hint::Access),
    ("lte", Hint::Access),
    ("cdma", Hint::Access),
    ("evdo", Hint::Access),
    ("wifi", Hint::Access),
    ("wlan", Hint::Access),
    ("pon", Hint::Access),
    ("gpon", Hint::Access),
    ("fttx", Hint::Access),
    ("fttb", Hint::Access),
    ("fiber", Hint::Access),
    ("fibre", Hint::Access),
    ("bb", Hint::Access),
    ("res", Hint::Access),
    ("abo", Hint::Access),
    ("nat", Hint::Access),
    ("cgn", Hint::Access),
    ("cgnat", Hint::Access),
    ("home", Hint::Access),
    ("cust", Hint::Customer),
    ("cus", Hint::Customer),
    ("user", Hint::Customer),
    ("users", Hint::Customer),
    ("usr", Hint::Customer),
    ("sub", Hint::Customer),
    ("subs", Hint::Customer),
    ("host", Hint::Customer),
    ("hst", Hint::Customer),
    ("ip", Hint::Customer),
    ("ipv", Hint::Customer),
    ("addr", Hint::Customer),
    ("unused", Hint::Customer),
    ("node", Hint::Customer),
    ("port", Hint::Customer),
    ("line", Hint::Customer),
    ("rev", Hint::Customer),
    ("reverse", Hint::Customer),
    ("vps", Hint::Customer),
    ("vds", Hint::Customer),
    ("kvm", Hint::Customer),
    ("compute", Hint::Customer),
    ("instance", Hint::Customer),
    ("members", Hint::Customer),
    ("vm", Hint::Customer),
    ("www", Hint::Service),
    ("web", Hint::Service),
    ("ns", Hint::Service),
    ("dns", Hint::Service),
    ("ftp", Hint::Service),
    ("vpn", Hint::Service),
    ("imap", Hint::Service),
    ("pop", Hint::Service),
    ("ntp", Hint::Service),
    ("api", Hint::Service),
    ("proxy", Hint::Service),
    ("cdn", Hint::Service),
    ("git", Hint::Service),
    ("db", Hint::Service),
    ("server", Hint::Service),
    ("srv", Hint::Service),
    ("gw", Hint::Service),
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
    let whole = WHOLE.iter().find(|(known, _)| *known == word);
    whole
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
    fn short_words_stand_alone_and_long_ones_may_be_parts() {
        assert_eq!(hint("dyn"), Some(Hint::Dynamic));
        assert_eq!(hint("dynamo"), None);
        assert_eq!(hint("cablelink"), Some(Hint::Access));
        assert_eq!(hint("webmail"), Some(Hint::Mail));
        assert_eq!(hint("mxico"), None);
    }
}
