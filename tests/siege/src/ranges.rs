//! Which addresses nobody may reach unasked, from the data file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use ipnet::IpNet;

const TEXT: &str = include_str!("../data/special.txt");

/// The special ranges.
#[derive(Debug)]
pub(crate) struct Ranges(Vec<IpNet>);

impl Ranges {
    pub(crate) fn read() -> Result<Self> {
        let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| line.parse().with_context(|| format!("range {line:?}"))).collect::<Result<_>>().map(Self)
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The ends and the middle of every range, and one step beyond each end.
    pub(crate) fn edges(&self) -> Vec<IpAddr> {
        let mut edges: Vec<IpAddr> = self.0.iter().flat_map(around).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

fn around(range: &IpNet) -> Vec<IpAddr> {
    let (first, last) = (bits(range.network()), bits(range.broadcast()));
    let is_v4 = matches!(range, IpNet::V4(_));
    let middle = first + (last - first) / 2;
    let near = [first.checked_sub(1), Some(first), Some(middle), Some(last), last.checked_add(1)];
    near.into_iter().flatten().filter_map(|bits| address(bits, is_v4)).collect()
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(bits: u128, is_v4: bool) -> Option<IpAddr> {
    if is_v4 {
        return u32::try_from(bits).ok().map(|bits| Ipv4Addr::from_bits(bits).into());
    }
    Some(Ipv6Addr::from_bits(bits).into())
}
