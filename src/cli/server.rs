//! Servers as they are typed: `ADDR[:PORT]`, and `ZONE=ADDR:PORT`.
//!
//! A link-local address is one of each network that this machine is on. Its interface stands behind it, by name or number, as
//! RFC 4007 §11 has it: `fe80::1%eth0`, `[fe80::1%2]:53`. Interfaces come and go, so that they are looked for when the server
//! is about to be asked, and not when a configuration file names it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, bail};
use nix::net::if_::{if_indextoname, if_nameindex, if_nametoindex};
use reputon::wire::Name;

use super::values::zone_name;

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// Interfaces that an error names at most: machines with containers have hundreds.
const SHOWN_MAX: usize = 8;

/// `ADDR[:PORT]`; an IPv6 address with a port is in brackets, and one of link-local space has its interface behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Without the interface.
    address: SocketAddr,
    /// The interface, as it was typed.
    interface: Option<String>,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Server, String> {
        let (text, interface) = without_interface(text);
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bracketed {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => text.parse::<IpAddr>().ok(),
        };
        let address = match address {
            Some(address) => SocketAddr::new(address, DNS_PORT),
            None => text.parse().map_err(
                |_| "an address with or without a port, such as 192.0.2.53, 192.0.2.53:5353, 2001:db8::53, [2001:db8::53]:5353",
            )?,
        };
        if address.port() == 0 {
            return Err("port 0 cannot be asked".into());
        }
        match interface.as_deref() {
            Some("") => return Err("no interface behind the '%'; write it as in fe80::1%eth0".into()),
            Some(_) if !is_link_local(address.ip()) => {
                return Err("only a link-local address has an interface, such as fe80::1%eth0; leave it out".into());
            }
            Some(_) | None => (),
        }
        Ok(Server { address, interface })
    }
}

