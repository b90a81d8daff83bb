//! Related names on the lists of the run: the domain of an address's name, the addresses that take a domain's mail.
//!
//! ```text
//! target explained ─▶ its related names ─▶ each once in the run ─▶ lanes of their kind, as far as they are good
//!      finding of the target ◀─ still good and confirmed ◀─ a later good control ◀─ listed?
//! ```
//!
//! They concern the target and are not the target: what is found is a finding with `via`, and counts in no observation,
//! verdict or exit status. They are asked by the lists' own ways, within the operators' budgets, and a listing is told
//! only once a control has confirmed it. What cannot be learnt makes no finding. Lists that no target of the run is asked
//! of are examined when the first such name is known.
//! Bounds: [`RELATED_MAX`](crate::stages::RELATED_MAX) names a target, [`PER_RUN_MAX`] a run; a tile waits for its names.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::clock::Instant;
use crate::dnsxl::{Catalogue, Cause, Heard, ListIndex, Listing, Observation, Role, Tier, removal};
use crate::exchange::{Ask, End, Outcome};
use crate::plan::Treatment;
use crate::plan::habits::RELATED_PER_RUN_MAX as PER_RUN_MAX;
use crate::stages::{Finding, Severity};
use crate::targets::Target;
use crate::wire::Rtype;

use super::explain::{Explainer, cancelled};
use super::health::decoded;
use super::lane::{Lane, Standing};
use super::network::Network;
use super::ticket::{LaneIndex, Purpose};
use super::worker::Worker;

/// The stage's name in findings.
const STAGE: &str = "lists";

/// How far a list has come with a name.
#[derive(Debug, Clone, PartialEq)]
enum State {
    /// To be asked.
    Pending,
    /// Asked.
    Out,
    /// It is listed, and no control has been sent since.
    Heard(Box<Listing>),
    /// A control is out that will confirm the listing.
    Covered(Box<Listing>),
    /// It is listed.
    Confirmed(Box<Listing>),
    /// There is nothing to tell.
    Over,
}

#[derive(Debug)]
struct Subject {
    target: Target,
    answers: BTreeMap<LaneIndex, State>,
    /// Listings by lists whose data is at hand: they need no question and no control.
    local: Vec<(ListIndex, Box<Listing>)>,
    /// Answers that are neither confirmed nor over.
    open: usize,
}

impl Subject {
    fn set(&mut self, lane: LaneIndex, state: State) {
        let is_open = |state: &State| !matches!(state, State::Confirmed(_) | State::Over);
        let now_open = is_open(&state);
        let slot = self.answers.get_mut(&lane).expect("it is asked of this lane");
        self.open -= usize::from(is_open(slot));
        self.open += usize::from(now_open);
        *slot = state;
    }
}

/// The related names of a run. See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Related {
    subjects: Vec<Subject>,
    numbers: HashMap<Target, u32>,
    /// Whose they are: by tile and offset.
    of: BTreeMap<(u32, u8), Vec<u32>>,
    /// What is pending, by lane.
    queues: BTreeMap<LaneIndex, VecDeque<u32>>,
    /// Lanes with a listing that no control has been sent for.
    heard: BTreeSet<LaneIndex>,
    stopped: bool,
}

impl Related {
    /// Whether a control of the lane is wanted.
    pub(super) fn is_due(&self, index: LaneIndex, lane: &Lane) -> bool {
        lane.control.is_none() && self.heard.contains(&index)
    }

    /// Whether nothing more will be learnt of the names of a tile's targets.
    pub(super) fn is_settled(&self, tile: u32) -> bool {
        let mut numbers = self.of.range((tile, 0)..=(tile, u8::MAX)).flat_map(|(_, all)| all);
        self.stopped || numbers.all(|&number| self.subjects[number as usize].open == 0)
    }

    /// A control of the lane goes out.
    pub(super) fn cover(&mut self, lane: LaneIndex) {
        if self.heard.remove(&lane) {
            self.change(lane, |state| match state {
                State::Heard(listing) => Some(State::Covered(listing.clone())),
                _ => None,
            });
        }
    }

