//! From a query to its reply, by the world, the zone's conduct and the face that was asked.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::wire::{Name, Rcode, Rdata, Rtype};

use super::conduct::{Conduct, is_ldh};
use super::content::Looked;
use super::lab::Face;
use super::message::{Owner, Question, Transport, Unreadable, Writer, header_only};
use super::world::{Served, World};

/// Aliases followed for one reply; the world has no chain longer than two.
const ALIASES_MAX: usize = 8;

/// Where the rewriting face sends people: benchmarking space, outside 127/8 as such addresses are.
const REWRITTEN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// How late the second copy of an answer comes.
const ECHO_AFTER: Duration = Duration::from_millis(30);

/// What becomes of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// No reply.
    Nothing,
    /// A reply at once.
    Reply,
    /// A reply after a while.
    Late(Duration),
}

/// What one thread uses again and again.
#[derive(Debug)]
pub(super) struct Scratch {
    question: Question,
    /// Wrong replies to be sent before the right one.
    pub(super) decoys: Vec<Vec<u8>>,
    /// Whether, and when, the right one is to be sent again.
    pub(super) echo: Option<Duration>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch {
            question: Question::new(),
            decoys: Vec::new(),
            echo: None,
        }
    }
}

/// A record of a reply; without a name it is the question's.
type Answer = (Option<Name>, u32, Rdata);

/// What a name comes to.
struct Outcome<'w> {
    rcode: Rcode,
    answers: Vec<Answer>,
    /// The zone in whose name there is nothing, if there is nothing.
    soa: Option<Start<'w>>,
}

