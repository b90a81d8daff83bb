//! Malformed replies by class (RFC 9267 and the advisories behind it): each must be read as nothing, or as what of it is good,
//! and never as something else; none may panic or run on.

use reputon::wire::{Answer, DecodeError, Mismatch, Name, Rdata, Rtype, decode, match_reply};

const NAME: &[u8] = b"\x012\x010\x010\x03127\x02bl\x07example\x04test\x00";
/// A pointer to the question's name.
const ASKED: [u8; 2] = [0xc0, 12];
const NXDOMAIN: u8 = 3;

/// A reply to the A question for NAME, with so many records in each section and these octets behind the question.
fn reply(counts: [u16; 3], records: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 7, 0x84, 0, 0, 1];
    counts.iter().for_each(|count| message.extend(count.to_be_bytes()));
    message.extend(NAME);
    message.extend([0, 1, 0, 1]);
    message.extend(records);
    message
}

fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(rtype.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn listed() -> Vec<u8> {
    record(&ASKED, 1, &[127, 0, 0, 2])
}

fn asked() -> Name {
    Name::from_wire(NAME).expect("a name")
}

fn read(message: &[u8]) -> Result<Answer, DecodeError> {
    decode(message, &asked(), Rtype::A)
}

fn addresses(message: &[u8]) -> Vec<String> {
    let answer = read(message).expect("its question can be read");
    answer.addresses_v4().map(|address| address.to_string()).collect()
}

#[test]
fn r01_compression_loops_end() {
    let at = 12 + NAME.len() as u8 + 4;
    for owner in [[0xc0, at], [0xc0, at + 1]] {
        assert!(addresses(&reply([1, 0, 0], &record(&owner, 1, &[127, 0, 0, 2]))).is_empty());
    }
    // Two pointers at each other.
    let mut two = record(&[0xc0, at + 2], 1, &[127, 0, 0, 2]);
    two[2..4].copy_from_slice(&[0xc0, at]);
    assert!(addresses(&reply([1, 0, 0], &two)).is_empty());
}

#[test]
fn r01_forward_pointers_are_not_followed() {
    let at = 12 + NAME.len() as u8 + 4;
    let mut records = record(&[0xc0, at + 16], 1, &[127, 0, 0, 2]);
    records.extend(NAME);
    assert!(addresses(&reply([1, 0, 0], &records)).is_empty());
    assert!(addresses(&reply([1, 0, 0], &record(&[0xff, 0xff], 1, &[127, 0, 0, 2]))).is_empty());
}

#[test]
fn r01_a_chain_of_a_thousand_pointers_is_read_in_no_time_or_not_at_all() {
    let mut data = Vec::new();
    let start = 12 + NAME.len() + 4 + 12;
    for hop in 0..1_000u16 {
        let to = if hop == 0 { 12 } else { start as u16 + 2 * (hop - 1) };
        data.extend((0xc000 | to).to_be_bytes());
    }
    let mut records = record(&ASKED, 99, &data);
    let last = start as u16 + 2 * 999;
    for _ in 0..500 {
        records.extend(record(&(0xc000 | last).to_be_bytes(), 1, &[127, 0, 0, 2]));
    }
    let answer = read(&reply([501, 0, 0], &records)).expect("framed");
    assert!(answer.records.len() <= 500);
}

#[test]
fn r01_counts_beyond_the_message_are_not_believed() {
    for counts in [[u16::MAX, 0, 0], [u16::MAX; 3], [2, 0, 0]] {
        assert_eq!(
            addresses(&reply(counts, &listed())),
            ["127.0.0.2"],
            "what is there is read"
        );
    }
    let mut questions = reply([1, 0, 0], &listed());
    questions[4..6].copy_from_slice(&[0xff, 0xff]);
    assert!(read(&questions).is_err() || addresses(&questions).is_empty());
    assert_eq!(match_reply(&questions, NAME, Rtype::A, false), Err(Mismatch::Malformed));
}

#[test]
fn r01_labels_over_63_octets_are_no_labels() {
    for first in [64, 0x7f, 0x80, 0xbf] {
        let mut owner = vec![first];
        owner.extend([b'a'; 70]);
        owner.push(0);
        let mut records = record(&owner, 1, &[127, 0, 0, 2]);
        records.extend(listed());
        assert!(read(&reply([2, 0, 0], &records)).is_ok_and(|answer| answer.malformed > 0));
    }
}

#[test]
fn r01_names_over_255_octets_are_no_names() {
    let mut owner = Vec::new();
    for _ in 0..5 {
        owner.push(63);
        owner.extend([b'a'; 63]);
    }
    owner.push(0);
    let mut records = record(&owner, 1, &[127, 0, 0, 2]);
    records.extend(listed());
    let message = reply([2, 0, 0], &records);
    assert_eq!(addresses(&message), ["127.0.0.2"], "the good record beside it stays");
    assert_eq!(read(&message).expect("framed").malformed, 1);
}

#[test]
fn r01_truncated_rdata_is_left_out() {
    for data in [&[][..], &[127], &[127, 0, 0]] {
        let mut records = record(&ASKED, 1, data);
        records.extend(listed());
        assert_eq!(addresses(&reply([2, 0, 0], &records)), ["127.0.0.2"]);
    }
    for cut in 1..listed().len() {
        let records = &listed()[..cut];
        assert!(addresses(&reply([1, 0, 0], records)).is_empty(), "cut at {cut}");
    }
}

#[test]
fn r01_texts_of_odd_lengths_are_read_or_left_out() {
    for data in [&b""[..], b"\x00", b"\x05abc", b"\x03abc\xff", b"\xff"] {
        let message = reply([1, 0, 0], &record(&ASKED, 16, data));
        let answer = decode(&message, &asked(), Rtype::TXT).expect("framed");
        assert!(answer.texts().all(|text| text.len() <= data.len()));
    }
}

#[test]
fn r08_cname_loops_are_errors() {
    let to_self = record(&ASKED, 5, &ASKED);
    assert_eq!(read(&reply([1, 0, 0], &to_self)), Err(DecodeError::CnameLoop));
    let other = b"\x01x\x00";
    let mut two = record(&ASKED, 5, other);
    two.extend(record(other, 5, &ASKED));
    assert_eq!(read(&reply([2, 0, 0], &two)), Err(DecodeError::CnameLoop));
}

#[test]
fn r08_a_chain_beyond_its_bound_is_an_error_and_other_names_records_are_ignored() {
    let mut chain = record(&ASKED, 5, b"\x010\x00");
    for number in 0..9u8 {
        chain.extend(record(&[1, b'0' + number, 0], 5, &[1, b'1' + number, 0]));
    }
    chain.extend(record(b"\x019\x00", 1, &[127, 0, 0, 3]));
    assert_eq!(addresses(&reply([11, 0, 0], &chain)), ["127.0.0.3"]);
    let mut long = record(&ASKED, 5, b"\x01A\x00");
    for letter in b'A'..=b'Y' {
        long.extend(record(&[1, letter, 0], 5, &[1, letter + 1, 0]));
    }
    assert_eq!(read(&reply([26, 0, 0], &long)), Err(DecodeError::CnameLoop));
    let poison = record(b"\x05other\x00", 1, &[127, 0, 0, 9]);
    assert!(addresses(&reply([1, 0, 0], &poison)).is_empty());
}

#[test]
fn r01_thousands_of_records_are_bounded() {
    let mut records = Vec::new();
    (0..4_000).for_each(|_| records.extend(listed()));
    let answer = read(&reply([4_000, 0, 0], &records)).expect("framed");
    assert!(answer.records.len() <= 1_024, "{}", answer.records.len());
}

#[test]
fn r08_records_of_the_wrong_section_are_no_answers() {
    let mut message = reply([0, 1, 0], &listed());
    assert!(addresses(&message).is_empty());
    message = reply([0, 0, 1], &listed());
    assert!(addresses(&message).is_empty());
    message[3] |= NXDOMAIN;
    assert_eq!(
        match_reply(&message, NAME, Rtype::A, false).expect("it fits").answers,
        0
    );
}

#[test]
fn r14_opt_twice_and_options_that_overrun_do_no_harm() {
    let opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    let overrun = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0f\xff\xff";
    let mut records = listed();
    records.extend(opt);
    records.extend(opt);
    records.extend(overrun);
    assert_eq!(addresses(&reply([1, 0, 3], &records)), ["127.0.0.2"]);
    let mut among_answers = opt.to_vec();
    among_answers.extend(listed());
    assert_eq!(addresses(&reply([2, 0, 0], &among_answers)), ["127.0.0.2"]);
}

#[test]
fn r01_messages_of_no_length_and_of_less_than_a_header_are_malformed() {
    for len in 0..12 {
        let message = vec![0x84; len];
        assert_eq!(match_reply(&message, NAME, Rtype::A, false), Err(Mismatch::Malformed));
        assert_eq!(read(&message), Err(DecodeError::Cut));
    }
}

#[test]
fn r07_a_message_of_64_kib_as_over_tcp_is_read_within_its_bounds() {
    let filler = record(&ASKED, 16, &[0xfe; 1_000]);
    let mut records = listed();
    let mut count = 1;
    while records.len() + filler.len() + 60 < 65_535 {
        records.extend(&filler);
        count += 1;
    }
    assert_eq!(addresses(&reply([count, 0, 0], &records)), ["127.0.0.2"]);
    let answer = decode(&reply([count, 0, 0], &records), &asked(), Rtype::TXT).expect("framed");
    let octets: usize = answer.texts().map(|text| text.len()).sum();
    assert!(octets < 65_535);
    assert!(answer.records.iter().all(|record| matches!(record.data, Rdata::Txt(_))));
}

#[test]
fn r02_a_reply_counts_only_if_everything_fits() {
    let good = reply([1, 0, 0], &listed());
    assert!(match_reply(&good, NAME, Rtype::A, true).is_ok());
    let with = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        match_reply(&message, NAME, Rtype::A, true)
    };
    let question_end = 12 + NAME.len();
    assert!(with(2, 0x04).is_err(), "a query");
    assert!(with(2, 0xac).is_err(), "another opcode");
    assert!(with(5, 0).is_err() && with(5, 2).is_err(), "no question, or two");
    assert!(with(13, b'3').is_err(), "another name");
    assert!(with(question_end - 2, b'T').is_err(), "another case");
    assert!(with(question_end + 1, 16).is_err(), "another type");
    assert!(with(question_end + 3, 3).is_err(), "another class");
}
