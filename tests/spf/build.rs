//! Zones written by hand: a line a record, `NAME TYPE DATA`.

use super::spf::{Records, Zone};

/// A zone from lines such as `a.test TXT v=spf1 -all` or `a.test MX mail.a.test`.
pub(crate) fn zone(lines: &[&str]) -> Zone {
    let mut zone = Zone::new();
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (name, rtype, data) = (word(), word(), word().to_owned());
        let records: &mut Records = zone.entry(name.to_owned()).or_default();
        match rtype {
            "A" => records.a.push(data),
            "AAAA" => records.aaaa.push(data),
            "MX" => records.mx.push((10, data)),
            "PTR" => records.ptr.push(data),
            "CNAME" => records.cname.push(data),
            "TXT" => records.txt.push(vec![data]),
            "SPF" => records.spf.push(vec![data]),
            "TIMEOUT" => records.timeout = true,
            other => panic!("no such type: {other}"),
        }
    }
    zone
}
