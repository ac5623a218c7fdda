//! Where the siege takes place: a namespace of its own, or what loopback offers.
//!
//! In the namespace every address is local, port 53 is ours and `/etc/resolv.conf` names
//! it, so that the host under test runs as it is: its own resolver, its own ceiling.

use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};

/// Where a siege takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A network, and a `/etc`, of the siege's own.
    Namespace,
    /// This machine's loopback interface: fewer addresses, a resolver that is told.
    Loopback {
        /// Why it is not a namespace.
        why: String,
    },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "namespace" => Ok(Self::Namespace),
            "loopback" => Ok(Self::Loopback { why: "it was asked for".to_owned() }),
            other => Err(format!("place {other:?} is neither namespace nor loopback")),
        }
    }
}

/// With a user of its own first: it asks for no rights.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net", "--mount"], &["--net", "--mount"]];

/// Starts this program again inside a namespace, with the same arguments; its exit code.
///
/// # Errors
/// Why there is no namespace to be had here.
pub fn enter() -> Result<ExitCode, String> {
    let mut reasons = Vec::new();
    for way in WAYS {
        match probe(way) {
            Ok(()) => return again(way).map_err(|error| format!("{error:#}")),
            Err(error) => reasons.push(format!("unshare {}: {error:#}", way.join(" "))),
        }
    }
    Err(reasons.join("; "))
}

/// Whether all that is needed works in there.
fn probe(way: &[&str]) -> Result<()> {
    let script = format!("set -e\n{ROUTES}\nmount --bind /dev/null /etc/resolv.conf");
    let output = Command::new("unshare").args(way).args(["--", "sh", "-c", &script]).stdin(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", words.trim());
    Ok(())
}

/// Every address of the world is this machine.
const ROUTES: &str = "ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo";

/// Names come from our server and nowhere else; one try of three seconds for each.
const RESOLVER: &str = "nameserver 127.0.0.1\nsearch .\noptions timeout:3 attempts:1\n";

fn again(way: &[&str]) -> Result<ExitCode> {
    let folder = tempfile::tempdir().context("a folder for the namespace's files")?;
    let (resolver, switch, hosts) =
        (folder.path().join("resolv.conf"), folder.path().join("nsswitch.conf"), folder.path().join("hosts"));
    fs::write(&resolver, RESOLVER)?;
    fs::write(&switch, "hosts: files dns\n")?;
    fs::write(&hosts, "127.0.0.1 localhost\n::1 localhost\n")?;
    // A caching daemon would answer in the place of our server; /etc/nsswitch.conf and
    // the daemon's folder need not be there.
    let script = format!(
        "set -e\n{ROUTES}\n\
         mount --bind '{}' /etc/resolv.conf\n\
         mount --bind '{}' /etc/hosts\n\
         if [ -e /etc/nsswitch.conf ]; then mount --bind '{}' /etc/nsswitch.conf; fi\n\
         for folder in /run/nscd /var/run/nscd; do if [ -d $folder ]; then mount -t tmpfs none $folder; fi; done\n\
         exec \"$@\"",
        resolver.display(),
        hosts.display(),
        switch.display(),
    );
    let mut command = Command::new("unshare");
    command.args(way).args(["--", "sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe()?).args(["--place", "namespace"]).args(std::env::args_os().skip(1));
    let status = command.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Connections that the kernel was asked to make in this namespace so far, whatever
/// became of them.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn kernel_opens() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/snmp").context("/proc/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_whitespace);
    let (names, values) = lines.next().zip(lines.next()).context("no line of TCP in /proc/net/snmp")?;
    let opens = names.zip(values).find(|(name, _)| *name == "ActiveOpens").context("no ActiveOpens")?;
    Ok(opens.1.parse()?)
}
