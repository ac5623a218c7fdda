//! Which addresses may be dialled, after a name is resolved and before a byte leaves.
//!
//! Public addresses pass. Special ones pass only where ceiling and grant both name
//! the address and the port. Addresses that carry another inside (IPv4 in IPv6)
//! never pass: the plain form is what documents name.

mod class;
mod rule;

use std::net::SocketAddr;
use std::sync::Arc;

use model::{PluginId, Problem};

use crate::ceiling::Ceiling;
use crate::denial::Denial;
use crate::print::quoted;

pub use rule::{AddressError, AddressRule, NamedAddress};

/// The addresses of one effective permission. Equal policies may share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressPolicy(Arc<Named>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    plugin: PluginId,
    /// Where a line goes that the ceiling lacks.
    place: String,
    ceiling: Vec<AddressRule>,
    grant: Vec<NamedAddress>,
}

impl AddressPolicy {
    pub(crate) fn new(plugin: &PluginId, ceiling: &Ceiling, grant: &[NamedAddress]) -> Self {
        Self(Arc::new(Named {
            plugin: plugin.clone(),
            place: ceiling.add_to("addresses"),
            ceiling: ceiling.document().addresses.clone(),
            grant: grant.to_vec(),
        }))
    }

    /// Whether this address may be dialled on this port.
    ///
    /// # Errors
    /// Names the class of the address (`loopback`, `cloud metadata`, ...) and the
    /// lines that would allow it.
    pub fn check(&self, address: SocketAddr) -> Result<(), Denial> {
        let Some(class) = class::special(address.ip()) else { return Ok(()) };
        let nameable = !class::is_unnameable(address.ip());
        let by_ceiling = nameable && self.0.ceiling.iter().any(|rule| rule.names(address));
        let by_grant = nameable && self.0.grant.iter().any(|named| named.names(address));
        if by_ceiling && by_grant {
            return Ok(());
        }
        Err(self.0.denial(address, class, nameable, by_ceiling, by_grant))
    }
}

impl Named {
    fn denial(&self, address: SocketAddr, class: &str, nameable: bool, by_ceiling: bool, by_grant: bool) -> Denial {
        let what = format!("{} may not dial {address}, a {class} address", self.plugin);
        if !nameable {
            let rule = format!("{class} addresses are never dialled");
            let fix = "use the plain address of the service, and name that in ceiling and grant";
            return Denial::new("address-never", what, rule, fix);
        }
        let mut missing = Vec::new();
        let mut fix = Vec::new();
        let line = quoted(&plain(address).to_string());
        if !by_ceiling {
            missing.push("the ceiling".to_owned());
            fix.push(format!("{}\n    {line},", self.place));
        }
        if !by_grant {
            missing.push(format!("grant {}", self.plugin));
            fix.push(format!("in the grant of {}, add to addresses and approve it again:\n    {line},", self.plugin));
        }
        let rule = format!("{address} is not public ({class}) and is not named by {}", missing.join(" and "));
        Denial::new("address-not-named", what, rule, fix.join("\n"))
    }
}

/// Why an address that a grant writes as a host is denied as the grant stands; None when
/// it is public, or named.
pub(crate) fn not_named(address: SocketAddr, named: &[NamedAddress]) -> Option<Problem> {
    let class = class::special(address.ip())?;
    if class::is_unnameable(address.ip()) {
        let what = format!("the grant sends to {address}, and {class} addresses are never dialled");
        return Some(Problem::new("address-never", what).fix("use the plain address of the service"));
    }
    let is_named = named.iter().any(|name| name.names(address));
    let what = format!("the grant sends to {address}, a {class} address that it does not name: it will be denied");
    let line = quoted(&address.to_string());
    let fix = format!("add to addresses of the grant, and to those of the ceiling if they lack it:\n    {line},");
    (!is_named).then(|| Problem::new("address-not-named", what).fix(fix))
}

