//! Queries over TCP (RFC 7766), on a thread of their own with a small tokio runtime, because they wait on much more than
//! packets and are rare.
//!
//! ```text
//! ask ─▶ line of a server ─▶ up to 4 connections, each with up to 16 queries under way ─▶ answers, by their IDs
//!              ▲                         │ it ends: what it owes is asked once more
//!              └─────────────────────────┘
//! ```
//!
//! The first queries get a connection each; more share these (RFC 7766 §6.2.1.1). A server that ends a connection which owes
//! answers is asked one query a connection from then on, and no answer is lost by that. A connection that owes nothing is closed
//! soon: descriptors are few. What comes is bounded: the length field says at most 65,535 octets, and each exchange has one
//! deadline, the wait in line included, so that a server which sends an octet a second holds nobody up.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::clock::Span;
use crate::datagram::{TcpFailure, TcpKey, TcpQuery};

/// Queries handed over and not yet done, at most; the engine holds fewer.
const QUERIES_MAX: usize = 256;

/// Connections to one server at a time, and queries under way on one.
const CONNECTIONS_PER_SERVER: usize = 4;
const QUERIES_PER_CONNECTION: usize = 16;

/// How long a connection that owes nothing is kept, and how many connections there may be for one to be kept.
const IDLE: Span = Span::from_secs(1);
const CONNECTIONS_TO_KEEP: usize = 16;

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
        let (queries, mut incoming) = mpsc::channel::<TcpQuery>(QUERIES_MAX);
        let (done, answers) = std_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("reputon-tcp".into()).spawn(move || {
            let desk = Rc::new(Desk {
                done,
                ring: Arc::new(ring),
                timeout,
                servers: RefCell::default(),
                connections: Cell::new(0),
            });
            runtime.block_on(async move {
                let local = tokio::task::LocalSet::new();
                local
                    .run_until(async move {
                        while let Some(query) = incoming.recv().await {
                            desk.take(query);
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

/// What all connections share.
struct Desk {
    done: std_mpsc::Sender<Answer>,
    ring: Arc<UnixStream>,
    timeout: Span,
    servers: RefCell<HashMap<SocketAddr, Rc<Server>>>,
    connections: Cell<usize>,
}

/// A server, and what waits for it.
#[derive(Default)]
struct Server {
    line: RefCell<VecDeque<Asked>>,
    /// Somebody stands in line.
    bell: Notify,
    connections: Cell<usize>,
    /// Queries that connections owe an answer to.
    owed: Cell<usize>,
    /// It answers one query a connection.
    single: Cell<bool>,
}

/// A query on its way.
struct Asked {
    query: TcpQuery,
    until: Instant,
    /// A connection has been lost under it before.
    again: bool,
}

/// What a connection owes.
struct Connection {
    owed: RefCell<HashMap<[u8; 2], Asked>>,
    /// There is room for one more query.
    room: Notify,
    answered: Cell<usize>,
    /// When something came last.
    heard: Cell<Option<Instant>>,
}

impl Desk {
    fn take(self: &Rc<Self>, query: TcpQuery) {
        let mut servers = self.servers.borrow_mut();
        let (to, until) = (query.to, Instant::now() + self.timeout.into());
        let server = Rc::clone(servers.entry(to).or_default());
        drop(servers);
        server.line.borrow_mut().push_back(Asked {
            query,
            until,
            again: false,
        });
        self.connect(to, &server);
        server.bell.notify_one();
    }

    /// Starts more connections if there are too few of them for what waits.
    fn connect(self: &Rc<Self>, to: SocketAddr, server: &Rc<Server>) {
        let wanted = server.line.borrow().len() + server.owed.get();
        while server.connections.get() < wanted.min(CONNECTIONS_PER_SERVER) {
            server.connections.set(server.connections.get() + 1);
            self.connections.set(self.connections.get() + 1);
            tokio::task::spawn_local(Rc::clone(self).serve(to, Rc::clone(server)));
        }
    }

    fn give(&self, asked: Asked, result: Result<Vec<u8>, TcpFailure>) {
        // If nobody waits any more, the run is over.
        let _ = self.done.send((asked.query.key, result));
        let _ = (&*self.ring).write(&[1]); // full is as good as rung
    }

    /// One connection, from its beginning to its end.
    async fn serve(self: Rc<Self>, to: SocketAddr, server: Rc<Server>) {
        let connection = Connection {
            owed: RefCell::default(),
            room: Notify::new(),
            answered: Cell::new(0),
            heard: Cell::new(None),
        };
        let failure = tokio::select! {
            failure = self.talk(to, &server, &connection) => failure,
            () = self.watch(&server, &connection) => TcpFailure::Broken,
        };
        server.connections.set(server.connections.get() - 1);
        self.connections.set(self.connections.get() - 1);
        let owed = connection.owed.take();
        server.owed.set(server.owed.get() - owed.len());
        let shared = connection.answered.get() > 0 || owed.len() > 1;
        server.single.set(server.single.get() || shared && !owed.is_empty());
        for (_, asked) in owed {
            if shared && !asked.again {
                server.line.borrow_mut().push_front(Asked { again: true, ..asked });
            } else {
                self.give(asked, Err(failure));
            }
        }
        // Whom nobody can reach answers nobody; while others are still about it, they may.
        if failure == TcpFailure::Connect && server.connections.get() == 0 {
            for asked in server.line.take() {
                self.give(asked, Err(failure));
            }
        }
        self.connect(to, &server);
        if server.connections.get() == 0 && !server.single.get() {
            self.servers.borrow_mut().remove(&to);
        }
    }

    async fn talk(&self, to: SocketAddr, server: &Server, connection: &Connection) -> TcpFailure {
        let Ok(mut stream) = TcpStream::connect(to).await else {
            return TcpFailure::Connect;
        };
        let _ = stream.set_nodelay(true); // whole queries are written at once
        let (reader, writer) = stream.split();
        tokio::select! {
            _ = read(reader, self, server, connection) => TcpFailure::Broken,
            _ = write(writer, server, connection) => TcpFailure::Broken,
        }
    }

    /// Ends when a connection is of no use: nothing came in an exchange's whole time, or nothing is owed for a while. Queries
    /// whose time is over fail on the way.
    async fn watch(&self, server: &Server, connection: &Connection) {
        let idle = IDLE.min(self.timeout);
        let mut busy = Instant::now();
        loop {
            let now = Instant::now();
            let waiting = std::mem::take(&mut *server.line.borrow_mut());
            let (late, waiting): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(|asked| asked.until <= now);
            *server.line.borrow_mut() = waiting;
            for asked in late {
                self.give(asked, Err(TcpFailure::Broken));
            }
            let first = |asked: &mut dyn Iterator<Item = Instant>| asked.min();
            let waits = first(&mut server.line.borrow().iter().map(|asked| asked.until));
            let owes = first(&mut connection.owed.borrow().values().map(|asked| asked.until));
            let next = [waits, owes].into_iter().flatten().min();
            if next.is_some() {
                busy = now;
            }
            let crowded = self.connections.get() > CONNECTIONS_TO_KEEP;
            match owes {
                // One slow answer does not end a connection that brings others.
                Some(until) if until <= now => {
                    let heard = connection.heard.get();
                    if heard.is_none_or(|heard| heard + self.timeout.into() <= until) {
                        return;
                    }
                    let mut owed = connection.owed.borrow_mut();
                    let late: Vec<[u8; 2]> = (owed.iter().filter(|(_, asked)| asked.until <= now))
                        .map(|(id, _)| *id)
                        .collect();
                    for asked in late.into_iter().filter_map(|id| owed.remove(&id)) {
                        server.owed.set(server.owed.get() - 1);
                        self.give(asked, Err(TcpFailure::Broken));
                    }
                    connection.room.notify_one();
                }
                None if next.is_none() && (crowded || now >= busy + idle.into()) => return,
                _ => (),
            }
            sleep_until(next.unwrap_or(now + idle.into()).max(now)).await;
        }
    }
}

async fn read(mut reader: ReadHalf<'_>, desk: &Desk, server: &Server, connection: &Connection) -> io::Result<()> {
    loop {
        let len = reader.read_u16().await?;
        let mut reply = vec![0; usize::from(len)];
        reader.read_exact(&mut reply).await?;
        let Some(id) = reply.first_chunk().copied() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        connection.heard.set(Some(Instant::now()));
        // What answers nothing comes too late.
        let asked = connection.owed.borrow_mut().remove(&id);
        if let Some(asked) = asked {
            server.owed.set(server.owed.get() - 1);
            connection.answered.set(connection.answered.get() + 1);
            desk.give(asked, Ok(reply));
            connection.room.notify_one();
        }
        if server.single.get() && connection.owed.borrow().is_empty() {
            return Ok(());
        }
    }
}

async fn write(mut writer: WriteHalf<'_>, server: &Server, connection: &Connection) -> io::Result<()> {
    loop {
        let most = match server.single.get() {
            true => 1,
            false => QUERIES_PER_CONNECTION,
        };
        if connection.owed.borrow().len() >= most {
            connection.room.notified().await;
            continue;
        }
        let next = server.line.borrow_mut().pop_front();
        let Some(asked) = next else {
            server.bell.notified().await;
            continue;
        };
        let message = &asked.query.message;
        let id: [u8; 2] = message.first_chunk().copied().unwrap_or_default();
        if connection.owed.borrow().contains_key(&id) {
            server.line.borrow_mut().push_front(asked);
            server.bell.notify_one();
            connection.room.notified().await;
            continue;
        }
        let len = u16::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = len.to_be_bytes().to_vec(); // one write, so that it is one segment (RFC 7766 §8)
        framed.extend_from_slice(message);
        connection.owed.borrow_mut().insert(id, asked);
        server.owed.set(server.owed.get() + 1);
        if !server.line.borrow().is_empty() {
            server.bell.notify_one();
        }
        writer.write_all(&framed).await?;
    }
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
            for octet in [0, 4, 1, 2, 9, 8] {
                stream.write_all(&[octet]).expect("sent");
                thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        assert_eq!(reply, Ok(vec![1, 2, 9, 8]));
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
        assert_eq!(empty, Err(TcpFailure::Broken));
    }

    /// Asks for `count` answers of a server whose connections are each served by `serve`, and returns what came, by key.
    fn ask_many(count: u16, serve: fn(std::net::TcpStream)) -> Vec<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let to = listener.local_addr().expect("bound");
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream.expect("a connection")));
            }
        });
        let tcp = Tcp::start(Span::from_secs(5)).expect("a thread");
        for number in 0..count {
            let [high, low] = number.to_be_bytes();
            let (key, message) = (TcpKey(number.into()), vec![high, low, 3]);
            tcp.ask(TcpQuery { key, to, message }).expect("room");
        }
        let mut answers: Vec<Answer> = (0..count).map(|_| tcp.answers.recv().expect("an answer")).collect();
        answers.sort_by_key(|(key, _)| key.0);
        answers
    }

    fn all_answered(answers: &[Answer]) {
        for (number, (key, answer)) in answers.iter().enumerate() {
            let message = [(number as u16).to_be_bytes().as_slice(), &[9]].concat();
            assert_eq!((key.0, answer), (number as u64, &Ok(message)));
        }
    }

    fn next_id(stream: &mut std::net::TcpStream) -> Option<[u8; 2]> {
        let mut query = [0; 5];
        stream.read_exact(&mut query).ok()?;
        Some([query[2], query[3]])
    }

    #[test]
    fn many_queries_share_connections_and_are_answered_in_any_order() {
        let answers = ask_many(200, |mut stream| {
            let wait = std::time::Duration::from_millis(20);
            stream.set_read_timeout(Some(wait)).expect("a socket");
            let mut first = None;
            for _ in 0..500 {
                let next = next_id(&mut stream);
                // The second of two first; one that is left alone after a while.
                let ids = [next.filter(|_| first.is_some()), first.take()];
                first = next.filter(|_| ids == [None, None]);
                for [high, low] in ids.into_iter().flatten() {
                    if stream.write_all(&[0, 3, high, low, 9]).is_err() {
                        return;
                    }
                }
            }
        });
        all_answered(&answers);
    }

    #[test]
    fn a_server_of_one_answer_a_connection_loses_none() {
        let answers = ask_many(120, |mut stream| {
            if let Some([high, low]) = next_id(&mut stream) {
                stream.write_all(&[0, 3, high, low, 9]).expect("sent");
            }
        });
        all_answered(&answers);
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
