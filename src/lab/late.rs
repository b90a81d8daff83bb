//! Replies that are sent later than they were made: one thread with a heap by due time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Replies under way to the thread at most; more are lost, as on a full network.
const LETTERS_MAX: usize = 65_536;

/// How long the thread sleeps when there is nothing to send.
const IDLE: Duration = Duration::from_secs(3_600);

/// A reply, when it is due, who sends it, and to whom.
type Letter = (Instant, Arc<UdpSocket>, SocketAddr, Vec<u8>);

/// The way to the thread; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Late {
    letters: SyncSender<Letter>,
}

impl Late {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(super) fn start() -> std::io::Result<(Late, JoinHandle<()>)> {
        let (letters, incoming) = sync_channel(LETTERS_MAX);
        let thread = std::thread::Builder::new()
            .name("lab-late".to_owned())
            .spawn(move || deliver(&incoming))?;
        Ok((Late { letters }, thread))
    }

    /// Sends a reply after a while.
    pub(super) fn send(&self, after: Duration, by: &Arc<UdpSocket>, to: SocketAddr, octets: &[u8]) {
        // A full queue is a full network: the reply is lost.
        let _ = self
            .letters
            .try_send((Instant::now() + after, Arc::clone(by), to, octets.to_vec()));
    }
}

fn deliver(incoming: &Receiver<Letter>) {
    let mut letters: Vec<Option<Letter>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    loop {
        let wait = due
            .peek()
            .map_or(IDLE, |Reverse((at, _))| at.saturating_duration_since(Instant::now()));
        match incoming.recv_timeout(wait) {
            Ok(letter) => {
                let at = letter.0;
                let slot = free.pop().unwrap_or_else(|| {
                    letters.push(None);
                    letters.len() - 1
                });
                letters[slot] = Some(letter);
                due.push(Reverse((at, slot)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(&Reverse((at, slot))) = due.peek() {
            if at > Instant::now() {
                break;
            }
            due.pop();
            free.push(slot);
            if let Some((_, by, to, octets)) = letters[slot].take() {
                let _ = by.send_to(&octets, to); // who is gone by now gets nothing
            }
        }
    }
}
