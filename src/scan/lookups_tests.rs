//! Lookups over a real engine in virtual time: every packet is answered, or not, by the test.

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name as CodecName, RData, Record as CodecRecord};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::datagram::{Batch, Received};
use crate::engine::{EngineOptions, UpstreamOptions};
use crate::scan::explain::open_ways;

const SERVER: &str = "192.0.2.53:53";

struct Desk {
    engine: Engine,
    ways: Ways,
    lookups: Rc<Lookups>,
    now: Instant,
    /// Packets sent, as `name TYPE`.
    sent: Vec<String>,
    /// Somebody who has guessed all of the next question but its letter case answers first, with this address.
    forged: Option<[u8; 4]>,
}

/// What the server does with a question: records as (owner, TTL, data), a code, an SOA's TTL; none: silence.
type Answering<'a> = &'a dyn Fn(&str) -> Option<(Vec<(&'static str, u32, RData)>, ResponseCode, Option<u32>)>;

impl Desk {
    fn new() -> Desk {
        let mut engine = Engine::new(
            EngineOptions {
                slots: 256,
                timeout: Span::from_secs(3),
                retries: 1,
                rate_qps: None,
            },
            StdRng::seed_from_u64(1),
        );
        let port = engine.add_port();
        let upstream = engine.add_upstream(UpstreamOptions {
            address: SERVER.parse().expect("an address"),
            ports: vec![port],
            recursive: true,
            window_max: 64,
            path_window_max: 64,
            careful: false,
            trains: false,
            rate_qps: None,
        });
        let ways = open_ways(&mut engine, &[upstream], &[]);
        Desk {
            engine,
            ways,
            lookups: Rc::default(),
            now: Instant::from_nanos(1),
            sent: Vec::new(),
            forged: None,
        }
    }

    fn begin(&self, name: &str) -> Pin<Box<dyn Future<Output = Lookup>>> {
        let lookups = Rc::clone(&self.lookups);
        let name = name.parse().expect("a good name");
        Box::pin(async move { lookups.lookup(name, Rtype::A).await })
    }

    /// Moves time on by `step`; what is sent is answered.
    fn turn(&mut self, step: Span, answering: Answering<'_>) {
        self.now += step;
        let now = self.now;
        self.lookups.set_now(now);
        self.engine.handle_timeout(now);
        self.outcomes();
        self.lookups.submit(&mut self.engine, &self.ways);
        let mut batch = Batch::new();
        self.engine.poll_transmit(now, &mut batch);
        for packet in batch.as_slice() {
            let query = Message::from_vec(packet.octets()).expect("a good query");
            let question = query.queries[0].clone();
            let name = question.name().to_ascii().to_ascii_lowercase(); // letters come in any case
            self.sent
                .push(format!("{} {}", name.trim_end_matches('.'), question.query_type()));
            let Some((records, code, soa)) = answering(name.trim_end_matches('.')) else {
                continue;
            };
            let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
            reply.add_query(question);
            reply.metadata.response_code = code;
            for (owner, ttl, data) in records {
                reply.add_answer(CodecRecord::from_rdata(codec(owner), ttl, data));
            }
            if let Some(ttl) = soa {
                let soa = SOA::new(codec("ns.test"), codec("host.test"), 1, 1, 1, 1, ttl);
                reply.add_authority(CodecRecord::from_rdata(codec("test"), 3_600, RData::SOA(soa)));
            }
            let lie = self.forged.take().map(|[a, b, c, d]| {
                let mut lie = Message::response(query.metadata.id, query.metadata.op_code);
                let mut question = query.queries[0].clone();
                question.set_name(codec(name.trim_end_matches('.')));
                lie.add_query(question);
                let data = RData::A(A::new(a, b, c, d));
                lie.add_answer(CodecRecord::from_rdata(codec(name.trim_end_matches('.')), 60, data));
                lie
            });
            for message in lie.into_iter().chain([reply]) {
                let received = Received {
                    port: packet.port,
                    from: SERVER.parse().expect("an address"),
                    octets: &message.to_vec().expect("a good reply"),
                };
                self.engine.receive(now, received);
            }
        }
        self.outcomes();
        self.lookups.submit(&mut self.engine, &self.ways);
    }

    fn outcomes(&mut self) {
        while let Some(outcome) = self.engine.poll_outcome() {
            let Purpose::Lookup { number } = Purpose::of(outcome.ticket) else {
                panic!("only lookups are asked here")
            };
            self.lookups.take(number, &outcome);
        }
    }

    /// Looks a name up to the end.
    fn look_up(&mut self, name: &str, answering: Answering<'_>) -> Lookup {
        let mut wait = self.begin(name);
        for _ in 0..1_000 {
            if let Poll::Ready(lookup) = poll(&mut wait) {
                return lookup;
            }
            self.turn(Span::from_millis(100), answering);
        }
        panic!("every lookup ends")
    }
}

fn codec(name: &str) -> CodecName {
    CodecName::from_ascii(format!("{name}.")).expect("a good name")
}

fn poll(wait: &mut Pin<Box<dyn Future<Output = Lookup>>>) -> Poll<Lookup> {
    wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn address(owner: &'static str, ttl: u32) -> (&'static str, u32, RData) {
    (owner, ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn alias(owner: &'static str, to: &str) -> (&'static str, u32, RData) {
    (owner, 60, RData::CNAME(CNAME(codec(to))))
}

const OK: ResponseCode = ResponseCode::NoError;

#[test]
fn r06_many_who_ask_the_same_cause_one_packet() {
    let mut desk = Desk::new();
    let mut waits: Vec<_> = (0..5).map(|_| desk.begin("a.test")).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait).is_pending()));
    let mut other = desk.begin("A.TEST");
    assert!(poll(&mut other).is_pending());
    desk.turn(Span::from_millis(1), &|_| Some((vec![address("a.test", 60)], OK, None)));
    for wait in waits.iter_mut().chain([&mut other]) {
        assert!(matches!(poll(wait), Poll::Ready(Lookup::Found(answer)) if answer.records.len() == 1));
    }
    assert_eq!(desk.sent, ["a.test A"]);
    assert!(desk.lookups.is_idle());
}

#[test]
fn an_answer_is_kept_for_its_ttl_and_no_longer() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|_| Some((vec![address("a.test", 60)], OK, None));
    desk.look_up("a.test", answering);
    desk.turn(Span::from_secs(50), answering);
    desk.look_up("a.test", answering);
    assert_eq!(desk.sent.len(), 1);
    desk.turn(Span::from_secs(11), answering);
    desk.look_up("a.test", answering);
    assert_eq!(desk.sent.len(), 2);
}

#[test]
fn nothing_is_kept_as_long_as_the_soa_says() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|name| match name {
        "none.test" => Some((vec![], ResponseCode::NXDomain, Some(30))),
        "empty.test" => Some((vec![], OK, Some(30))),
        _ => Some((vec![], OK, None)),
    };
    for _ in 0..2 {
        assert_eq!(desk.look_up("none.test", answering), Lookup::NxDomain);
        assert_eq!(desk.look_up("empty.test", answering), Lookup::NoData);
        assert_eq!(desk.look_up("mute.test", answering), Lookup::NoData);
    }
    assert_eq!(
        desk.sent.len(),
        4,
        "without an SOA nothing says how long: {:?}",
        desk.sent
    );
    desk.turn(Span::from_secs(31), answering);
    assert_eq!(desk.look_up("none.test", answering), Lookup::NxDomain);
    assert_eq!(desk.sent.len(), 5);
}

