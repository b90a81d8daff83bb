//! A real SMTP server: Debian's postfix with a configuration and a spool of its own, ended by process id.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// postfix, which ends when this is dropped.
pub struct Postfix {
    master: Child,
    addr: SocketAddr,
    dir: TempDir,
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // master ends its own children when it is told to end.
        let id = self.master.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.master.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

impl Postfix {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The sessions that its log tells of.
    pub fn connections(&self) -> usize {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(": connect from ")).count()
    }

    /// postfix at an address of the caller's, which calls itself `name`; none if it is not installed, or not for us.
    pub fn at(addr: SocketAddr, name: &str) -> Option<Postfix> {
        let master = std::path::Path::new("/usr/lib/postfix/sbin/master");
        if !master.is_file() {
            assert!(
                std::env::var_os("REPUTON_NEED_PEERS").is_none(),
                "postfix is not installed"
            );
            eprintln!("postfix is not installed: nothing to talk to");
            return None;
        }
        let id = Command::new("id").arg("-u").output().expect("id runs");
        if id.stdout != b"0\n" {
            eprintln!("postfix starts for root only");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let run = |program: &str, args: &[&str]| {
            let status = Command::new(program).args(args).status().expect("it runs");
            assert!(status.success(), "{program} {args:?}");
        };
        let home = dir.path().display().to_string();
        run("chmod", &["755", &home]);
        for folder in [
            "etc",
            "data",
            "spool/pid",
            "spool/public",
            "spool/private",
            "spool/maildrop",
        ] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("a directory of our own");
        }
        run(
            "chown",
            &[
                "-R",
                "postfix",
                &format!("{home}/data"),
                &format!("{home}/spool/private"),
                &format!("{home}/spool/public"),
            ],
        );
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {home}/spool\ndata_directory = {home}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\nmyhostname = {name}\nmydestination =\ninet_interfaces = {}\n\
         inet_protocols = ipv4\nalias_maps =\nsmtpd_tls_security_level = none\n\
         maillog_file = {home}/log\nmaillog_file_prefixes = {home}\n",
            addr.ip()
        );
        let services = format!(
            "{addr} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nrewrite unix - - n - - trivial-rewrite\n\
         anvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\n\
         postlog unix-dgram n - n - 1 postlogd\n"
        );
        std::fs::write(dir.path().join("etc/main.cf"), main).expect("written");
        std::fs::write(dir.path().join("etc/master.cf"), services).expect("written");
        let child = Command::new(master)
            .args(["-d", "-c"])
            .arg(dir.path().join("etc"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postfix starts");
        let guard = Postfix {
            master: child,
            addr,
            dir,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(addr).is_err() {
            assert!(Instant::now() < until, "postfix does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        // Our own knock is in its log before anybody counts.
        while guard.connections() == 0 {
            assert!(Instant::now() < until, "postfix keeps no log");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(guard)
    }
}
