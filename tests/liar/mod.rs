//! A server that proves itself by the test entry of its list and then denies every parent, also of what it lists.

#![allow(dead_code, reason = "tests use different parts of it")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The test entry, as its labels stand in a question.
const TEST: [u8; 4] = [2, 0, 0, 127];

/// It is stopped when it is dropped.
pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    /// As long as this is set, it does not answer.
    pub(crate) mute: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    /// `lists` says what it lists: it is given the numbers of a question's name, as they stand there, of every address and of
    /// every parent below 198/8 that it is asked about, and the flag that makes it mute.
    pub(crate) fn start(lists: impl FnMut(&[u8], &AtomicBool) -> bool + Send + 'static) -> Liar {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let wait = Duration::from_millis(100);
        socket.set_read_timeout(Some(wait)).expect("a good timeout");
        let (mute, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let address = socket.local_addr().expect("bound");
        let (muted, stopped) = (Arc::clone(&mute), Arc::clone(&stop));
        let mut lists = lists;
        let thread = std::thread::spawn(move || {
            let mut octets = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((_, from)) = socket.recv_from(&mut octets) else {
                    continue;
                };
                if !muted.load(Ordering::Relaxed) {
                    let reply = answer(&octets, |numbers| lists(numbers, &muted));
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Liar {
            address,
            mute,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().expect("dropped once").join();
    }
}

fn answer(query: &[u8], mut lists: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut at = 12;
    let mut numbers: Vec<u8> = Vec::new();
    while query[at] != 0 {
        let label = &query[at + 1..at + 1 + usize::from(query[at])];
        let number: Option<u8> = std::str::from_utf8(label).ok().and_then(|label| label.parse().ok());
        numbers.extend(number);
        at += 1 + usize::from(query[at]);
    }
    let mut reply = query[..at + 5].to_vec();
    let of_targets = numbers.last() == Some(&198) && lists(&numbers);
    let listed = numbers == TEST || of_targets && numbers.len() == 4;
    let exists = listed || TEST.ends_with(&numbers);
    (reply[2], reply[3]) = (reply[2] | 0x84, if exists { 0 } else { 3 });
    (reply[7], reply[11]) = (u8::from(listed), 0);
    if listed {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
    }
    reply
}
