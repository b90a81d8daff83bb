//! Queries over TCP (RFC 7766), on a thread of their own with a small tokio runtime, because they wait on much more than
//! packets and are rare.
//!
//! One connection a query: TCP is asked only for what did not fit a datagram, and a server that has closed an idle
//! connection cannot take anything with it. What comes is bounded: the length field says at most 65,535 octets, and the
//! whole exchange has one deadline, so that a server which sends an octet a second holds nobody up.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc as std_mpsc;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::clock::Span;
use crate::datagram::{TcpFailure, TcpKey, TcpQuery};

/// Queries handed over and not yet done, at most; the engine holds fewer.
const QUERIES_MAX: usize = 256;

type Answer = (TcpKey, Result<Vec<u8>, TcpFailure>);

/// The door to the TCP thread.
#[derive(Debug)]
pub struct Tcp {
    queries: mpsc::Sender<TcpQuery>,
    answers: std_mpsc::Receiver<Answer>,
    /// One octet for each answer: what a `poll` can wait for.
    bell: UnixStream,
}

impl Tcp {
    /// Starts the thread. Each exchange, from the connection to the last octet, may take `timeout`.
    ///
    /// # Errors
    /// If there is no thread, or no descriptor, to be had.
    pub fn start(timeout: Span) -> io::Result<Tcp> {
        let (bell, ring) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ring.set_nonblocking(true)?;
        let ring = std::sync::Arc::new(ring);
        let (queries, mut incoming) = mpsc::channel::<TcpQuery>(QUERIES_MAX);
        let (done, answers) = std_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("reputon-tcp".into()).spawn(move || {
            runtime.block_on(async move {
                let local = tokio::task::LocalSet::new();
                local
                    .run_until(async move {
                        while let Some(query) = incoming.recv().await {
                            let (done, ring) = (done.clone(), ring.clone());
                            tokio::task::spawn_local(async move {
                                let key = query.key;
                                let exchange = tokio::time::timeout(timeout.into(), exchange(query.to, &query.message));
                                let result = exchange.await.unwrap_or(Err(TcpFailure::Broken));
                                // If nobody waits any more, the run is over.
                                let _ = done.send((key, result));
                                let _ = (&*ring).write(&[1]); // full is as good as rung
                            });
                        }
                    })
                    .await;
            });
        })?;
        Ok(Tcp { queries, answers, bell })
    }

    /// Hands a query over; it comes back if there is no room.
    ///
    /// # Errors
    /// With the query's key: it counts as failed.
    pub fn ask(&self, query: TcpQuery) -> Result<(), TcpKey> {
        let key = query.key;
        self.queries.try_send(query).map_err(|_| key)
    }

    /// The next answer that has come.
    pub fn poll(&self) -> Option<Answer> {
        // The bell first: what is rung after this is heard by the next wait.
        let _ = (&self.bell).read(&mut [0; QUERIES_MAX]);
        self.answers.try_recv().ok()
    }

    /// Becomes readable when an answer has come.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

async fn exchange(to: SocketAddr, message: &[u8]) -> Result<Vec<u8>, TcpFailure> {
    let mut stream = TcpStream::connect(to).await.map_err(|_| TcpFailure::Connect)?;
    talk(&mut stream, message).await.map_err(|_| TcpFailure::Broken)
}

async fn talk(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = len.to_be_bytes().to_vec(); // one write, so that it is one segment (RFC 7766 §8)
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    let len = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(len)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Asks a server that does with the connection what `serve` does, and returns what came.
    fn ask(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Result<Vec<u8>, TcpFailure> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let to = listener.local_addr().expect("bound");
        let server = thread::spawn(move || serve(listener.accept().expect("a connection").0));
        let tcp = Tcp::start(Span::from_millis(400)).expect("a thread");
        let key = TcpKey(7);
        let message = vec![1, 2, 3];
        tcp.ask(TcpQuery { key, to, message }).expect("room");
        let answer = tcp.answers.recv().expect("every query is answered");
        server.join().expect("the server is sound");
        assert_eq!(answer.0, key);
        answer.1
    }

    fn query(stream: &mut std::net::TcpStream) {
        let mut query = [0; 5];
        stream.read_exact(&mut query).expect("a query");
        assert_eq!(query, [0, 3, 1, 2, 3]);
    }

    #[test]
    fn a_framed_reply_comes_back_even_in_pieces() {
        let reply = ask(|mut stream| {
            query(&mut stream);
            for octet in [0, 2, 9, 8] {
                stream.write_all(&[octet]).expect("sent");
                thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        assert_eq!(reply, Ok(vec![9, 8]));
    }

    #[test]
    fn lies_about_the_length_silence_and_slowness_end() {
        let cut = ask(|mut stream| {
            query(&mut stream);
            stream.write_all(&[0, 9, 1]).expect("sent");
        });
        assert_eq!(cut, Err(TcpFailure::Broken));
        let closed = ask(|mut stream| query(&mut stream));
        assert_eq!(closed, Err(TcpFailure::Broken));
        let slow = ask(|mut stream| {
            query(&mut stream);
            stream.write_all(&[0, 200]).expect("sent");
            while stream.write_all(&[0]).is_ok() {
                thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        assert_eq!(slow, Err(TcpFailure::Broken));
        let empty = ask(|mut stream| {
            query(&mut stream);
            stream.write_all(&[0, 0]).expect("sent");
        });
        assert_eq!(empty, Ok(Vec::new()));
    }

    #[test]
    fn a_refused_connection_is_told_apart() {
        let gone = TcpListener::bind("127.0.0.1:0")
            .expect("loopback")
            .local_addr()
            .expect("bound");
        let tcp = Tcp::start(Span::from_secs(1)).expect("a thread");
        let message = vec![1];
        tcp.ask(TcpQuery {
            key: TcpKey(1),
            to: gone,
            message,
        })
        .expect("room");
        assert_eq!(tcp.answers.recv().expect("an answer").1, Err(TcpFailure::Connect));
    }
}