/// The address without flow and scope, as documents name it.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(ceiling: &str, grant: &[&str]) -> AddressPolicy {
        let ceiling = Ceiling::parse(&format!("version = 1\naddresses = [{ceiling}]"), "ceiling.toml").expect(ceiling);
        let grant: Vec<NamedAddress> = grant.iter().map(|text| text.parse().expect(text)).collect();
        AddressPolicy::new(&"demo".parse().expect("good"), &ceiling, &grant)
    }

    fn check(ceiling: &str, grant: &[&str], address: &str, wanted: Result<(), &str>) {
        let answer = policy(ceiling, grant).check(address.parse().expect(address));
        match (answer, wanted) {
            (Ok(()), Ok(())) => {}
            (Err(denial), Err(word)) => assert!(denial.to_string().contains(word), "{address}: {denial}"),
            (answer, wanted) => panic!("{address} under [{ceiling}] and {grant:?}: {answer:?}, wanted {wanted:?}"),
        }
    }

    #[test]
    fn a_special_address_needs_ceiling_and_grant_and_the_port() {
        let local = "127.0.0.1:9100";
        check("", &[], "93.184.215.14:443", Ok(()));
        check("", &[], "[2606:4700::1111]:443", Ok(()));
        check("", &[], local, Err("loopback"));
        check("\"127.0.0.1:9100\"", &[], local, Err("not named by grant demo"));
        check("", &[local], local, Err("not named by the ceiling"));
        check("\"127.0.0.1:*\"", &[local], local, Ok(()));
        check("\"127.0.0.0/8:9100\"", &[local], local, Ok(()));
        check("\"127.0.0.0/8:9101\"", &[local], local, Err("ceiling"));
        check("\"127.0.0.1:*\"", &[local], "127.0.0.1:9101", Err("grant demo"));
        check("\"127.0.0.1:*\"", &[local], "127.0.0.2:9100", Err("ceiling and grant demo"));
        check("\"[::1]:*\"", &["[::1]:80"], "[::1]:80", Ok(()));
        check("\"169.254.169.254:80\"", &[], "169.254.169.254:80", Err("cloud metadata"));
    }

    #[test]
    fn an_address_inside_another_is_never_dialled() {
        for address in [
            "[::ffff:127.0.0.1]:9100",
            "[::127.0.0.1]:9100",
            "[64:ff9b::127.0.0.1]:9100",
            "[2002:7f00:1::]:9100",
            "[::ffff:93.184.215.14]:9100",
            "0.0.0.0:9100",
            "[::]:9100",
        ] {
            check("\"127.0.0.1:*\", \"0.0.0.0/0:*\", \"[::/0]:*\"", &["127.0.0.1:9100"], address, Err("never dialled"));
        }
    }

    #[test]
    fn the_denial_holds_the_lines_to_paste() {
        let denial = policy("", &[]).check("127.0.0.1:9100".parse().expect("good")).expect_err("denied");
        assert_eq!(
            denial.fix,
            "in ceiling.toml, add to addresses and start the host again:\n    \"127.0.0.1:9100\",\n\
             in the grant of demo, add to addresses and approve it again:\n    \"127.0.0.1:9100\","
        );
    }

    #[test]
    fn names_of_addresses_are_checked() {
        for (text, grant, ceiling) in [
            ("127.0.0.1:9100", true, true),
            ("[::1]:9100", true, true),
            ("127.0.0.1:*", false, true),
            ("10.0.0.0/8:443", false, true),
            ("[fd00::/8]:*", false, true),
            ("127.0.0.1", false, false),
            ("127.0.0.1:0", false, false),
            ("127.0.0.1:+80", false, false),
            ("10.1.0.0/8:443", false, false),
            ("::1:80", false, false),
            ("[127.0.0.1]:80", false, false),
            ("localhost:80", false, false),
            ("[::ffff:127.0.0.1]:80", false, false),
            ("[2002:7f00:1::]:80", false, false),
            ("0.0.0.0:80", false, false),
            ("8.8.8.8:53", false, true),
        ] {
            assert_eq!(text.parse::<NamedAddress>().is_ok(), grant, "grant {text}");
            assert_eq!(text.parse::<AddressRule>().is_ok(), ceiling, "ceiling {text}");
            if let Ok(rule) = text.parse::<AddressRule>() {
                assert_eq!(rule.to_string(), text);
            }
        }
    }
}
