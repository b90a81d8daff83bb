//! A lane: one list for one kind of target. Its health, how far it has come, and what of its answers is not confirmed yet.

use std::collections::{HashMap, VecDeque};

use crate::clock::{Instant, Span};
use crate::dnsxl::{Cause, Evidence, Fault, List, ListIndex, Listing, Probe, ProbeReply, ProbeRole, presence};
use crate::dossier::Epoch;
use crate::exchange::{Route, Upstream};
use crate::targets::Kind;
use crate::wire::{Name, Rtype};

use super::prune::Pruning;
use super::units::LastUnit;

/// Times that a list may fail a control and come back. More is a list that cannot be relied on.
pub(super) const SUSPENSIONS_MAX: u32 = 3;

/// Good controls for which one failed one is forgiven. A run of a day has thousands of controls: a list that answers one probe
/// in some hundreds wrongly fails more than three of them, and yet each good one confirms what it said.
const CONTROLS_TO_FORGIVE: u32 = 8;

/// How a lane stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// Its pairs are learnt from another list's answers: it is neither examined nor asked until one of them has to be.
    Spare,
    /// It has not been examined yet.
    New,
    /// Its probes are out.
    Examined,
    /// It works: targets may be asked.
    Good,
    /// It failed a control, and is examined again at the moment.
    Suspended(Instant),
    /// It failed its first examination; what its pairs become is decided when all lanes have been examined.
    Failing(Fault),
    /// It is given up: its pairs are unknown with this cause.
    GivenUp(Cause),
}

/// One question of an examination or a control, and what came of it.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) role: ProbeRole,
    pub(super) name: Name,
    pub(super) rtype: Rtype,
    /// The way that it asks about; none: any.
    pub(super) via: Option<Upstream>,
    pub(super) reply: Option<ProbeReply>,
    /// How long the reply took; none for silence.
    pub(super) rtt: Option<Span>,
}

/// Whether a list's servers tell a name without records from none, so that a control may ask whether the test entry's name
/// is still there, whatever a cache has of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nobody has said.
    Unknown,
    /// They have shown it.
    Shown,
    /// They deny the name, or do not answer such questions.
    Untold,
}

/// A control that is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Control {
    /// The epoch that it will confirm; none: both.
    pub(super) closes: Option<Epoch>,
    /// Canaries of it that were listed.
    pub(super) listed: usize,
    /// It has asked again after a name that was said to be gone.
    pub(super) recalled: bool,
}

/// A listing whose reason is still being asked for, with the doubts and the controls that there were when it was heard.
#[derive(Debug)]
pub(super) struct Textless {
    pub(super) listing: Box<Listing>,
    pub(super) doubts: u32,
    pub(super) controls: u32,
}

/// One list for one kind of target.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) list: ListIndex,
    pub(super) column: usize,
    pub(super) kind: Kind,
    pub(super) route: Route,
    /// Its server was named by the user, so that it says nothing about the resolvers.
    pub(super) routed: bool,
    /// The list's own servers are asked: they must speak for the zone.
    pub(super) direct: bool,
    /// No target of the run is of its kind: it is asked about related names alone, and counts for nothing else.
    pub(super) related: bool,
    /// What is known for pruning, where that is wanted and possible.
    pub(super) prune: Option<Pruning>,
    pub(super) standing: Standing,
    /// Where it goes on: a tile and a step in it.
    pub(super) cursor: (u32, usize),
    /// Pairs (tile, offset) that came back behind the cursor, to be asked first: one for each pair of the open tiles at most.
    pub(super) again: VecDeque<(u32, u8)>,
    /// What is known of the unit that it asked about last, on lists that have units.
    pub(super) last_unit: Option<LastUnit>,
    /// It found nothing to ask when it looked last.
    pub(super) idle: bool,
    pub(super) in_flight: u32,
    /// Probes that are out, those of earlier rounds too.
    pub(super) probes_out: u32,
    pub(super) epoch: Epoch,
    pub(super) control: Option<Control>,
    /// The last control that was good while it was not known what the resolvers do: it confirms when that is known, unless
    /// another is sent or fails before.
    pub(super) held: Option<Control>,
    /// Controls that were sent, and the last of them that was good.
    pub(super) controls: u32,
    pub(super) controlled: u32,
    /// Answers since the last control was sent.
    pub(super) answers: u32,
    /// Provisional answers there are, in both epochs.
    pub(super) provisional: u32,
    pub(super) last_good: Instant,
    /// Who has answered for its pairs: each control asks all of them. An answer may settle long after it was heard (its
    /// text, or its other name, is still out), so that nobody is forgotten.
    pub(super) heard: Vec<Upstream>,
    /// Ways that failed a control while others were left: what still comes from there is not believed.
    pub(super) shunned: Vec<Upstream>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Listings in a row.
    pub(super) listings: u32,
    /// Times that it has failed a control, without those that are forgiven.
    pub(super) suspensions: u32,
    /// Good controls towards the next forgiveness.
    pub(super) good_controls: u32,
    /// Tells the probes of one examination or control from those of an earlier one.
    pub(super) round: u32,
    pub(super) questions: Vec<Question>,
    pub(super) presence: Presence,
    /// Counts the questions for the presence of the test entry, from anywhere: each is for another type.
    pub(super) presence_asked: u8,
    /// What its first examination showed of the resolver.
    pub(super) evidence: Option<Evidence>,
    /// What was wrong at the first look of its first examination, until a second one has confirmed or refuted it.
    pub(super) first_look: Option<(Fault, Evidence)>,
    /// How long its second look waits for servers that say nothing, where another works; none: that is over.
    pub(super) looks_until: Option<Instant>,
    /// Times that what was heard was taken back.
    pub(super) doubts: u32,
    /// Listings whose TXT record is being asked for, by tile and offset.
    pub(super) texts: HashMap<(u32, u8), Textless>,
    /// It passed its first examination.
    pub(super) healthy_at_start: bool,
    /// What was wrong with it last.
    pub(super) fault: Option<Fault>,
    /// Asks for its pairs and probes.
    pub(super) asked: u64,
    /// Replies about pairs, and how long they took in all.
    pub(super) timed: (u64, Span),
}

