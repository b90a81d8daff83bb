//! What the engine has done, in numbers.

use std::ops::AddAssign;

/// Counts since the engine was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counters {
    /// Asks taken in.
    pub submitted: u64,
    /// Outcomes made; equal to `submitted` when nothing is open.
    pub ended: u64,
    /// UDP packets sent, retries included.
    pub sent: u64,
    /// Of these: sent again.
    pub retried: u64,
    /// Acceptable replies.
    pub replies: u64,
    /// Tries given up as lost.
    pub lost: u64,
    /// Packets that our own machine had no room for: not sent, and not counted as sent.
    pub refused: u64,
    /// Datagrams that came and were dropped because our own buffer was full.
    pub overflowed: u64,
    /// Datagrams that fit no exchange: an unknown ID, late, a second copy.
    pub unmatched: u64,
    /// Datagrams whose ID is in use, but that come from another address: forged, or a server with two faces.
    pub wrong_peer: u64,
    /// Datagrams whose ID is in use, but whose question is another.
    pub wrong_question: u64,
    /// Datagrams that fit in all but the letters' case: forged, or of a server that does not keep it.
    pub wrong_case: u64,
    /// Datagrams that are no DNS message.
    pub malformed: u64,
    /// Replies with TC set.
    pub truncated: u64,
    /// Exchanges carried out over TCP.
    pub tcp: u64,
    /// Times that somebody was taken to be forging a server's replies.
    pub alarms: u64,
    /// Of the exchanges over TCP: for that reason.
    pub diverted: u64,
    /// Source ports opened for that reason.
    pub ports: u64,
}

impl Counters {
    /// Datagrams that fitted nothing that was asked, and that nobody explains: replies to tries that were given up come
    /// late, networks double others, and some servers do not keep case.
    pub fn mismatched(&self) -> u64 {
        let strays = self.unmatched.saturating_sub(self.lost + self.sent);
        self.wrong_peer + self.wrong_question + strays
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.submitted += other.submitted;
        self.ended += other.ended;
        self.sent += other.sent;
        self.retried += other.retried;
        self.replies += other.replies;
        self.lost += other.lost;
        self.refused += other.refused;
        self.overflowed += other.overflowed;
        self.unmatched += other.unmatched;
        self.wrong_peer += other.wrong_peer;
        self.wrong_question += other.wrong_question;
        self.wrong_case += other.wrong_case;
        self.malformed += other.malformed;
        self.truncated += other.truncated;
        self.tcp += other.tcp;
        self.alarms += other.alarms;
        self.diverted += other.diverted;
        self.ports += other.ports;
    }
}

/// Counts of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteCounters {
    /// Packets sent, retries and TCP queries included: what the operator sees.
    pub packets: u64,
    /// Of these: sent again.
    pub retried: u64,
}