impl Server {
    /// A server that the system names, on port 53.
    pub(crate) fn of_system(server: &resolv_conf::ScopedIp) -> Server {
        let interface = match server {
            resolv_conf::ScopedIp::V6(address, interface) if is_link_local((*address).into()) => interface.clone(),
            _ => None,
        };
        Server {
            address: SocketAddr::new(server.into(), DNS_PORT),
            interface,
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Where questions to it go: with the number that its interface has now.
    ///
    /// # Errors
    /// If this machine has no such interface, or none is named where one must be.
    pub(crate) fn find(&self) -> anyhow::Result<SocketAddr> {
        let mut found = self.address;
        match (&mut found, &self.interface) {
            (SocketAddr::V6(address), Some(interface)) => address.set_scope_id(number(interface)?),
            (address, _) if is_link_local(address.ip()) => {
                let address = address.ip();
                bail!(
                    "{address} is of one network: write the interface behind it, as in {address}%{}",
                    example()
                );
            }
            _ => (),
        }
        Ok(found)
    }
}

/// The server's text without its interface, and that.
fn without_interface(text: &str) -> (String, Option<String>) {
    let Some((before, behind)) = text.split_once('%') else {
        return (text.to_owned(), None);
    };
    let (interface, rest) = behind.split_at(behind.find(']').unwrap_or(behind.len()));
    (format!("{before}{rest}"), Some(interface.to_owned()))
}

/// Whether it is of fe80::/10 (RFC 4291 §2.5.6).
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The number of an interface that is there. What looks like a number can be a name, and is one first; zero is no interface
/// (RFC 4007 §6).
fn number(interface: &str) -> anyhow::Result<u32> {
    // A number that none has comes back with an empty name, and not as an error.
    let is_there = |number: &u32| *number > 0 && if_indextoname(*number).is_ok_and(|name| !name.is_empty());
    let by_number = || interface.parse().ok().filter(is_there);
    let found = if_nametoindex(interface).ok().or_else(by_number);
    found.with_context(|| match names() {
        names if names.is_empty() => format!("no interface {interface:?} on this machine"),
        names => format!("no interface {interface:?} on this machine; it has {}", shown(&names)),
    })
}

/// The interfaces of this machine; none where the system does not say.
fn names() -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else {
        return Vec::new();
    };
    let names = interfaces
        .iter()
        .map(|interface| interface.name().to_string_lossy().into_owned());
    names.collect()
}

fn shown(names: &[String]) -> String {
    let some: Vec<&str> = names.iter().take(SHOWN_MAX).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// An interface that can be shown as one: not the loopback, if there is another.
fn example() -> String {
    let other = names().into_iter().find(|name| name != "lo");
    other.unwrap_or_else(|| "eth0".into())
}

/// `ZONE=ADDR:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) zone: Name,
    pub(crate) server: Server,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Route, String> {
        let (zone, server) = text
            .split_once('=')
            .ok_or("write ZONE=ADDR:PORT, such as bl.example.org=192.0.2.53:53")?;
        let zone = zone_name(zone)?;
        Ok(Route {
            zone: zone.to_lowercase(),
            server: server.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loopback interface, which is there under one name or another, and its number.
    fn loopback() -> (String, u32) {
        let name = ["lo", "lo0"].into_iter().find(|name| if_nametoindex(*name).is_ok());
        let name = name.expect("every machine has one");
        (name.to_owned(), if_nametoindex(name).expect("it was found"))
    }

    fn found(text: &str) -> Result<String, String> {
        let server: Server = text.parse().expect(text);
        server
            .find()
            .map(|found| found.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn servers_have_a_port_or_get_one() {
        for (text, expected) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("2001:db8::53:5353", "[2001:db8::53:5353]:53"),
            ("[2001:db8::53]", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(found(text), Ok(expected.to_owned()));
        }
        for text in [
            "",
            "ns.example",
            "192.0.2.53:",
            "192.0.2.53:0",
            "192.0.2.53:70000",
            "[192.0.2.53]",
            "[::1",
            "%lo",
            "fe80::1%",
            "[fe80::1%]:53",
            "[fe80::1%lo]:0",
            "[fe80::1%lo",
            "192.0.2.53%lo",
            "[2001:db8::53%1]:53",
            "::1%lo",
        ] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }

    #[test]
    fn routes_are_a_zone_and_a_server() {
        let route: Route = "BL.example.test=127.0.0.1:5353".parse().expect("good");
        assert_eq!(
            (route.zone.to_string().as_str(), route.server.address.port()),
            ("bl.example.test", 5353)
        );
        for text in [
            "bl.example.test",
            "=127.0.0.1:53",
            "a..b=127.0.0.1:53",
            "bl.example.test=ns.example",
        ] {
            assert!(text.parse::<Route>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_interface_is_found_by_name_and_by_number() {
        let (name, number) = loopback();
        for (text, port) in [
            (format!("fe80::1%{name}"), 53),
            (format!("[fe80::1%{name}]"), 53),
            (format!("[fe80::1%{name}]:5353"), 5353),
            (format!("fe80::1%{number}"), 53),
            (format!("[fe80::1%{number}]:5353"), 5353),
        ] {
            assert_eq!(found(&text), Ok(format!("[fe80::1%{number}]:{port}")), "{text}");
        }
        let route: Route = format!("BL.example.org=[fe80::1%{name}]:53").parse().expect("good");
        assert_eq!(
            route.server.find().expect("it is there").to_string(),
            format!("[fe80::1%{number}]:53")
        );
    }

    #[test]
    fn an_interface_that_is_not_there_is_told_with_those_that_are() {
        let (name, _) = loopback();
        for interface in ["none-such", "0", "4294967295", "99999999999999"] {
            let error = found(&format!("fe80::1%{interface}")).expect_err("it is not there");
            assert!(
                error.starts_with(&format!("no interface {interface:?} on this machine; it has ")),
                "{error}"
            );
            assert!(error.contains(&name), "{error}");
        }
        let error = found("fe80::1").expect_err("it could be on any network");
        assert!(
            error.starts_with("fe80::1 is of one network: write the interface behind it, as in fe80::1%"),
            "{error}"
        );
        let many: Vec<String> = (0..10).map(|number| format!("veth{number}")).collect();
        assert!(shown(&many).ends_with("veth7 and 2 more"), "{}", shown(&many));
    }

    #[test]
    fn a_resolver_of_link_local_space_that_the_system_names_keeps_its_network() {
        let (name, number) = loopback();
        let text = format!("nameserver fe80::1%{name}\nnameserver fe80::2%{number}\nnameserver 192.0.2.53\n");
        let config = resolv_conf::Config::parse(text).expect("good");
        let servers = config
            .nameservers
            .iter()
            .map(|server| Server::of_system(server).find().expect("it is there"));
        let servers: Vec<String> = servers.map(|server| server.to_string()).collect();
        assert_eq!(
            servers,
            [
                format!("[fe80::1%{number}]:53"),
                format!("[fe80::2%{number}]:53"),
                "192.0.2.53:53".to_owned()
            ]
        );
    }
}
