//! The TCP side of a face (RFC 7766): a thread that accepts, and one for each connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::lab::Face;
use super::message::Transport;
use super::respond::{Fate, Scratch};
use super::world::World;

/// Connections of a face at one time; more are closed at once, as servers do.
const CONNECTIONS_MAX: usize = 64;

/// How long a connection may be idle (RFC 7766 §6.2.3 leaves it to the server).
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How often a waiting thread looks whether it is to stop, in milliseconds.
const STOP_CHECK_MS: u16 = 100;

/// What a face's TCP threads work with.
#[derive(Clone)]
pub(super) struct TcpFace {
    pub(super) face: Face,
    pub(super) world: Arc<World>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) open: Arc<AtomicUsize>,
}

impl TcpFace {
    /// Accepts until told to stop.
    pub(super) fn run(self, listener: &TcpListener) {
        while !self.stop.load(Ordering::Relaxed) {
            let mut waiting = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut waiting, PollTimeout::from(STOP_CHECK_MS)), Ok(1..)) {
                continue;
            }
            let Ok((stream, _)) = listener.accept() else { continue };
            if self.open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
                continue;
            }
            self.open.fetch_add(1, Ordering::Relaxed);
            let face = self.clone();
            let thread = std::thread::Builder::new()
                .name("lab-tcp-peer".to_owned())
                .spawn(move || {
                    let _ = face.converse(stream); // the peer hung up, or was too slow
                    face.open.fetch_sub(1, Ordering::Relaxed);
                });
            if thread.is_err() {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_millis(STOP_CHECK_MS.into())))?;
        stream.set_write_timeout(Some(IDLE_MAX))?;
        let (mut scratch, mut message, mut reply) = (Scratch::new(), Vec::new(), Vec::new());
        loop {
            let mut len = [0; 2];
            self.fill(&mut stream, &mut len)?;
            message.resize(usize::from(u16::from_be_bytes(len)), 0);
            self.fill(&mut stream, &mut message)?;
            match self
                .world
                .respond((self.face, Transport::Tcp), &message, &mut scratch, &mut reply)
            {
                Fate::Nothing => continue,
                Fate::Late(after) => std::thread::sleep(after),
                Fate::Reply => {}
            }
            let len = u16::try_from(reply.len()).map_err(io::Error::other)?;
            stream.write_all(&[&len.to_be_bytes()[..], &reply].concat())?;
        }
    }

    /// Reads until the buffer is full, the peer is idle for too long, or the lab stops.
    fn fill(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
        let (mut filled, start) = (0, Instant::now());
        while filled < buffer.len() {
            match stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.stop.load(Ordering::Relaxed) || start.elapsed() > IDLE_MAX {
                        return Err(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
