//! How lists die, each way once: the names follow the numbered failure modes that every release must survive.
//!
//! Each test serves a small world: a function from a probe to its reply, as a zone in that state would answer.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::control::{Control, judge_control};
use super::super::list::{List, OperatorIndex};
use super::super::probe::{Probe, canary, more_canaries, probes};
use super::super::query::Subject;
use super::super::resolver::{Evidence, ResolverVerdict, resolver_verdict};
use super::super::testing::{addresses, coded, list, name, nothing_from, operator};
use super::*;
use crate::wire::{Rdata, Record};

const PARKING: [u8; 4] = [91, 195, 240, 117];

fn reply(rcode: Rcode, answer: Answer) -> ProbeReply {
    ProbeReply::Reply {
        rcode,
        truncated: false,
        answers: (answer.records.len() + answer.aliases.len()) as u16,
        answer: Some(Box::new(answer)),
    }
}

fn listed(codes: &[[u8; 4]]) -> ProbeReply {
    reply(Rcode::NOERROR, addresses(codes))
}

fn nxdomain() -> ProbeReply {
    reply(Rcode::NXDOMAIN, nothing_from("bl.example"))
}

fn nodata() -> ProbeReply {
    reply(Rcode::NOERROR, nothing_from("bl.example"))
}

fn text() -> ProbeReply {
    text_of("a test")
}

fn text_of(text: &str) -> ProbeReply {
    let record = Record {
        name: name("2.0.0.127.bl.example"),
        ttl: 60,
        data: Rdata::Txt(vec![text.as_bytes().into()]),
    };
    let answer = Answer {
        records: vec![record],
        ..Answer::default()
    };
    reply(Rcode::NOERROR, answer)
}

/// What a healthy list answers.
fn well(probe: &Probe) -> ProbeReply {
    match probe.role {
        ProbeRole::Positive => listed(&[[127, 0, 0, 2]]),
        ProbeRole::Text => text(),
        _ => nxdomain(),
    }
}

fn ask(list: &List, kind: Kind, world: impl Fn(&Probe) -> ProbeReply) -> Vec<(ProbeRole, ProbeReply)> {
    let asked = probes(list, kind, &mut StdRng::seed_from_u64(3));
    asked.iter().map(|probe| (probe.role, world(probe))).collect()
}

