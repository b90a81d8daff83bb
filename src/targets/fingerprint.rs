//! A fingerprint of a target set: two inputs that name the same targets in the same order have the same one, however they
//! write them. It says whether a run can be gone on with, or compared with another.

use sha2::{Digest, Sha256};

use super::set::{Lane, TargetSet};

impl TargetSet {
    /// SHA-256 over runs, names and their order, in hexadecimal. Reads what the set holds, not what it covers.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for run in &self.lanes.ip4 {
            digest.update(run.first.to_be_bytes());
            digest.update(run.last.to_be_bytes());
        }
        for run in &self.lanes.ip6 {
            digest.update(run.first.to_be_bytes());
            digest.update(run.last.to_be_bytes());
        }
        for run in &self.lanes.ip6_prefixes {
            digest.update(run.first.to_be_bytes());
            digest.update(run.last.to_be_bytes());
        }
        for index in 0..self.lanes.runs(Lane::Domain) {
            digest.update(self.lanes.names.name(index as u32)); // RUNS_MAX at most
            digest.update([0]);
        }
        // How many there are of each keeps the tables apart; the sections are the order.
        for lane in Lane::ALL {
            digest.update((self.lanes.runs(lane) as u64).to_be_bytes());
        }
        digest.update((self.lanes.sections.len() as u64).to_be_bytes());
        for section in &self.lanes.sections {
            digest.update([section.lane as u8]);
            digest.update(section.runs.to_be_bytes());
        }
        digest.update(self.chunk_count.to_be_bytes());
        for group in &self.groups {
            digest.update(group.first_chunk.to_be_bytes());
            digest.update(group.position.section.to_be_bytes());
            digest.update(group.position.run.to_be_bytes());
            digest.update(group.position.offset.to_be_bytes());
            digest.update(group.len.to_be_bytes());
            digest.update(group.stride.to_be_bytes());
        }
        digest
            .finalize()
            .into_iter()
            .map(|octet| format!("{octet:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::ReadOptions;
    use super::*;

    fn of(input: &[&str]) -> String {
        let typed: Vec<String> = input.iter().map(|word| (*word).to_owned()).collect();
        let read = TargetSet::read(&typed, &mut std::io::empty(), ReadOptions::default());
        read.expect("good targets").fingerprint()
    }

    #[test]
    fn a_share_of_the_targets_is_not_the_whole() {
        let read = |word: &str| {
            let read = TargetSet::read(&[word.to_owned()], &mut std::io::empty(), ReadOptions::default());
            read.expect("good targets")
        };
        let whole = read("198.18.0.0/20").fingerprint();
        for share in [(1, 2), (2, 2), (1, 3)] {
            assert_ne!(
                read("198.18.0.0/20").shard(share.0, share.1).fingerprint(),
                whole,
                "{share:?}"
            );
        }
    }

    #[test]
    fn the_same_targets_have_the_same_one_and_others_have_not() {
        let block = of(&["192.0.2.0/24", "example.org"]);
        assert_eq!(block, of(&["192.0.2.0-192.0.2.255", "Example.ORG.", "192.0.2.7"]));
        for other in [
            &["example.org", "192.0.2.0/24"][..],
            &["192.0.2.0/25", "example.org"],
            &["192.0.2.0/24", "example.org", "example.net"],
            &["192.0.2.0/24"],
            &["::ffff:192.0.2.0", "example.org"],
        ] {
            assert_ne!(block, of(other), "{other:?}");
        }
    }
}
