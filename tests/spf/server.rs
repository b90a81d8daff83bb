//! A name server on loopback over one zone of the SPF tests, UDP and TCP: what the zone says to answer with silence is
//! not answered, aliases are left to whoever asks, and what does not fit a datagram is cut short.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NULL, PTR, TXT};
use hickory_proto::rr::{Name as CodecName, RData, Record};
use reputon::wire::{Name, Rdata, Rtype};

use crate::spf::{Said, Zone, ZoneResolver};

/// Octets of a datagram, as the programs under test offer.
const DATAGRAM_MAX: usize = 1_232;

/// How often a waiting thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A running server; dropping it ends its threads.
pub(crate) struct Server {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves a zone on a free port.
    pub(crate) fn start(zone: &Zone) -> Server {
        let (udp, tcp) = (0..100).find_map(|_| both()).expect("a free port among a hundred");
        let addr = udp.local_addr().expect("it is bound");
        udp.set_read_timeout(Some(LOOK)).expect("a good timeout");
        tcp.set_nonblocking(true).expect("a socket of our own");
        let zone = Arc::new(ZoneResolver::new(zone));
        let stop = Arc::new(AtomicBool::new(false));
        let (over_udp, over_tcp) = (Arc::clone(&zone), zone);
        let (stop_udp, stop_tcp) = (Arc::clone(&stop), Arc::clone(&stop));
        let threads = vec![
            std::thread::spawn(move || serve_udp(&udp, &over_udp, &stop_udp)),
            std::thread::spawn(move || serve_tcp(&tcp, &over_tcp, &stop_tcp)),
        ];
        Server { addr, stop, threads }
    }

    /// Where it answers.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was printed, and the test has failed by it
        }
    }
}

fn both() -> Option<(UdpSocket, TcpListener)> {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
    Some((udp, tcp))
}

fn serve_udp(socket: &UdpSocket, zone: &ZoneResolver, stop: &AtomicBool) {
    let mut buffer = [0; 1_500];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(reply) = reply(&buffer[..len], zone) else {
            continue;
        };
        let mut octets = reply.to_vec().expect("a good reply");
        if octets.len() > DATAGRAM_MAX {
            octets = reply.truncate().to_vec().expect("a good reply");
        }
        let _ = socket.send_to(&octets, from); // who asked may be gone
    }
}

fn serve_tcp(listener: &TcpListener, zone: &ZoneResolver, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => _ = converse(stream, zone),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn converse(mut stream: TcpStream, zone: &ZoneResolver) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut query)?;
    if let Some(reply) = reply(&query, zone) {
        let octets = reply.to_vec().expect("a good reply");
        let len = u16::try_from(octets.len()).expect("the zones are small");
        stream.write_all(&[&len.to_be_bytes()[..], &octets].concat())?;
    }
    Ok(())
}

/// What is answered; nothing for silence.
fn reply(octets: &[u8], zone: &ZoneResolver) -> Option<Message> {
    let query = Message::from_vec(octets).ok()?;
    let question = query.queries.first()?.clone();
    let mut asked = Name::root();
    for label in question.name().iter() {
        asked.push(label).ok()?;
    }
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    let owner = question.name().clone();
    let rtype = Rtype(question.query_type().into());
    reply.add_query(question);
    match zone.said(&asked, rtype) {
        Said::Records(data) => {
            for data in data {
                reply.add_answer(Record::from_rdata(owner.clone(), 60, codec_data(data)));
            }
        }
        Said::Missing => reply.metadata.response_code = ResponseCode::NXDomain,
        Said::Silence => return None,
    }
    Some(reply)
}

fn codec_data(data: Rdata) -> RData {
    match data {
        Rdata::A(address) => RData::A(A(address)),
        Rdata::Aaaa(address) => RData::AAAA(AAAA(address)),
        Rdata::Cname(name) => RData::CNAME(CNAME(codec_name(&name))),
        Rdata::Ptr(name) => RData::PTR(PTR(codec_name(&name))),
        Rdata::Mx { preference, exchange } => RData::MX(MX::new(preference, codec_name(&exchange))),
        Rdata::Txt(strings) => RData::TXT(TXT::from_bytes(strings.iter().map(AsRef::as_ref).collect())),
        other => RData::Unknown {
            code: other.rtype().0.into(),
            rdata: NULL::with(vec![0]),
        },
    }
}

fn codec_name(name: &Name) -> CodecName {
    let mut codec = CodecName::from_labels(name.labels()).expect("a good name");
    codec.set_fqdn(true);
    codec
}
