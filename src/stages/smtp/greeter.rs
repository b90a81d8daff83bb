//! Who connects for all targets of a run: each address is greeted once, whoever asks and however often.
//!
//! ```text
//! target's address ───────────────┐
//! domain ─ mx ─▶ its exchangers' ─┴─▶ heard before? ─▶ at once
//!                                     under way?    ─▶ wait with the others
//!                                     else          ─▶ a turn (CONNECTIONS_MAX at a time) ─▶ connect, converse
//! ```
//!
//! A network whose names share one mail host, or a thousand domains at one provider, so make one connection to it, and
//! no host ever has two at a time. Bounds: [`CONNECTIONS_MAX`] connections, [`GREETED_MAX`] addresses of a domain,
//! [`KEPT_MAX`] greetings in each of two generations; one that was in use lately is in the younger. Nobody is connected to
//! at an address of special use: a stranger's MX record must not make us talk to the machines beside us.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;
use tokio::sync::{OnceCell, Semaphore};

use super::greeting::{Heard, Options, STAGE, Smtp};
use crate::exchange::Resolver;
use crate::stages::ask::together;
use crate::stages::finding::Finding;
use crate::stages::mx::Mx;
use crate::stages::rdns::rdns;
use crate::targets::{Target, special_use};
use crate::wire::Name;

/// Connections at the same time, to as many hosts: a quarter of the files that a process may usually have open.
pub const CONNECTIONS_MAX: usize = 256;

/// Addresses of one domain's exchangers that are greeted, the preferred ones first.
pub const GREETED_MAX: usize = 8;

/// Greetings of one generation, of some 5 KB at most and 500 octets as a rule.
const KEPT_MAX: usize = 4_096;

/// Connects to port 25, once for each address. One for a whole run.
#[derive(Debug)]
pub struct Greeter {
    options: Options,
    turns: Semaphore,
    kept: RefCell<Kept>,
}

/// What was heard, or is going to be.
type Cell = Rc<OnceCell<Rc<Heard>>>;

#[derive(Debug, Default)]
struct Kept {
    young: HashMap<IpAddr, Cell>,
    old: HashMap<IpAddr, Cell>,
}

/// What answers where a domain's mail is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchangers {
    /// The domain.
    pub domain: String,
    /// Its exchangers' addresses in order of preference, at most [`GREETED_MAX`].
    pub hosts: Vec<Greeted>,
    /// Addresses beyond those.
    pub more: usize,
}

/// What answers at one address of an exchanger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Greeted {
    /// The exchanger that has the address.
    pub host: String,
    /// The address.
    pub address: IpAddr,
    /// What answers there.
    #[serde(flatten)]
    pub smtp: Smtp,
}

impl Greeter {
    /// A greeter that has heard nobody yet.
    pub fn new(options: Options) -> Greeter {
        Greeter {
            options,
            turns: Semaphore::new(CONNECTIONS_MAX),
            kept: RefCell::default(),
        }
    }

    /// What answers at an address. `ptr` are its PTR names, if they are known.
    pub async fn smtp(&self, resolver: &dyn Resolver, address: IpAddr, ptr: Option<&[Name]>) -> (Smtp, Vec<Finding>) {
        self.hear(address).await.judge(resolver, address, ptr).await
    }