impl Lane {
    /// Whether all that it had to ask has been asked and answered.
    pub(super) fn is_through(&self) -> bool {
        self.knows_all() && self.in_flight == 0
    }

    /// Whether it has heard of all its targets whether they are listed: the reasons of listings may still be out.
    pub(super) fn knows_all(&self) -> bool {
        self.idle && self.in_flight as usize == self.texts.len() && self.again.is_empty()
    }

    /// The epoch of a listing that was heard when so many controls had been sent: a control that was sent since then speaks
    /// for it. None if one has been good.
    pub(super) fn epoch_since(&self, controls: u32) -> Option<Epoch> {
        match self.control.or(self.held) {
            _ if self.controlled > controls => None,
            Some(control) if self.controls > controls => Some(control.closes.unwrap_or(self.epoch)),
            _ => Some(self.epoch),
        }
    }

    pub(super) fn new(list: ListIndex, column: usize, kind: Kind, route: Route, routed: bool) -> Lane {
        Lane {
            list,
            column,
            kind,
            route,
            routed,
            direct: false,
            related: false,
            prune: None,
            standing: Standing::New,
            cursor: (0, 0),
            again: VecDeque::new(),
            last_unit: None,
            idle: false,
            in_flight: 0,
            probes_out: 0,
            epoch: Epoch::Even,
            control: None,
            held: None,
            controls: 0,
            controlled: 0,
            answers: 0,
            provisional: 0,
            last_good: Instant::ZERO,
            heard: Vec::new(),
            shunned: Vec::new(),
            failures: 0,
            listings: 0,
            suspensions: 0,
            good_controls: 0,
            round: 0,
            questions: Vec::new(),
            presence: Presence::Unknown,
            presence_asked: 0,
            evidence: None,
            first_look: None,
            looks_until: None,
            doubts: 0,
            texts: HashMap::new(),
            healthy_at_start: false,
            fault: None,
            asked: 0,
            timed: (0, Span::ZERO),
        }
    }

    /// Whether all questions of its examination or control have been answered that are waited for: whether the list
    /// answers for odd types at all is learnt by the way.
    pub(super) fn all_answered(&self) -> bool {
        let waits = |question: &Question| question.role != ProbeRole::Presence || self.presence == Presence::Shown;
        let mut open = self.questions.iter().filter(|question| question.reply.is_none());
        !open.any(waits)
    }

    /// Whether no resolver, with its cache, is between.
    pub(super) fn has_own_servers(&self) -> bool {
        self.direct || self.routed
    }

    /// Counts a good control: enough of them, and a failed one is forgiven.
    pub(super) fn forgive(&mut self) {
        self.good_controls += 1;
        if self.good_controls >= CONTROLS_TO_FORGIVE {
            self.good_controls = 0;
            self.suspensions = self.suspensions.saturating_sub(1);
        }
    }

    /// The next question for the presence of the test entry, if the list has one.
    pub(super) fn ask_presence(&mut self, list: &List) -> Option<Probe> {
        self.presence_asked = self.presence_asked.wrapping_add(1);
        presence(list, self.kind, self.presence_asked)
    }

    /// Notes who gave an answer; whether it may be believed.
    pub(super) fn hear(&mut self, from: Upstream) -> bool {
        if self.shunned.contains(&from) {
            return false;
        }
        if !self.heard.contains(&from) {
            self.heard.push(from);
        }
        true
    }

    /// Waits for no more answers by this way.
    pub(super) fn give_up_on(&mut self, via: Option<Upstream>) {
        let open = self.questions.iter_mut().filter(|question| question.via == via);
        open.for_each(|question| {
            question.reply.get_or_insert(ProbeReply::Silent);
        });
    }

    /// The replies so far, in the order of the questions.
    pub(super) fn replies(&self) -> Vec<(ProbeRole, ProbeReply)> {
        replies(self.questions.iter())
    }

    /// The ways that its questions ask about.
    pub(super) fn ways(&self) -> Vec<Option<Upstream>> {
        let mut ways = Vec::new();
        for question in &self.questions {
            if !ways.contains(&question.via) {
                ways.push(question.via);
            }
        }
        ways
    }

    /// The questions that ask about one way.
    pub(super) fn questions_by(&self, via: Option<Upstream>) -> impl Iterator<Item = &Question> {
        self.questions.iter().filter(move |question| question.via == via)
    }

    /// The replies so far that were asked for by one way.
    pub(super) fn replies_by(&self, via: Option<Upstream>) -> Vec<(ProbeRole, ProbeReply)> {
        replies(self.questions_by(via))
    }
}

fn replies<'a>(questions: impl Iterator<Item = &'a Question>) -> Vec<(ProbeRole, ProbeReply)> {
    questions
        .filter_map(|question| Some((question.role, question.reply.clone()?)))
        .collect()
}
