"""Criteria about networks of one's own, for the exercises of notebook 04: subnets, walls, addresses, a macvlan."""

from __future__ import annotations

import ipaddress

from netkit.exercises import wiring
from netkit.exercises.model import Criterion, Evidence, Miss, Probe
from netkit.network.model import Network

OUTSIDE = "192.168.59.254"
LAN = ipaddress.ip_network("192.168.59.0/24")


def find_network(evidence: Evidence, name: str) -> Network | None:
    """node1's network of this name."""
    return next((each for each in evidence.node("node1").networks if each.name == name), None)


def has_network(name: str, driver: str = "bridge") -> Criterion:
    """A network of this name and driver is there."""

    def judge(evidence: Evidence) -> Miss | None:
        network = find_network(evidence, name)
        options = "-d macvlan -o parent=eth0 " if driver == "macvlan" else ""
        if network is None:
            others = sorted(each.name for each in evidence.node("node1").networks if each.name not in ("bridge", "host", "none"))
            return Miss(
                f"no network {name} (your own: {', '.join(others) or 'none'})",
                "Make it first: a network is there before its containers.",
                f"`docker network create {options}{name}`, with the options the exercise asks for",
            )
        if network.driver != driver:
            return Miss(
                f"{name} is a network of the driver {network.driver}",
                f"A network keeps the driver it was made with: this one has to be {driver}.",
                f"Remove its containers and `docker network rm {name}`, then `docker network create {options}{name}` with the other options",
            )
        return None

    return Criterion(f"a network {name}, of the driver {driver}", judge)


def page(host: str, url: str) -> Probe:
    """Asked again while a server is still starting."""
    return Probe(host, f"for i in $(seq 15); do curl -sf --max-time 1 {url} && exit; sleep 0.1; done; exit 1", 3)


def ping(container: str, target: str) -> Probe:
    """A container pings a name or an address."""
    return Probe("node1", f"docker exec {container} ping -c 1 -W 1 {target}", 3)


def is_walled_off() -> Criterion:
    """customer gets no answer from vault's address."""

    def judge(evidence: Evidence) -> Miss | None:
        if not evidence.answers("customer vault"):
            return None
        return Miss(
            "vault's address answers customer",
            "They are in different networks, and something lets their packets pass: what is ahead of Docker's rules?",
            "Look at `iptables -S DOCKER-USER` and `iptables -t raw -S`, and take out what lets the two bridges talk.",
        )

    return Criterion("no answer for customer from vault's address", judge)


def is_internal(name: str) -> Criterion:
    """The network has no way out."""

    def judge(evidence: Evidence) -> Miss | None:
        network = find_network(evidence, name)
        if network and network.internal:
            return None
        return Miss(
            f"{name} has a way out",
            "Whether a network is internal is decided when it is made, and cannot be changed later.",
            f"Remove it and its containers, then `docker network create --internal --subnet … {name}`",
        )

    return Criterion(f"{name} an internal network", judge)


def has_subnet(name: str, subnet: str) -> Criterion:
    """The network has this subnet."""

    def judge(evidence: Evidence) -> Miss | None:
        network = find_network(evidence, name)
        found = [str(each) for each in network.subnets] if network else []
        if subnet in found:
            return None
        return Miss(
            f"{name} has the subnet {', '.join(found) or 'none'}",
            f"Choose the subnet {subnet} when you make the network: afterwards it is fixed.",
            f"`docker network create --internal --subnet {subnet} {name}`, after `docker network rm {name}`",
        )

    return Criterion(f"{name} with the subnet {subnet}", judge)


def has_endpoint_address(name: str, network: str, address: str) -> Criterion:
    """The container has this address in a network."""

    def judge(evidence: Evidence) -> Miss | None:
        endpoint = wiring.find_endpoint(evidence, name, network)
        found = [str(each.ip) for each in endpoint.addresses] if endpoint else []
        if address in found:
            return None
        return Miss(
            f"{name} has {', '.join(found) or 'no address'} in {network}",
            "Docker hands out the lowest free address, unless you ask for one when the container joins.",
            f"`docker network disconnect {network} {name}`, then `docker network connect --ip {address} {network} {name}` (its aliases too)",
        )

    return Criterion(f"{name} with the address {address} in {network}", judge)