    /// What answers where a domain's mail is taken. Findings come with the address that they are found through.
    pub async fn exchangers(&self, resolver: &dyn Resolver, mx: &Mx) -> (Exchangers, Vec<Finding>) {
        let mut places: Vec<(&str, IpAddr)> = Vec::new();
        for host in &mx.exchangers {
            for &address in &host.addresses {
                let address = address.to_canonical();
                let seen = places.iter().any(|(_, other)| *other == address);
                if !seen && special_use(&Target::from(address)).is_none() {
                    places.push((host.host.as_str(), address)); // bounded by the bounds of the mx stage
                }
            }
        }
        let more = places.len().saturating_sub(GREETED_MAX);
        places.truncate(GREETED_MAX);
        let heard = together(places.iter().map(|(_, address)| self.exchanger(resolver, *address))).await;
        let mut findings = Vec::new();
        let mut hosts = Vec::new();
        for ((host, address), (smtp, found)) in places.into_iter().zip(heard) {
            findings.extend(found.into_iter().map(|finding| finding.via(address.to_string())));
            hosts.push(Greeted {
                host: host.to_owned(),
                address,
                smtp,
            });
        }
        if more > 0 {
            let text = format!(
                "the exchangers of {} have {} addresses; {GREETED_MAX} were greeted",
                mx.domain,
                more + GREETED_MAX
            );
            findings.push(Finding::info(STAGE, "smtp_too_many", text));
        }
        let exchangers = Exchangers {
            domain: mx.domain.clone(),
            hosts,
            more,
        };
        (exchangers, findings)
    }

    async fn exchanger(&self, resolver: &dyn Resolver, address: IpAddr) -> (Smtp, Vec<Finding>) {
        let (heard, (rdns, _)) = tokio::join!(self.hear(address), rdns(resolver, address));
        let names: Option<Vec<Name>> = rdns.unknown.is_none().then(|| rdns.all_names().cloned().collect());
        heard.judge(resolver, address, names.as_deref()).await
    }

    /// What is heard at an address, now or before. Whoever waits first connects; if that one is given up, the next does.
    async fn hear(&self, address: IpAddr) -> Rc<Heard> {
        let cell = self.kept.borrow_mut().cell(address);
        let connect = || async {
            let _turn = self.turns.acquire().await.expect("nobody closes it");
            Rc::new(Heard::at(address, &self.options).await)
        };
        Rc::clone(cell.get_or_init(connect).await)
    }
}

impl Kept {
    fn cell(&mut self, address: IpAddr) -> Cell {
        if let Some(cell) = self.young.get(&address) {
            return Rc::clone(cell);
        }
        let cell = self.old.remove(&address).unwrap_or_default();
        if self.young.len() == KEPT_MAX {
            // Who waits for one that is dropped here holds it.
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(address, Rc::clone(&cell));
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::stages::mx::mx;
    use crate::stages::testing::{World, codes, ip, name};

    #[tokio::test]
    async fn many_who_ask_make_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                stream.write_all(b"554 no\r\n").await.expect("an open connection");
            }
        });
        let greeter = Greeter::new(Options {
            port,
            ..Options::default()
        });
        let world = World::new();
        let address = ip("127.0.0.1");
        let all = together((0..20).map(|_| greeter.smtp(&world, address, None))).await;
        assert!(all.iter().all(|(smtp, _)| smtp.code == Some(554)));
        greeter.smtp(&world, address, None).await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_used_stays_and_what_is_not_goes() {
        let mut kept = Kept::default();
        let often = kept.cell(ip("192.0.2.1"));
        for number in 0..4 * KEPT_MAX as u32 {
            kept.cell(std::net::Ipv4Addr::from(number).into());
            assert!(Rc::ptr_eq(&often, &kept.cell(ip("192.0.2.1"))));
            assert!(kept.young.len() + kept.old.len() <= 2 * KEPT_MAX);
        }
    }

    /// A domain's owner says where its mail goes, and may say anything.
    #[tokio::test]
    async fn addresses_of_special_use_are_not_connected_to() {
        let world = World::new()
            .mx("example.org", 10, "in.example.org")
            .a("in.example.org", "127.0.0.1")
            .a("in.example.org", "10.0.0.1");
        let (mx, findings) = mx(&world, &name("example.org"), None).await;
        assert_eq!(codes(&findings), ["mx_special_use"]);
        let greeter = Greeter::new(Options::default());
        let (found, findings) = greeter.exchangers(&world, &mx).await;
        assert!(found.hosts.is_empty() && findings.is_empty());
        assert!(greeter.kept.borrow().young.is_empty());
    }
}
