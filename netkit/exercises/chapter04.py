"""The exercises of notebook 04: networks of one's own, their walls, their addresses, and a machine of the LAN."""

from __future__ import annotations

import ipaddress

from netkit.exercises import wiring
from netkit.exercises.model import Criterion, Evidence, Exercise, Miss, Probe
from netkit.topology.model import Network

OUTSIDE = "192.168.59.254"
LAN = ipaddress.ip_network("192.168.59.0/24")


def _find_network(evidence: Evidence, name: str) -> Network | None:
    return next((each for each in evidence.node("node1").networks if each.name == name), None)


def _has_network(name: str, driver: str = "bridge") -> Criterion:
    """A network of this name and driver is there."""

    def judge(evidence: Evidence) -> Miss | None:
        network = _find_network(evidence, name)
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


def _is_member(name: str, *networks: str) -> Criterion:
    """The container runs, and is in exactly these networks."""
    wanted = set(networks)

    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        if container is None:
            return Miss(
                f"{name} does not run",
                f"{name} has to run: only a running container has endpoints.",
                f"`docker start {name}`, or `docker run -d --name {name} --net={networks[0]} …` if `docker ps --all` does not know it",
            )
        found = {each.network for each in container.endpoints}
        told = f"{name} is in: {', '.join(sorted(found)) or 'no network'}"
        if wanted - found:
            missing = sorted(wanted - found)[0]
            return Miss(
                told,
                f"{name} has no endpoint in {missing}: it can be given one while it runs.",
                f"`docker network connect {missing} {name}`",
            )
        if "bridge" in found - wanted:
            return Miss(
                told,
                f"{name} is still on docker0, where it meets everybody else who is: joining one network does not leave another.",
                f"`docker network disconnect bridge {name}`",
            )
        if found - wanted:
            extra = sorted(found - wanted)[0]
            return Miss(told, f"{name} does not belong into {extra}.", f"`docker network disconnect {extra} {name}`")
        return None

    return Criterion(f"{name} running, in {' and '.join(networks)} and in no other network", judge)


def _page(host: str, url: str) -> Probe:
    """Asked again while a server is still starting."""
    return Probe(host, f"for i in $(seq 15); do curl -sf --max-time 1 {url} && exit; sleep 0.1; done; exit 1", 3)


def _ping(container: str, target: str) -> Probe:
    return Probe("node1", f"docker exec {container} ping -c 1 -W 1 {target}", 3)


def _is_walled_off() -> Criterion:
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


THREE = Exercise(
    "4.1",
    "three, and a wall",
    (
        _has_network("shop"),
        _has_network("bank"),
        _is_member("customer", "shop"),
        _is_member("till", "bank", "shop"),
        _is_member("vault", "bank"),
        wiring.reaches(
            "customer till",
            "an answer for customer from till.shop",
            "The networks are right. Does till answer at all?",
            "`docker restart till`",
        ),
        wiring.reaches(
            "vault till", "an answer for vault from till.bank", "The networks are right. Does till answer at all?", "`docker restart till`"
        ),
        _is_walled_off(),
    ),
    {
        "customer till": _ping("customer", "till.shop"),
        "vault till": _ping("vault", "till.bank"),
        "customer vault": _ping("customer", "$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' vault)"),
    },
)