#[test]
fn aliases_are_followed_within_a_message_and_on() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|name| match name {
        "a.test" => Some((vec![alias("a.test", "b.test"), alias("b.test", "c.test")], OK, None)),
        "c.test" => Some((vec![address("c.test", 60)], OK, None)),
        _ => None,
    };
    let Lookup::Found(answer) = desk.look_up("a.test", answering) else {
        panic!("it has an address")
    };
    let aliases: Vec<String> = answer.aliases.iter().map(ToString::to_string).collect();
    assert_eq!(aliases, ["b.test", "c.test"]);
    assert_eq!(desk.sent, ["a.test A", "c.test A"]);
}

#[test]
fn an_alias_that_leads_nowhere_or_round_ends() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|name| match name {
        "round.test" => Some((vec![alias("round.test", "about.test")], OK, None)),
        "about.test" => Some((vec![alias("about.test", "round.test")], OK, None)),
        "gone.test" => Some((vec![alias("gone.test", "x.test")], ResponseCode::NXDomain, Some(30))),
        "bare.test" => Some((vec![alias("bare.test", "x.test")], OK, Some(30))),
        _ => None,
    };
    assert_eq!(desk.look_up("round.test", answering), Lookup::Failed(Rcode::SERVFAIL));
    assert!(desk.sent.len() <= CNAME_HOPS_MAX + 2);
    assert_eq!(desk.look_up("gone.test", answering), Lookup::NxDomain);
    assert_eq!(
        desk.look_up("bare.test", answering),
        Lookup::NoData,
        "the SOA says that x.test has none"
    );
}