/// Whose SOA record goes with a negative answer.
enum Start<'w> {
    /// The zone that the question is in: its name is a suffix of the question's.
    Suffix(&'w Served),
    /// A zone at the end of a chain of aliases.
    Named(&'w Served),
    /// The root.
    Root,
}

impl<'w> Outcome<'w> {
    fn nothing(rcode: Rcode, soa: Option<Start<'w>>) -> Outcome<'w> {
        Outcome {
            rcode,
            answers: Vec::new(),
            soa,
        }
    }
}

impl World {
    /// Writes the reply to `message` into `out`.
    pub(super) fn respond(
        &self,
        (face, transport): (Face, Transport),
        message: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Fate {
        scratch.decoys.clear();
        scratch.echo = None;
        match scratch.question.read(message) {
            Ok(()) => {}
            Err(Unreadable::Ignore) => return Fate::Nothing,
            Err(Unreadable::Header(rcode)) => {
                header_only(out, message, rcode);
                return Fate::Reply;
            }
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        let question = &scratch.question;
        match face {
            Face::Dead => return Fate::Nothing,
            Face::Refusing => {
                Writer::begin(out, message, question, transport, Rcode::REFUSED).end();
                return Fate::Reply;
            }
            _ => {}
        }
        let zone = self.find(question.suffix(0), question.labels());
        let (outcome, scrambled) = match zone {
            None => (Outcome::nothing(Rcode::NXDOMAIN, Some(Start::Root)), false),
            Some(zone) => {
                let (count, conduct) = zone.meet();
                if *conduct == Conduct::Silent || self.is_lost(zone, count) {
                    return Fate::Nothing;
                }
                (
                    self.behave(face, zone, conduct, question),
                    *conduct == Conduct::Scrambled,
                )
            }
        };
        let outcome = through_face(face, question.rtype, outcome);
        let writer = Writer::begin(out, message, question, transport, outcome.rcode);
        self.write(writer, question, zone, &outcome);
        if scrambled && transport == Transport::Udp {
            scramble(message, scratch);
        }
        match zone.map_or(Duration::ZERO, |zone| zone.delay) {
            Duration::ZERO => Fate::Reply,
            delay => Fate::Late(delay),
        }
    }

    /// Whether query number `count` is lost, the same in every run.
    fn is_lost(&self, zone: &Served, count: u64) -> bool {
        if zone.loss_permille == 0 {
            return false;
        }
        // The finaliser of SplitMix64: neighbouring counts give unrelated draws.
        let mut draw = (self.seed ^ count).wrapping_add(0x9e37_79b9_7f4a_7c15);
        draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        draw = (draw ^ (draw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (draw ^ (draw >> 31)) % 1_000 < u64::from(zone.loss_permille)
    }

    fn behave<'w>(&'w self, face: Face, zone: &'w Served, conduct: &Conduct, question: &Question) -> Outcome<'w> {
        let below = question.labels() - zone.labels;
        let nxdomain = |soa| Outcome::nothing(Rcode::NXDOMAIN, Some(soa));
        if face == Face::Minimising && zone.content.is_list() && below >= 2 {
            return nxdomain(Start::Suffix(zone));
        }
        match conduct {
            Conduct::Fails(rcode) => Outcome::nothing(*rcode, None),
            Conduct::Gone => {
                let above = question.suffix(below + 1);
                nxdomain(self.find(above, zone.labels - 1).map_or(Start::Root, Start::Suffix))
            }
            Conduct::Shallow if below >= 2 => nxdomain(Start::Suffix(zone)),
            Conduct::LdhOnly if !has_good_labels(question.prefix(below)) => Outcome::nothing(Rcode::SERVFAIL, None),
            Conduct::Wildcard(records) => self.settle(zone, question, from_wildcard(records, question.rtype)),
            _ => {
                let with_parents = *conduct == Conduct::HonestWithParents;
                let looked = zone
                    .content
                    .look_up(question.prefix(below), question.rtype, with_parents);
                self.settle(zone, question, looked)
            }
        }
    }

    /// Follows aliases to what they come to.
    fn settle<'w>(&'w self, zone: &'w Served, question: &Question, looked: Looked) -> Outcome<'w> {
        let (mut looked, mut owner, mut answers) = (looked, None, Vec::new());
        let mut start = Start::Suffix(zone);
        while let Looked::Alias(ttl, target) = looked {
            answers.push((owner.take(), ttl, Rdata::Cname((*target).clone())));
            if answers.len() > ALIASES_MAX {
                return Outcome::nothing(Rcode::SERVFAIL, None);
            }
            let lower = target.to_lowercase();
            let labels = &lower.as_wire()[..lower.as_wire().len() - 1];
            (looked, start) = match self.find(labels, target.label_count()) {
                Some(zone) => {
                    let relative = &labels[..labels.len() - (zone.origin.as_wire().len() - 1)];
                    (
                        zone.content.look_up(relative, question.rtype, false),
                        Start::Named(zone),
                    )
                }
                None => (Looked::NxDomain, Start::Root),
            };
            owner = Some(*target);
        }
        let (rcode, records) = match looked {
            Looked::Refused => return Outcome::nothing(Rcode::REFUSED, None),
            Looked::Records(records) => (Rcode::NOERROR, records),
            Looked::NxDomain | Looked::Alias(..) => (Rcode::NXDOMAIN, Vec::new()),
        };
        let soa = records.is_empty().then_some(start);
        answers.extend(records.into_iter().map(|(ttl, data)| (owner.clone(), ttl, data)));
        Outcome { rcode, answers, soa }
    }

    fn write(&self, mut writer: Writer<'_>, question: &Question, zone: Option<&Served>, outcome: &Outcome<'_>) {
        let soa = zone.map_or(&[][..], |zone| &zone.soa);
        for (owner, ttl, data) in &outcome.answers {
            let owner = owner.as_ref().map_or(Owner::Suffix(0), Owner::Name);
            writer.answer(owner, *ttl, data, soa);
        }
        match &outcome.soa {
            None => {}
            Some(Start::Root) => writer.authority(Owner::Suffix(question.labels()), &self.root_soa),
            Some(Start::Suffix(zone)) => writer.authority(Owner::Suffix(question.labels() - zone.labels), &zone.soa),
            Some(Start::Named(zone)) => writer.authority(Owner::Name(&zone.origin), &zone.soa),
        }
        writer.end();
    }
}

/// The records of a type out of those that every name has, or the alias among them.
fn from_wildcard(records: &[(u32, Rdata)], rtype: Rtype) -> Looked {
    if let [(ttl, Rdata::Cname(target))] = records
        && rtype != Rtype::CNAME
    {
        return Looked::Alias(*ttl, Box::new(target.clone()));
    }
    let wanted = |(_, data): &&(u32, Rdata)| rtype == Rtype::ANY || data.rtype() == rtype;
    Looked::Records(records.iter().filter(wanted).cloned().collect())
}

fn has_good_labels(labels: &[u8]) -> bool {
    let mut rest = labels;
    while let Some((&len, tail)) = rest.split_first() {
        let (label, next) = tail.split_at(usize::from(len));
        if !is_ldh(label) {
            return false;
        }
        rest = next;
    }
    true
}

/// What a lying resolver makes of an answer.
fn through_face(face: Face, rtype: Rtype, mut outcome: Outcome<'_>) -> Outcome<'_> {
    match face {
        Face::Rewriting if outcome.rcode == Rcode::NXDOMAIN && rtype == Rtype::A => Outcome {
            rcode: Rcode::NOERROR,
            answers: vec![(None, 60, Rdata::A(REWRITTEN))],
            soa: None,
        },
        Face::Stripping => {
            outcome
                .answers
                .retain(|(_, _, data)| !matches!(data, Rdata::A(address) if address.is_loopback()));
            outcome
        }
        _ => outcome,
    }
}

/// Adds replies that must not be believed: they say "listed", one with a wrong ID and one to a wrong question.
fn scramble(message: &[u8], scratch: &mut Scratch) {
    for spoil in [0, 13] {
        let mut decoy = Vec::new();
        let mut writer = Writer::begin(&mut decoy, message, &scratch.question, Transport::Udp, Rcode::NOERROR);
        writer.answer(Owner::Suffix(0), 60, &Rdata::A(Ipv4Addr::new(127, 0, 0, 2)), &[]);
        writer.end();
        decoy[spoil] ^= 1; // the ID, or the first character of the name
        scratch.decoys.push(decoy);
    }
    scratch.echo = Some(ECHO_AFTER);
}