    /// A control of the lane was good.
    pub(super) fn confirm(&mut self, lane: LaneIndex) {
        self.change(lane, |state| match state {
            State::Covered(listing) => Some(State::Confirmed(listing.clone())),
            _ => None,
        });
    }

    /// What the lane said since its last good control is taken back: it is asked again once the lane is good.
    pub(super) fn revoke(&mut self, lane: LaneIndex) {
        self.heard.remove(&lane);
        let revoked = self.change(lane, |state| match state {
            State::Heard(_) | State::Covered(_) => Some(State::Pending),
            _ => None,
        });
        if !revoked.is_empty() {
            self.queues.entry(lane).or_default().extend(revoked);
        }
    }

    /// Changes the lane's answers; the numbers of those that were changed.
    fn change(&mut self, lane: LaneIndex, to: impl Fn(&State) -> Option<State>) -> Vec<u32> {
        let mut changed = Vec::new();
        for (number, subject) in self.subjects.iter_mut().enumerate() {
            if let Some(state) = subject.answers.get(&lane).and_then(&to) {
                subject.set(lane, state);
                changed.push(number as u32); // PER_RUN_MAX at most
            }
        }
        changed
    }

    /// Nothing more is asked.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.queues.clear();
        self.heard.clear();
    }

    /// Tells the targets of a tile what was found of their names. They are told once.
    pub(super) fn conclude(&mut self, tile: u32, by: (&Catalogue, &[Lane]), explainer: &mut Explainer) {
        let mut mine = self.of.split_off(&(tile, 0));
        self.of.append(&mut mine.split_off(&(tile + 1, 0)));
        for (place, numbers) in mine {
            let subjects = || numbers.iter().map(|&number| &self.subjects[number as usize]);
            let mut findings: Vec<Finding> = subjects().flat_map(|subject| subject.findings(by)).collect();
            if subjects().any(|subject| subject.open > 0) {
                findings.push(cancelled());
            }
            explainer.add(place, findings);
        }
    }
}

impl Subject {
    fn findings(&self, (catalogue, lanes): (&Catalogue, &[Lane])) -> Vec<Finding> {
        let told = self.answers.iter().filter_map(|(index, state)| {
            let lane = &lanes[usize::from(index.0)];
            // A list that was given up since has no say any more.
            let trusted = matches!(lane.standing, Standing::Good | Standing::GivenUp(Cause::Cancelled));
            match state {
                State::Confirmed(listing) if trusted => Some(finding(&self.target, catalogue, lane.list, listing)),
                _ => None,
            }
        });
        let local = self.local.iter();
        let local = local.map(|(list, listing)| finding(&self.target, catalogue, *list, listing));
        local.chain(told).collect()
    }
}

fn finding(subject: &Target, catalogue: &Catalogue, list: ListIndex, listing: &Listing) -> Finding {
    let (list, operator) = (catalogue.list(list), catalogue.operator_of(list));
    let what = match subject {
        Target::Domain(_) => "the domain of the address's name",
        Target::Ip4(_) | Target::Ip6(_) => "where the domain's mail is taken",
    };
    let codes: Vec<String> = listing
        .codes
        .answers
        .iter()
        .enumerate()
        .map(|(at, code)| match listing.codes.meanings.get(at) {
            Some(meaning) => format!("{code}: {meaning}"),
            None => code.to_string(),
        })
        .collect();
    let severity = match listing.tier {
        Tier::A | Tier::B => Severity::Warning,
        Tier::C | Tier::W => Severity::Info,
    };
    let text = format!("{subject}, {what}, is listed by {} ({})", list.id, codes.join("; "));
    Finding::new(STAGE, severity, "related_listed", text)
        .mend(removal(list, operator, subject))
        .via(subject.to_string())
}