#[test]
fn failures_are_told_from_absence_and_kept_for_a_short_while() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|name| match name {
        "bad.test" => Some((vec![], ResponseCode::Refused, None)),
        "" => Some((vec![], OK, None)),
        _ => None,
    };
    assert_eq!(desk.look_up("bad.test", answering), Lookup::Failed(Rcode::REFUSED));
    assert_eq!(desk.look_up("silent.test", answering), Lookup::Silent);
    let sent = desk.sent.len();
    assert_eq!(desk.look_up("bad.test", answering), Lookup::Failed(Rcode::REFUSED));
    assert_eq!(desk.look_up("silent.test", answering), Lookup::Silent);
    assert_eq!(desk.sent.len(), sent);
}

#[test]
fn zones_without_servers_do_not_pass_for_a_dead_resolver() {
    let mut desk = Desk::new();
    let answering: Answering<'_> = &|name| match name {
        "" => Some((vec![], OK, None)),
        "good.test" => Some((vec![address("good.test", 60)], OK, None)),
        _ => None,
    };
    let mut waits: Vec<_> = (0..60).map(|index| desk.begin(&format!("dead{index}.test"))).collect();
    for _ in 0..300 {
        desk.turn(Span::from_millis(100), answering);
        waits.retain_mut(|wait| poll(wait).is_pending());
    }
    assert!(waits.is_empty(), "every lookup ends");
    assert!(
        desk.sent.iter().any(|sent| sent == " NS"),
        "a sign of life is asked for"
    );
    assert!(matches!(desk.look_up("good.test", answering), Lookup::Found(_)));
}

#[test]
fn a_dead_resolver_costs_a_few_packets_and_no_time_out_for_every_name() {
    let mut desk = Desk::new();
    let mut waits: Vec<_> = (0..2_000).map(|index| desk.begin(&format!("a{index}.test"))).collect();
    for _ in 0..600 {
        desk.turn(Span::from_millis(100), &|_| None);
        waits.retain_mut(|wait| poll(wait).is_pending());
    }
    assert!(waits.is_empty(), "every lookup ends");
    assert!(desk.sent.len() < 400, "{}", desk.sent.len());
}

#[test]
fn a_stop_ends_all_now_and_later() {
    let mut desk = Desk::new();
    let mut waits: Vec<_> = (0..300).map(|index| desk.begin(&format!("a{index}.test"))).collect();
    desk.turn(Span::from_millis(1), &|_| None);
    desk.lookups.stop();
    desk.engine.cancel_all(desk.now);
    desk.outcomes();
    assert!(waits.iter_mut().all(|wait| poll(wait) == Poll::Ready(Lookup::Silent)));
    let sent = desk.sent.len();
    assert_eq!(desk.look_up("b.test", &|_| None), Lookup::Silent);
    assert_eq!(desk.sent.len(), sent);
    assert!(desk.lookups.is_idle());
}

#[test]
fn what_is_kept_is_bounded_by_its_weight() {
    let mut state = State::default();
    let lookup = Lookup::Found(
        Answer {
            aliases: vec![Name::root(); 8],
            ..Answer::default()
        }
        .into(),
    );
    let mut last = None;
    for index in 0..100_000u32 {
        let known = Rc::new(Known {
            key: Box::new(index.to_be_bytes()),
            end: RefCell::new(Some((lookup.clone(), Instant::FAR))),
            ..Known::default()
        });
        state.young.insert(Kept(Rc::clone(&known)));
        state.weigh(weight(&known.key, &lookup));
        assert!(state.weight <= WEIGHT_MAX);
        last = Some(known);
    }
    assert!(state.young.len() + state.old.len() < 2 * WEIGHT_MAX / (8 * size_of::<Name>()));
    state.key = 99_999u32.to_be_bytes().into();
    let kept = state.kept(Instant::ZERO).expect("the last is kept");
    assert!(Rc::ptr_eq(&kept, &last.expect("there was one")));
}

/// However much is learnt meanwhile, a question that is under way is not asked twice.
#[test]
fn what_is_under_way_is_found_in_any_generation() {
    let mut state = State::default();
    let slow = Rc::new(Known {
        key: Box::new(*b"slow"),
        ..Known::default()
    });
    state.young.insert(Kept(Rc::clone(&slow)));
    for _ in 0..5 {
        state.weigh(WEIGHT_MAX);
        state.key = b"slow".to_vec();
        assert!(Rc::ptr_eq(&state.kept(Instant::ZERO).expect("under way"), &slow));
    }
}

#[test]
fn r02_a_forged_reply_without_the_letter_case_is_no_answer_to_a_lookup() {
    let mut desk = Desk::new();
    for number in 0..20 {
        desk.forged = Some([198, 51, 100, 66]);
        let lookup = desk.look_up(&format!("some-name-{number}.example.test"), &|_| {
            Some((vec![], ResponseCode::NXDomain, Some(60)))
        });
        assert!(matches!(lookup, Lookup::NxDomain), "{number}: {lookup:?}");
        assert!(desk.forged.is_none(), "it came first");
    }
}
