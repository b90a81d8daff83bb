//! A simulated server and the way to it: what it does with a query that reaches it, and when.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use rand::RngExt;
use rand::rngs::StdRng;

use reputon::clock::{Instant, Span};
use reputon::datagram::TcpFailure;
use reputon::wire::Rcode;

use super::message::{
    add_garbage, bare_formerr, cut_short, has_edns, is_listed, lower_case, number_of, reply, truncated, truth,
};

/// What a server does with EDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edns {
    /// It ignores the record.
    Fine,
    /// FORMERR with the question.
    Formerr,
    /// FORMERR with nothing but a header.
    BareFormerr,
    /// It drops the query.
    Dropped,
}

/// What a server does with TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tcp {
    Answers,
    Refuses,
    /// Nothing comes until the client gives up.
    Hangs,
    /// Another ID, another question.
    Lies,
}

/// Response rate limiting as NSD does it: so many full replies a second, the rest half dropped and half cut short. Queries
/// are counted by the second, answered or not, and what was counted before weighs half as much every second.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    pub(crate) rate_qps: u32,
    second: u64,
    counted: u32,
    before: u32,
}

impl RateLimit {
    pub(crate) fn new(rate_qps: u32) -> RateLimit {
        RateLimit {
            rate_qps,
            second: 0,
            counted: 0,
            before: 0,
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        while self.second < second {
            self.before = self.before / 2 + self.counted;
            (self.second, self.counted) = (self.second + 1, 0);
        }
        self.counted += 1;
        self.before.max(self.before / 2 + self.counted) >= 2 * self.rate_qps
    }
}

/// A response code in place of the truth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) rcode: Rcode,
    /// For the first so many queries of each name.
    pub(crate) first: u32,
}

/// A server with its habits. Shares are of one.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// There and back.
    pub(crate) rtt: Span,
    pub(crate) jitter: Span,
    /// Share of packets lost, each way.
    pub(crate) loss: f64,
    /// Share of packets that come twice, each way.
    pub(crate) twice: f64,
    pub(crate) edns: Edns,
    pub(crate) tcp: Tcp,
    /// From then on nothing comes over TCP.
    pub(crate) tcp_until: Option<Instant>,
    /// Names with numbers below bring nothing over TCP.
    pub(crate) tcp_hangs_below: u64,
    /// All replies are cut short.
    pub(crate) truncates: bool,
    /// Listings are too long for UDP.
    pub(crate) long_answers: bool,
    pub(crate) limit: Option<RateLimit>,
    /// Queries that wait at most, and the time that each takes.
    pub(crate) buffer: Option<(usize, Span)>,
    /// It is gone from, until.
    pub(crate) silent: Option<(Instant, Instant)>,
    /// It lower-cases questions from then on.
    pub(crate) lowers_from: Option<Instant>,
    pub(crate) trouble: Option<Trouble>,
    /// Share of replies that come with another ID, or from another address, before the true one.
    pub(crate) wrong_id: f64,
    pub(crate) wrong_address: f64,
    pub(crate) garbage: bool,
    /// Queries without EDNS.
    pub(crate) plain: u64,
    /// Queries that reached it, and those that it had no room for.
    pub(crate) reached: u64,
    pub(crate) overflowed: u64,
    /// Its state: when the queries in its buffer are done with, how often each name was asked.
    pub(crate) departures: VecDeque<Instant>,
    pub(crate) seen: HashMap<u64, u32>,
}

impl Server {
    /// A good server at 20 ms.
    pub(crate) fn good(index: u8) -> Server {
        Server {
            address: SocketAddr::from(([192, 0, 2, index], 53)),
            rtt: Span::from_millis(20),
            jitter: Span::from_millis(2),
            loss: 0.0,
            twice: 0.0,
            edns: Edns::Fine,
            tcp: Tcp::Answers,
            tcp_until: None,
            tcp_hangs_below: 0,
            truncates: false,
            long_answers: false,
            limit: None,
            buffer: None,
            silent: None,
            lowers_from: None,
            trouble: None,
            wrong_id: 0.0,
            wrong_address: 0.0,
            garbage: false,
            plain: 0,
            reached: 0,
            overflowed: 0,
            departures: VecDeque::new(),
            seen: HashMap::new(),
        }
    }

    /// One that never answers.
    pub(crate) fn silent(index: u8) -> Server {
        Server {
            silent: Some((Instant::ZERO, Instant::FAR)),
            ..Server::good(index)
        }
    }