def _is_internal(name: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        network = _find_network(evidence, name)
        if network and network.internal:
            return None
        return Miss(
            f"{name} has a way out",
            "Whether a network is internal is decided when it is made, and cannot be changed later.",
            f"Remove it and its containers, then `docker network create --internal --subnet … {name}`",
        )

    return Criterion(f"{name} an internal network", judge)


def _has_subnet(name: str, subnet: str) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        network = _find_network(evidence, name)
        found = [str(each) for each in network.subnets] if network else []
        if subnet in found:
            return None
        return Miss(
            f"{name} has the subnet {', '.join(found) or 'none'}",
            f"Choose the subnet {subnet} when you make the network: afterwards it is fixed.",
            f"`docker network create --internal --subnet {subnet} {name}`, after `docker network rm {name}`",
        )

    return Criterion(f"{name} with the subnet {subnet}", judge)


def _has_endpoint_address(name: str, network: str, address: str) -> Criterion:
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


def _publishes(name: str, port: int) -> Criterion:
    def judge(evidence: Evidence) -> Miss | None:
        container = evidence.container(name)
        if container and any(each.port == port and each.target == 80 for each in container.ports):
            return None
        asked = ", ".join(f"{each.port} for {each.target}" for each in container.ports) if container else ""
        return Miss(
            f"{name} publishes: {asked or 'nothing'}",
            f"Clients outside know node1 only: port {port} of node1 has to lead to port 80 of {name}.",
            f"Publishing is decided at the start: `docker rm -f {name}`, and run it again with `-p {port}:80`",
        )

    return Criterion(f"port {port} of node1 published for port 80 of {name}", judge)


TIERS = Exercise(
    "4.2",
    "an application in three tiers",
    (
        _has_network("front"),
        _has_network("data"),
        _is_internal("data"),
        _has_subnet("data", "10.88.0.0/24"),
        _is_member("db", "data"),
        _has_endpoint_address("db", "data", "10.88.0.10"),
        _is_member("proxy", "data", "front"),
        wiring.reaches(
            "database",
            "an answer for proxy from the name database",
            "The container is found as db. A second name is an alias of its endpoint in data.",
            "`docker network disconnect data db`, then `docker network connect --ip 10.88.0.10 --alias database data db`",
        ),
        _publishes("proxy", 8080),
        wiring.reaches(
            "page",
            "a page for outside at port 8080 of node1",
            "The port leads to proxy, but nobody there gives an answer: does a web server listen on port 80, and is front a network with a way out?",
            "`docker exec proxy netstat -ltn`; `docker network inspect front -f '{{.Internal}}'`",
        ),
    ),
    {
        "database": Probe(
            "node1",
            "docker exec proxy nslookup database 127.0.0.11 | grep -q 'Address.*10.88.0.10$' && docker exec proxy ping -c 1 -W 1 database",
            4,
        ),
        "page": _page("outside", "http://192.168.59.1:8080/"),
    },
)


def _keeps_off_the_lan(name: str) -> Criterion:
    """The network's subnet has no address in common with the LAN."""

    def judge(evidence: Evidence) -> Miss | None:
        network = _find_network(evidence, name)
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


CLASH = Exercise(
    "4.3",
    "why does it not work?",
    (
        _has_network("office"),
        _keeps_off_the_lan("office"),
        _is_member("files", "office"),
        _is_member("site", "office"),
        wiring.reaches(
            "name",
            "an answer for site from the name files",
            "Both are in the network, but the name is not known: what are the containers called?",
            "`docker ps`; `docker exec site nslookup files 127.0.0.11`",
        ),
        wiring.reaches(
            "way out",
            "an answer for node1 from outside",
            "The network is out of the way, but node1's own route to the LAN is not as it was.",
            f"`ip route get {OUTSIDE}` should say: dev eth0",
        ),
        _publishes("site", 8082),
        wiring.reaches(
            "page",
            "a page for outside at port 8082 of node1",
            "The network is out of the way. Does site still serve its page?",
            "`docker exec site netstat -ltn`",
        ),
    ),
    {
        "name": _ping("site", "files"),
        "way out": Probe("node1", f"ping -c 1 -W 1 {OUTSIDE}", 3),
        "page": _page("outside", "http://192.168.59.1:8082/"),
    },
)


def _node1_reaches() -> Criterion:
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


def _owns_its_address(name: str) -> Criterion:
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


MACHINE = Exercise(
    "4.4",
    "a machine of the LAN, for node1 as well",
    (
        _has_network("lan", "macvlan"),
        _is_member("printer", "lan"),
        _has_endpoint_address("printer", "lan", "192.168.59.50"),
        _owns_its_address("printer"),
        wiring.reaches(
            "outside",
            "the page for outside, at 192.168.59.50",
            "The address is there, but no page: on which of node1's interfaces does the macvlan sit, and does a web server listen?",
            "`docker network inspect lan -f '{{.Options}}'` should have parent:eth0; `docker exec printer netstat -ltn`",
        ),
        _node1_reaches(),
        wiring.reaches(
            "lan",
            "an answer for node1 from outside",
            "node1 reaches printer, but the rest of the LAN no longer: your route is about more than one address.",
            "Only 192.168.59.50/32 belongs on the new interface; an address there has to be a /32 too.",
        ),
    ),
    {
        "outside": _page("outside", "http://192.168.59.50/"),
        "node1": _page("node1", "http://192.168.59.50/"),
        "lan": Probe("node1", f"ping -c 1 -W 1 {OUTSIDE}", 3),
    },
)

EXERCISES: tuple[Exercise, ...] = (THREE, TIERS, CLASH, MACHINE)