fn with_reader<T>(list: &List, refusal: &[&str], run: impl FnOnce(&Reader<'_>) -> T) -> T {
    let (operator, apex) = (operator(refusal), name("bl.example"));
    run(&Reader {
        list,
        operator: &operator,
        apex: &apex,
    })
}

fn health(list: &List, kind: Kind, refusal: &[&str], world: impl Fn(&Probe) -> ProbeReply) -> Health {
    let replies = ask(list, kind, world);
    with_reader(list, refusal, |reader| judge(reader, kind, &replies))
}

fn state(list: &List, kind: Kind, world: impl Fn(&Probe) -> ProbeReply) -> State {
    match health(list, kind, &[], world) {
        Health::Unhealthy(fault) => fault.state,
        other => panic!("unhealthy, not {other:?}"),
    }
}

fn block() -> List {
    coded("bl.example", &[("127.0.0.2", "spam"), ("127.0.0.4", "worse")])
}

fn names() -> List {
    let mut list = block();
    list.kinds = vec![Kind::Domain];
    list
}

#[test]
fn a_working_list_is_healthy_for_every_kind() {
    for kind in Kind::ALL {
        assert_eq!(health(&block(), kind, &[], well), Health::Healthy);
    }
}

#[test]
fn no_evidence_is_no_health() {
    let list = block();
    for left_out in [ProbeRole::Positive, ProbeRole::Negative, ProbeRole::Canary] {
        let mut replies = ask(&list, Kind::Ip4, well);
        replies.retain(|(role, _)| *role != left_out);
        let health = with_reader(&list, &[], |reader| judge(reader, Kind::Ip4, &replies));
        assert!(
            matches!(health, Health::Unhealthy(fault) if fault.state == State::Unreachable),
            "{left_out:?}"
        );
    }
}

#[test]
fn f1_a_wildcard_lists_the_world() {
    let wildcard = |_: &Probe| listed(&[[127, 0, 0, 2]]);
    for kind in Kind::ALL {
        assert_eq!(state(&block(), kind, wildcard), State::ListsWorld);
    }
    // It may even know better than to list 127.0.0.1: then the canaries tell, in the end.
    let sly = |probe: &Probe| match probe.role {
        ProbeRole::Negative => nxdomain(),
        _ => listed(&[[127, 0, 0, 2]]),
    };
    assert_eq!(state(&names(), Kind::Domain, sly), State::ListsWorld);
    assert_eq!(health(&block(), Kind::Ip4, &[], sly), Health::Doubtful);
    let list = block();
    let mut replies = ask(&list, Kind::Ip4, sly);
    let more = more_canaries(Kind::Ip4, &mut StdRng::seed_from_u64(4));
    replies.extend(more.iter().map(|probe| (probe.role, sly(probe))));
    let verdict = |replies: &[_]| with_reader(&list, &[], |reader| judge(reader, Kind::Ip4, replies));
    assert!(matches!(verdict(&replies), Health::Unhealthy(fault) if fault.state == State::ListsWorld));
    // A single canary that is not listed clears an address list.
    let last = replies.last_mut().expect("canaries");
    last.1 = nxdomain();
    assert_eq!(verdict(&replies), Health::Healthy);
}

#[test]
fn f2_a_wildcard_outside_127_is_parked() {
    assert_eq!(state(&block(), Kind::Ip4, |_| listed(&[PARKING])), State::Parked);
    let only_canaries = |probe: &Probe| match probe.role {
        ProbeRole::Canary => listed(&[PARKING]),
        _ => well(probe),
    };
    assert_eq!(state(&block(), Kind::Ip4, only_canaries), State::Parked);
}

#[test]
fn f3_several_parking_addresses_an_alias_or_no_a_record_at_all() {
    assert_eq!(
        state(&block(), Kind::Ip4, |_| listed(&[PARKING, [127, 0, 0, 2]])),
        State::Parked
    );
    let alias = |_: &Probe| {
        let mut answer = addresses(&[[127, 0, 0, 2]]);
        answer.aliases = vec![name("2.0.0.127.secretkey.parking.test")];
        reply(Rcode::NOERROR, answer)
    };
    let Health::Unhealthy(fault) = health(&block(), Kind::Ip4, &[], alias) else {
        panic!("unhealthy")
    };
    assert_eq!(fault.state, State::Parked);
    assert!(
        !fault.why.contains("secretkey"),
        "an alias may quote the key: {}",
        fault.why
    );
    assert_eq!(state(&block(), Kind::Ip4, |_| nodata()), State::NoTestPoint);
    let only_text = |probe: &Probe| match probe.role {
        ProbeRole::Text => text_of("v=spf1 -all"),
        _ => nodata(),
    };
    assert_eq!(state(&block(), Kind::Ip4, only_text), State::NoTestPoint);
}

#[test]
fn f4_an_emptied_zone_has_no_test_point() {
    assert_eq!(state(&block(), Kind::Ip4, |_| nxdomain()), State::NoTestPoint);
    assert_eq!(State::NoTestPoint.cause(), Cause::ListUnhealthy);
}

#[test]
fn f5_an_emptied_zone_that_keeps_its_test_point_is_known_by_the_catalogue_alone() {
    let mut retired = block();
    assert_eq!(health(&retired, Kind::Ip4, &[], well), Health::Healthy);
    retired.status = Status::Retired;
    assert_eq!(state(&retired, Kind::Ip4, well), State::Retired);
}

#[test]
fn f6_servers_in_test_net_are_unreachable() {
    assert_eq!(state(&block(), Kind::Ip4, |_| ProbeReply::Silent), State::Unreachable);
    assert_eq!(State::Unreachable.cause(), Cause::Timeout);
}

#[test]
fn f7_nxdomain_from_above_the_zone_means_that_the_zone_is_gone() {
    let gone = |_: &Probe| reply(Rcode::NXDOMAIN, nothing_from("example"));
    assert_eq!(state(&block(), Kind::Ip4, gone), State::ZoneGone);
    // A list without a test entry, too.
    let mut untested = block();
    untested.test.listed = Some(String::new());
    assert_eq!(state(&untested, Kind::Ip4, gone), State::ZoneGone);
    // A list that lives in its parent's zone is healthy, if its test entry is.
    let inside = |probe: &Probe| match probe.role {
        ProbeRole::Positive => well(probe),
        _ => gone(probe),
    };
    assert_eq!(health(&block(), Kind::Ip4, &[], inside), Health::Healthy);
}

#[test]
fn f8_lame_servers_fail_or_refuse() {
    for (rcode, expected) in [
        (Rcode::SERVFAIL, State::Servfail),
        (Rcode::REFUSED, State::Refused),
        (Rcode::NOTAUTH, State::Refused),
    ] {
        assert_eq!(
            state(&block(), Kind::Ip4, |_| reply(rcode, Answer::default())),
            expected
        );
    }
}

#[test]
fn f9_operators_refuse_by_code() {
    for code in [[127, 0, 0, 1], [127, 0, 0, 255], [127, 0, 10, 3], [127, 255, 255, 254]] {
        let refusal = ["127.0.0.1", "127.0.0.255", "127.0.10.*"];
        let refused = health(&block(), Kind::Ip4, &refusal, |_| listed(&[code]));
        assert!(
            matches!(&refused, Health::Unhealthy(fault) if fault.state == State::Refused && fault.cause() == Cause::Refused),
            "{code:?}: {refused:?}"
        );
    }
}

fn control(list: &List, role: ProbeRole, reply: &ProbeReply, listed_before: usize) -> Control {
    with_reader(list, &["127.0.0.1"], |reader| {
        judge_control(reader, Kind::Ip4, (role, reply), listed_before)
    })
}

fn failed(control: Control) -> State {
    match control {
        Control::Failed(fault) => fault.state,
        other => panic!("failed, not {other:?}"),
    }
}

#[test]
fn f10_a_list_that_turns_silent_or_refuses_in_the_middle_fails_its_control() {
    let list = block();
    for role in [ProbeRole::Canary, ProbeRole::Positive] {
        assert_eq!(failed(control(&list, role, &ProbeReply::Silent, 0)), State::Unreachable);
        assert_eq!(
            failed(control(&list, role, &listed(&[[127, 0, 0, 1]]), 0)),
            State::Refused
        );
    }
    assert_eq!(control(&list, ProbeRole::Canary, &nxdomain(), 0), Control::Good);
    assert_eq!(control(&list, ProbeRole::Canary, &nodata(), 0), Control::Good);
    assert_eq!(
        control(&list, ProbeRole::Positive, &listed(&[[127, 0, 0, 2]]), 0),
        Control::Good
    );
    assert_eq!(
        failed(control(&list, ProbeRole::Positive, &nxdomain(), 0)),
        State::NoTestPoint
    );
    assert_eq!(
        failed(control(&list, ProbeRole::Positive, &listed(&[[127, 0, 0, 77]]), 0)),
        State::UndefinedCode
    );
}

/// The evidence of lists of different operators in the same world.
fn evidence(kind: Kind, operators: u16, world: impl Fn(&Probe) -> ProbeReply + Copy) -> Vec<Evidence> {
    let of_operator = |operator| {
        let mut list = block();
        list.operator = OperatorIndex(operator);
        let replies = ask(&list, kind, world);
        with_reader(&list, &["127.0.0.1"], |reader| Evidence::of(reader, kind, &replies))
    };
    (0..operators).map(of_operator).collect()
}

#[test]
fn f11_a_resolver_that_rewrites_nxdomain_is_told_from_parked_lists() {
    let rewriting = |probe: &Probe| match well(probe) {
        ProbeReply::Reply { rcode, .. } if rcode == Rcode::NXDOMAIN => listed(&[PARKING]),
        other => other,
    };
    let hijacked = evidence(Kind::Ip4, 2, rewriting);
    assert_eq!(
        resolver_verdict(&hijacked),
        ResolverVerdict::RewritesNxdomain(PARKING.into())
    );
    // One list with a clean NXDOMAIN and the others are merely parked.
    let mut parked = evidence(Kind::Ip4, 2, |_| listed(&[PARKING]));
    parked.extend(evidence(Kind::Ip4, 1, well));
    assert_eq!(resolver_verdict(&parked), ResolverVerdict::Fine);
    assert_eq!(
        resolver_verdict(&evidence(Kind::Ip4, 1, rewriting)),
        ResolverVerdict::Fine
    );
}

#[test]
fn f12_a_resolver_that_takes_127_out_loses_every_test_point_at_once() {
    let stripping = |probe: &Probe| match probe.role {
        ProbeRole::Positive => nodata(),
        _ => well(probe),
    };
    assert_eq!(state(&block(), Kind::Ip4, stripping), State::Stripped);
    assert_eq!(State::Stripped.cause(), Cause::ResolverBroken);
    let lost = evidence(Kind::Ip4, 2, stripping);
    assert_eq!(resolver_verdict(&lost), ResolverVerdict::StripsLoopback);
    let mut one_through = lost;
    one_through.extend(evidence(Kind::Ip4, 1, well));
    assert_eq!(resolver_verdict(&one_through), ResolverVerdict::Fine);
    // Two empty zones prove nothing.
    assert_eq!(
        resolver_verdict(&evidence(Kind::Ip4, 2, |_| nodata())),
        ResolverVerdict::Unproven
    );
}

#[test]
fn f13_minimised_names_lose_what_has_two_labels() {
    let minimising = |probe: &Probe| match &probe.subject {
        Subject::Name(name) if name.label_count() == 1 && probe.role != ProbeRole::Negative => {
            listed(&[[127, 0, 0, 2]])
        }
        _ => nxdomain(),
    };
    let mut longer = names();
    longer.test.listed = Some("dbltest.example".into());
    assert_eq!(state(&longer, Kind::Domain, minimising), State::Minimised);
    assert_eq!(
        resolver_verdict(&evidence(Kind::Ip4, 3, minimising)),
        ResolverVerdict::Minimises
    );
    // The one-label entry of a name list is no witness for the resolver.
    let mut mixed = evidence(Kind::Ip4, 3, minimising);
    mixed.extend(evidence(Kind::Domain, 1, minimising));
    assert_eq!(resolver_verdict(&mixed), ResolverVerdict::Minimises);
}

#[test]
fn f14_lists_with_quirks_pass_by_their_own_test_entries() {
    // 127.0.0.1 is a real code: a different set of codes on both entries is a reputation zone.
    let mut hostkarma = coded("bl.example", &[("127.0.0.1", "white"), ("127.0.0.2", "black")]);
    let both = |probe: &Probe| match probe.role {
        ProbeRole::Negative => listed(&[[127, 0, 0, 1]]),
        _ => well(probe),
    };
    assert_eq!(health(&hostkarma, Kind::Ip4, &[], both), Health::Healthy);
    hostkarma.test.unlisted = Some(String::new());
    assert_eq!(health(&hostkarma, Kind::Ip4, &[], both), Health::Healthy);
    // No test entry at all.
    let mut untested = block();
    untested.test.listed = Some(String::new());
    assert_eq!(health(&untested, Kind::Ip4, &[], |_| nxdomain()), Health::Healthy);
    assert_eq!(
        state(&untested, Kind::Ip4, |_| listed(&[[127, 0, 0, 2]])),
        State::ListsWorld
    );
    // A test entry with a code of its own.
    let own_code = |probe: &Probe| match probe.role {
        ProbeRole::Positive => listed(&[[127, 0, 0, 99]]),
        _ => well(probe),
    };
    let mut suomispam = block();
    assert_eq!(state(&suomispam, Kind::Ip4, own_code), State::UndefinedCode);
    suomispam.test.code = Some([127, 0, 0, 99].into());
    assert_eq!(health(&suomispam, Kind::Ip4, &[], own_code), Health::Healthy);
    // The wrong way round.
    let inverted = |probe: &Probe| match probe.role {
        ProbeRole::Negative => listed(&[[127, 0, 0, 2]]),
        _ => nxdomain(),
    };
    assert_eq!(state(&block(), Kind::Ip4, inverted), State::Inverted);
    // Facts about every address there is.
    let mut countries = list("bl.example");
    countries.role = Role::Info;
    let everything = |probe: &Probe| match probe.role {
        ProbeRole::Canary => listed(&[[127, 0, 3, 72]]),
        _ => well(probe),
    };
    assert_eq!(health(&countries, Kind::Ip4, &[], everything), Health::Healthy);
}

/// A list of grades knows everybody; a wildcard that gives everybody the worst grade makes listings all the same.
#[test]
fn f01_a_list_of_facts_that_blocks_everybody_is_found_out() {
    let mut grades = coded("bl.example", &[("127.0.0.2", "test entry"), ("127.0.0.10", "worst")]);
    grades.role = Role::Info;
    grades.codes.entries[1].role = Some(Role::Block);
    grades.test.unlisted = Some(String::new());
    let graded = |code: u8| {
        move |probe: &Probe| match probe.role {
            ProbeRole::Canary => listed(&[[127, 0, 0, code]]),
            _ => well(probe),
        }
    };
    assert_eq!(health(&grades, Kind::Ip4, &[], graded(2)), Health::Healthy);
    assert_eq!(health(&grades, Kind::Ip4, &[], graded(10)), Health::Doubtful);
    let canaries: Vec<_> = (0..CANARIES_DECISIVE)
        .map(|_| (ProbeRole::Canary, listed(&[[127, 0, 0, 10]])))
        .collect();
    let mut replies = ask(&grades, Kind::Ip4, graded(10));
    replies.extend(canaries);
    let Health::Unhealthy(fault) = with_reader(&grades, &[], |reader| judge(reader, Kind::Ip4, &replies)) else {
        panic!("it lists the world")
    };
    assert_eq!(fault.state, State::ListsWorld);
    // And in the middle of a run.
    assert_eq!(
        control(&grades, ProbeRole::Canary, &listed(&[[127, 0, 0, 2]]), 0),
        Control::Good
    );
    assert_eq!(
        control(&grades, ProbeRole::Canary, &listed(&[[127, 0, 0, 10]]), 0),
        Control::Again
    );
}

#[test]
fn f15_a_domain_that_lapses_during_the_run_fails_its_control() {
    let list = block();
    for role in [ProbeRole::Canary, ProbeRole::Positive] {
        assert_eq!(failed(control(&list, role, &listed(&[PARKING]), 0)), State::Parked);
    }
    let gone = reply(Rcode::NXDOMAIN, nothing_from("example"));
    assert_eq!(failed(control(&list, ProbeRole::Canary, &gone, 0)), State::ZoneGone);
    // A listed address canary asks for another one, up to a bound; a listed name convicts.
    let hit = listed(&[[127, 0, 0, 2]]);
    assert_eq!(control(&list, ProbeRole::Canary, &hit, 0), Control::Again);
    assert_eq!(
        failed(control(&list, ProbeRole::Canary, &hit, CANARIES_DECISIVE - 1)),
        State::ListsWorld
    );
    let names = names();
    let verdict = with_reader(&names, &[], |reader| {
        judge_control(reader, Kind::Domain, (ProbeRole::Canary, &hit), 0)
    });
    assert_eq!(failed(verdict), State::ListsWorld);
}

#[test]
fn f17_a_stale_answer_cannot_vouch_for_a_list_because_canaries_are_never_cached() {
    let list = block();
    let stale = listed(&[[127, 0, 0, 2]]);
    assert_eq!(control(&list, ProbeRole::Positive, &stale, 0), Control::Good);
    let canary_now = reply(Rcode::SERVFAIL, Answer::default());
    assert_eq!(
        failed(control(&list, ProbeRole::Canary, &canary_now, 0)),
        State::Servfail
    );
    // And in the preflight.
    let stale_world = |probe: &Probe| match probe.role {
        ProbeRole::Canary => canary_now.clone(),
        _ => well(probe),
    };
    assert_eq!(state(&list, Kind::Ip4, stale_world), State::Servfail);
    let mut rng = StdRng::seed_from_u64(5);
    assert_ne!(canary(Kind::Ip4, &mut rng), canary(Kind::Ip4, &mut rng));
}

#[test]
fn f18_answers_for_another_name_are_no_listing() {
    // The decoder leaves records of other names out: the header says one answer, and there is none for this name.
    let for_another = |_: &Probe| ProbeReply::Reply {
        rcode: Rcode::NOERROR,
        truncated: false,
        answers: 1,
        answer: Some(Box::default()),
    };
    assert_eq!(state(&block(), Kind::Ip4, for_another), State::Garbled);
}

#[test]
fn replies_cut_short_are_a_limited_rate_and_no_health() {
    let cut = |_: &Probe| ProbeReply::Reply {
        rcode: Rcode::NOERROR,
        truncated: true,
        answers: 0,
        answer: None,
    };
    assert_eq!(state(&block(), Kind::Ip4, cut), State::Cut);
}

#[test]
fn a_resolver_that_is_silent_or_refused_is_judged_by_silence_alone() {
    assert_eq!(
        resolver_verdict(&evidence(Kind::Ip4, 2, |_| ProbeReply::Silent)),
        ResolverVerdict::Silent
    );
    let refused = evidence(Kind::Ip4, 3, |_| reply(Rcode::REFUSED, Answer::default()));
    assert_eq!(resolver_verdict(&refused), ResolverVerdict::Unproven);
    assert_eq!(resolver_verdict(&[]), ResolverVerdict::Unproven);
}