    /// What comes of a query that was sent now: when what arrives at the client, and from whom.
    pub(crate) fn take(&mut self, now: Instant, query: &[u8], rng: &mut StdRng) -> Vec<(Instant, SocketAddr, Vec<u8>)> {
        let mut replies = Vec::new();
        for _ in 0..self.copies(rng) {
            let arrives = now + self.half_way(rng);
            let Some(leaves) = self.serve(arrives) else { continue };
            for (from, message) in self.answer(leaves, query, rng) {
                for _ in 0..self.copies(rng) {
                    replies.push((leaves + self.half_way(rng), from, message.clone()));
                }
            }
        }
        replies
    }

    /// What comes of a query over TCP.
    pub(crate) fn take_tcp(&self, now: Instant, query: &[u8]) -> (Span, Result<Vec<u8>, TcpFailure>) {
        let tcp = match self.tcp_until {
            Some(until) if until <= now => Tcp::Hangs,
            _ if number_of(query) < self.tcp_hangs_below => Tcp::Hangs,
            _ => self.tcp,
        };
        match tcp {
            Tcp::Answers => {
                let mut message = truth(query);
                if self.long_answers && is_listed(number_of(query)) {
                    message.resize(1_500, 0);
                }
                (self.rtt.times(2), Ok(message))
            }
            Tcp::Refuses => (self.rtt, Err(TcpFailure::Connect)),
            Tcp::Hangs => (Span::from_secs(3), Err(TcpFailure::Broken)),
            Tcp::Lies => {
                let mut lie = super::message::forge(query);
                lie[0] ^= 0x55;
                (self.rtt.times(2), Ok(lie))
            }
        }
    }

    fn copies(&self, rng: &mut StdRng) -> u32 {
        if rng.random_bool(self.loss) {
            return 0;
        }
        1 + u32::from(rng.random_bool(self.twice))
    }

    fn half_way(&self, rng: &mut StdRng) -> Span {
        let jitter = rng.random_range(0..=self.jitter.as_nanos());
        self.rtt.part(2) + Span::from_nanos(jitter)
    }

    /// When a query that arrives is done with; none if it is dropped.
    fn serve(&mut self, arrives: Instant) -> Option<Instant> {
        self.reached += 1;
        if self
            .silent
            .is_some_and(|(from, until)| from <= arrives && arrives < until)
        {
            return None;
        }
        let Some((room, service)) = self.buffer else {
            return Some(arrives);
        };
        while self.departures.front().is_some_and(|&leaves| leaves <= arrives) {
            self.departures.pop_front();
        }
        if self.departures.len() >= room {
            self.overflowed += 1;
            return None;
        }
        let leaves = self.departures.back().copied().unwrap_or(arrives).max(arrives) + service;
        self.departures.push_back(leaves);
        Some(leaves)
    }

    fn answer(&mut self, now: Instant, query: &[u8], rng: &mut StdRng) -> Vec<(SocketAddr, Vec<u8>)> {
        let Some(mut message) = self.message(now, query, rng) else {
            return Vec::new();
        };
        if self.garbage {
            add_garbage(&mut message, rng);
        }
        if self.lowers_from.is_some_and(|from| from <= now) && message[5] == 1 {
            lower_case(&mut message);
        }
        let mut answers = Vec::new();
        if rng.random_bool(self.wrong_id) {
            let mut other = super::message::forge(query);
            other[1] = other[1].wrapping_add(rng.random_range(1..=255));
            answers.push((self.address, other));
        }
        if rng.random_bool(self.wrong_address) {
            let elsewhere = SocketAddr::from(([198, 51, 100, 9], 53));
            answers.push((elsewhere, super::message::forge(query)));
        }
        answers.push((self.address, message));
        answers
    }

    fn message(&mut self, now: Instant, query: &[u8], rng: &mut StdRng) -> Option<Vec<u8>> {
        self.plain += u64::from(!has_edns(query));
        if has_edns(query) {
            match self.edns {
                Edns::Fine => (),
                Edns::Formerr => return Some(reply(query, Rcode::FORMERR)),
                Edns::BareFormerr => return Some(bare_formerr(query)),
                Edns::Dropped => return None,
            }
        }
        if let Some(limit) = &mut self.limit
            && limit.is_over(now)
        {
            return rng.random_bool(0.5).then(|| cut_short(query));
        }
        let seen = self.seen.entry(number_of(query)).or_default();
        *seen += 1;
        match self.trouble {
            Some(trouble) if *seen <= trouble.first => Some(reply(query, trouble.rcode)),
            _ if self.truncates => Some(truncated(query)),
            _ if self.long_answers && is_listed(number_of(query)) => Some(truncated(query)),
            _ => Some(truth(query)),
        }
    }
}