def publishes(name: str, port: int) -> Criterion:
    """The container publishes its port 80."""

    def judge(evidence: Evidence) -> Miss | None:
        if (port, 80) in wiring.find_published(evidence, name):
            return None
        return Miss(
            f"{name} publishes: {wiring.tell_published(evidence, name)}",
            f"Clients outside know node1 only: port {port} of node1 has to lead to port 80 of {name}.",
            f"Publishing is decided at the start: `docker rm -f {name}`, and run it again with `-p {port}:80`",
        )

    return Criterion(f"port {port} of node1 published for port 80 of {name}", judge)


def keeps_off_the_lan(name: str) -> Criterion:
    """The network's subnet has no address in common with the LAN."""

    def judge(evidence: Evidence) -> Miss | None:
        network = find_network(evidence, name)
        bad = [str(each) for each in network.subnets if each.version == 4 and each.overlaps(LAN)] if network else []
        if not bad:
            return None
        if evidence.answers("way out"):
            return Miss(
                f"{name} still has the subnet {bad[0]}; node1 reaches outside by a route of its own",
                "A route helps node1 to one address. The containers, and every other machine in that half of the LAN, are as they were.",
                "Give the network another subnet: leave it with both containers, `docker network rm`, create it anew.",
            )
        return Miss(
            f"{name} has the subnet {bad[0]}, and the LAN is {LAN}",
            f"{OUTSIDE} is in both. Of two routes the kernel takes the one with the longer prefix: see `ip route get {OUTSIDE}`.",
            f"`docker network disconnect {name} …` for both, `docker network rm {name}`, `docker network create {name}`, connect both",
        )

    return Criterion(f"a network {name} that has no address in common with the LAN", judge)


def node1_reaches() -> Criterion:
    """node1 gets the page of its own macvlan container, which takes a macvlan interface of its own."""

    def judge(evidence: Evidence) -> Miss | None:
        if evidence.answers("node1"):
            return None
        own = [each for each in evidence.host().interfaces if each.kind == "macvlan"]
        if not own:
            return Miss(
                "node1 gets no answer, and has no macvlan interface",
                "What node1 sends by eth0 goes out by the cable. Macvlans of one card reach each other: let node1 have one as well.",
                "`ip link add lan0 link eth0 type macvlan mode bridge`, then an address, up, and a route to 192.168.59.50 by it",
            )
        first = own[0]
        if first.macvlan_mode != "bridge":
            return Miss(
                f"{first.name} is in mode {first.macvlan_mode}",
                "A macvlan of that mode does not talk to the others on its card directly.",
                f"`ip link delete {first.name}`, and make it again with `mode bridge`",
            )
        if not first.up:
            return Miss(f"{first.name} is down", "A new interface is switched off.", f"`ip link set {first.name} up`, then the route")
        container = evidence.container("printer")
        modes = {each.macvlan_mode for each in evidence.stack(container).interfaces if each.kind == "macvlan"} if container else set()
        if modes - {"bridge"}:
            return Miss(
                f"the container's macvlan is in mode {', '.join(sorted(map(str, modes)))}",
                "The container's side refuses the others on the card: Docker was asked for another mode than bridge.",
                "Make the network anew, without `-o macvlan_mode=…`",
            )
        return Miss(
            f"{first.name} is there and up, and node1 gets no answer",
            "By which interface does node1 send to 192.168.59.50? The LAN's own route is by eth0.",
            f"`ip route add 192.168.59.50/32 dev {first.name}`, and an address on {first.name}",
        )

    return Criterion("the page for node1, at 192.168.59.50", judge)


def owns_its_address(name: str) -> Criterion:
    """The address is the container's own: node1 neither has nor translates it."""

    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        firewall = evidence.host().firewall
        to = ipaddress.ip_address("192.168.59.50")
        local = any(each.ip == to for interface in evidence.host().interfaces for each in interface.addresses)
        if local or (firewall and any(each.address == to for each in firewall.forwards)):
            return Miss(
                "192.168.59.50 is an address of node1, or is translated by it",
                f"Then it is node1 that answers, and not {name}: the address has to be the container's own.",
                "Take the address and the rule away, and use the driver macvlan.",
            )
        return None if container else Miss(f"{name} does not run", f"{name} has to run.", f"`docker start {name}`")

    return Criterion("192.168.59.50 an address of the container, and of nobody else", judge)
