//! The network that the nodes of a cluster share: a switch of assay's own, to which each machine has its second network
//! device. The first one leads to this host, and only the server's is used.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::guest::{Control, Exec};
use crate::machine::{self, Nic, Switch};
use crate::target::Link;
use crate::target::docker::pods;
use crate::text;

/// Nodes, the server included; /24 has no more room.
const MOST: u8 = 254;

/// A switch with its nodes. Dropped, all of them are cut off.
pub(super) struct Lan {
    switch: Switch,
    /// The server and its agents.
    nodes: u8,
}

/// The place of a node: 0 is the server's, the agents' begin with 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    nth: u8,
    nodes: u8,
}

impl Lan {
    /// For a server and so many agents. The socket is made in `work`, with which it goes.
    pub fn open(work: &Path, agents: u8) -> Result<Self> {
        ensure!(
            agents < MOST,
            "failed to make a network for {agents} agents: {} is the most",
            MOST - 1
        );
        Ok(Self {
            switch: Switch::open(&work.join("switch"))
                .context("failed to make the switch between the nodes")?,
            nodes: agents + 1,
        })
    }

    pub fn seat(&self, nth: u8) -> Seat {
        Seat {
            nth,
            nodes: self.nodes,
        }
    }

    /// The second network device of a node.
    pub fn nic(&self, seat: Seat) -> Nic {
        Nic::Stream {
            socket: self.switch.path().to_owned(),
            address: seat.hardware(),
        }
    }

    /// Cuts a node off or mends its link, and has it look whether it reaches the server.
    pub async fn set(&self, seat: Seat, control: &Control, name: &str, link: Link) -> Result<()> {
        let before = self.switch.traffic();
        let cut = link == Link::Down;
        let wanted = machine::Link {
            cut,
            ..machine::Link::default()
        };
        self.switch.set(seat.hardware(), wanted);
        let up = seat.reaches_server(control).await?;
        let held_back = self.switch.traffic().cut - before.cut;
        ensure!(
            up != cut && (!cut || held_back > 0),
            "failed to set the link of {name} to {link:?}: its server {} from there, and the switch held back \
             {held_back} frames",
            if up { "answers" } else { "does not answer" }
        );
        Ok(())
    }
}

/// The address of a node. Nobody but the nodes sees it.
fn address(nth: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 61, 0, nth + 1)
}

impl Seat {
    pub fn address(self) -> Ipv4Addr {
        address(self.nth)
    }

    /// The subnet of its pods.
    pub fn pods(self) -> String {
        pods(self.nth)
    }

    /// Locally administered; the last byte tells the nodes apart.
    fn hardware(self) -> [u8; 6] {
        [0x52, 0x54, 0x00, 0x61, 0x74, self.nth + 1]
    }

    /// Gives the guest its address, and the ways to the others' pods, which flannel would find otherwise. Once a boot.
    pub async fn take(self, control: &Control) -> Result<()> {
        let line = self.commands().join(" && ");
        let done = control.exec(&Exec::new(&["sh", "-c", &line])).await?;
        ensure!(
            done.exit.code == Some(0),
            "failed to connect a guest to the nodes' network: {}",
            text::tame(&String::from_utf8_lossy(&done.stderr))
        );
        Ok(())
    }

    fn commands(self) -> Vec<String> {
        let own = self.address();
        let mut lines = vec![
            format!("ip addr add {own}/24 dev eth1"),
            "ip link set eth1 up".to_owned(),
        ];
        let others = (0..self.nodes).filter(|nth| *nth != self.nth);
        lines.extend(others.map(|nth| format!("ip route add {} via {}", pods(nth), address(nth))));
        lines
    }

    async fn reaches_server(self, control: &Control) -> Result<bool> {
        let server = address(0).to_string();
        let ping = Exec::new(&["ping", "-c", "3", "-W", "2", &server]);
        Ok(control.exec(&ping).await?.exit.code == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_an_address_and_knows_the_ways_to_all_others() {
        let seat = |nth| Seat { nth, nodes: 3 };
        assert_eq!(seat(0).address(), Ipv4Addr::new(10, 61, 0, 1));
        assert_ne!(seat(1).hardware(), seat(2).hardware());
        let lines = seat(1).commands();
        assert_eq!(
            lines,
            [
                "ip addr add 10.61.0.2/24 dev eth1",
                "ip link set eth1 up",
                "ip route add 10.42.0.0/24 via 10.61.0.1",
                "ip route add 10.42.2.0/24 via 10.61.0.3",
            ]
        );
    }

    #[tokio::test]
    async fn there_is_room_for_as_many_nodes_as_addresses() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lan::open(folder.path(), 254).is_err());
        let lan = Lan::open(folder.path(), 253).unwrap();
        assert_eq!(lan.seat(253).address(), Ipv4Addr::new(10, 61, 0, 254));
    }
}
