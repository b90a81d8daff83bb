//! Selectors that large senders and common mail software use. DNS cannot list a domain's selectors, so these are
//! guesses, and a key that none of them finds says nothing.

/// Given selectors that are asked for; a domain has a few, one a service that sends in its name.
pub const GIVEN_MAX: usize = 32;

/// Selectors worth a guess. One question each, so only those that many domains share.
pub const COMMON: &[&str] = &[
    "default",   // opendkim, cPanel
    "dkim",      // mailcow, rspamd
    "mail",      // mail-in-a-box, Sendinblue
    "selector1", // Microsoft 365
    "selector2",
    "google", // Google Workspace
    "s1",     // SendGrid
    "s2",
    "k1", // Mailchimp
    "k2",
    "k3",
    "mandrill",
    "fm1", // Fastmail
    "fm2",
    "fm3",
    "protonmail",
    "protonmail2",
    "protonmail3",
    "sig1", // iCloud
    "zoho",
    "zmail",
    "mailjet",
    "pm", // Postmark
    "hs1",
    "hs2",
    "cm", // Campaign Monitor
    "krs",
    "mg", // Mailgun
    "smtp",
    "email",
    "dkim1",
    "key1",
    "key2",
    "x",
    "s1024",
    "s2048",
];