impl<N: Network> Worker<'_, N> {
    /// Takes note of the names that targets were found to be related to.
    pub(super) fn note_related(&mut self) {
        for (place, names) in self.explainer.take_found() {
            for name in names {
                if let Some(number) = self.number_of_related(name) {
                    self.related.of.entry(place).or_default().push(number);
                }
            }
            self.stirred = true;
        }
    }

    /// The number of a related name; none for one too many.
    fn number_of_related(&mut self, target: Target) -> Option<u32> {
        if let Some(&number) = self.related.numbers.get(&target) {
            return Some(number);
        }
        let number = self.related.subjects.len();
        if number == PER_RUN_MAX {
            return None;
        }
        let kind = target.kind();
        let mut answers = BTreeMap::new();
        let mut local = Vec::new();
        for column in 0..self.plan.columns.len() {
            let treatment = self.plan.treatment(column, kind);
            if treatment == Treatment::Local {
                local.extend(self.listing_at_hand(column, &target));
            }
            let asked = treatment == Treatment::Ask;
            let Some(lane) = self.lanes_of[column][kind as usize].filter(|_| asked) else {
                continue;
            };
            self.wake(lane);
            answers.insert(lane, State::Pending);
            self.related.queues.entry(lane).or_default().push_back(number as u32);
        }
        self.related.numbers.insert(target.clone(), number as u32);
        self.related.subjects.push(Subject {
            target,
            open: answers.len(),
            answers,
            local,
        });
        Some(number as u32)
    }

    /// What data at hand says against a name.
    fn listing_at_hand(&self, column: usize, target: &Target) -> Option<(ListIndex, Box<Listing>)> {
        let column = &self.plan.columns[column];
        match column.local?.observe(target) {
            Observation::Listed(listing) if listing.role == Role::Block => Some((column.list, listing)),
            _ => None,
        }
    }

    /// Asks the lanes that are good about the names that are pending, as far as the engine has room and the operators'
    /// budgets last.
    pub(super) fn ask_related(&mut self, now: Instant) {
        let tries = 1 + u64::from(self.options.retries);
        let lanes: Vec<LaneIndex> = self.related.queues.keys().copied().collect();
        for index in lanes {
            let lane = &self.lanes[usize::from(index.0)];
            let (route, column) = (lane.route, lane.column);
            let mut allowance = match lane.standing {
                Standing::Good => self.allowance(now, index),
                Standing::GivenUp(_) => 0,
                _ => continue, // until it is known how it stands
            };
            let given_up = matches!(self.lanes[usize::from(index.0)].standing, Standing::GivenUp(_));
            while let Some(number) = self.related.queues.get_mut(&index).and_then(VecDeque::pop_front) {
                let questions = self.plan.columns[column].asked();
                let names = questions.names(&self.related.subjects[number as usize].target);
                // An address and a registrable domain are asked by one name.
                let name = names.ok().and_then(|names| names.iter().next().cloned());
                let Some(name) = name.filter(|_| !given_up && allowance >= tries) else {
                    self.related.subjects[number as usize].set(index, State::Over);
                    continue;
                };
                if self.engine.room(route) == 0 {
                    self.related.queues.entry(index).or_default().push_front(number);
                    break;
                }
                let ask = Ask {
                    ticket: Purpose::Related { lane: index, number }.ticket(),
                    route: self.way_to(index, &name),
                    name: &name,
                    rtype: Rtype::A,
                    probe: false,
                };
                self.engine.submit(now, ask).expect("there was room for it");
                allowance = allowance.saturating_sub(tries);
                let lane = &mut self.lanes[usize::from(index.0)];
                lane.in_flight += 1;
                lane.asked += 1;
                self.related.subjects[number as usize].set(index, State::Out);
            }
            if self.related.queues.get(&index).is_some_and(VecDeque::is_empty) {
                self.related.queues.remove(&index);
            }
        }
    }

    /// Takes a list's answer about a name. It says something only if the list is good and the answer is one.
    pub(super) fn take_related(&mut self, index: LaneIndex, number: u32, outcome: &Outcome) {
        let lane = &mut self.lanes[usize::from(index.0)];
        lane.in_flight -= 1;
        if self.related.stopped {
            return;
        }
        let believed = !matches!(outcome.end, End::Reply(_)) || lane.hear(outcome.upstream);
        let column = lane.column;
        if !believed || lane.standing != Standing::Good {
            // It is asked again when the lane is good, or is over when it is given up.
            self.related.subjects[number as usize].set(index, State::Pending);
            self.related.queues.entry(index).or_default().push_back(number);
            self.stirred = true;
            return;
        }
        let subject = &self.related.subjects[number as usize];
        let questions = self.plan.columns[column].asked();
        let names = questions.names(&subject.target);
        let names = names.expect("it was asked by this name");
        let name = names.iter().next().expect("it was asked by this name");
        let observation = match &outcome.end {
            End::Reply(reply) => {
                let answer = decoded(&outcome.end, name, Rtype::A);
                let reader = self.reader(&self.lanes[usize::from(index.0)]);
                reader.interpret(Heard::of(reply, answer.as_ref()))
            }
            End::Silent | End::Unsent(_) => Observation::Unknown(Cause::Timeout),
        };
        let state = match observation {
            Observation::Listed(listing) if listing.role == Role::Block => match self.options.skip_health {
                true => State::Confirmed(listing),
                false => {
                    self.related.heard.insert(index);
                    State::Heard(listing)
                }
            },
            _ => State::Over,
        };
        self.related.subjects[number as usize].set(index, state);
    }

    /// Whether the oldest tile waits for nothing but a control that has not been sent.
    pub(super) fn is_related_due(&self) -> bool {
        let due = |index: &LaneIndex| {
            let lane = &self.lanes[usize::from(index.0)];
            lane.standing == Standing::Good && self.related.is_due(*index, lane)
        };
        self.knows_resolvers()
            && self.related.heard.iter().any(due)
            && self.window.oldest_is_settled()
            && self.explainer.is_explained(self.window.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnsxl::ReturnCodes;
    use crate::exchange::Route;
    use crate::targets::{Domain, Kind};

    const LANE: LaneIndex = LaneIndex(0);

    fn heard() -> Related {
        let target = Target::Domain(Domain::new("example.org").expect("a domain"));
        let listing = Listing {
            codes: ReturnCodes::shared(vec![[127, 0, 0, 2].into()], vec!["listed".to_owned()]),
            role: Role::Block,
            tier: Tier::A,
            reason: None,
            ttl: 60,
            reason_cut: false,
            partial: false,
        };
        let mut related = Related::default();
        related.subjects.push(Subject {
            target,
            answers: [(LANE, State::Out)].into(),
            local: Vec::new(),
            open: 1,
        });
        related.of.insert((3, 7), vec![0]);
        related.subjects[0].set(LANE, State::Heard(Box::new(listing)));
        related.heard.insert(LANE);
        related
    }

    fn lane() -> Lane {
        Lane::new(ListIndex(0), 0, Kind::Domain, Route(0), false)
    }

    #[test]
    fn a_listing_is_settled_by_a_control_that_was_sent_after_it() {
        let mut related = heard();
        assert!(related.is_due(LANE, &lane()) && !related.is_settled(3) && related.is_settled(2));
        related.confirm(LANE); // of a control that was sent before
        assert!(!related.is_settled(3));
        related.cover(LANE);
        assert!(!related.is_due(LANE, &lane()) && !related.is_settled(3));
        related.confirm(LANE);
        assert!(related.is_settled(3));
        assert!(matches!(related.subjects[0].answers[&LANE], State::Confirmed(_)));
    }

    #[test]
    fn what_a_failed_control_takes_back_is_asked_again() {
        for covered in [false, true] {
            let mut related = heard();
            if covered {
                related.cover(LANE);
            }
            related.revoke(LANE);
            assert_eq!(related.subjects[0].answers[&LANE], State::Pending);
            assert_eq!(related.queues[&LANE], [0]);
            assert!(!related.is_settled(3));
            related.stop();
            assert!(related.is_settled(3), "nothing is waited for after a stop");
        }
    }

    #[test]
    fn a_list_that_was_given_up_has_no_say() {
        let mut related = heard();
        related.cover(LANE);
        related.confirm(LANE);
        let catalogue = Catalogue::parse(Catalogue::built_in_files()).expect("the built-in files are good");
        let told = |standing: Standing| {
            let lane = Lane { standing, ..lane() };
            related.subjects[0].findings((&catalogue, &[lane])).len()
        };
        assert_eq!(told(Standing::Good), 1);
        assert_eq!(told(Standing::GivenUp(Cause::ListUnhealthy)), 0);
        assert_eq!(told(Standing::GivenUp(Cause::Refused)), 0);
    }
}
