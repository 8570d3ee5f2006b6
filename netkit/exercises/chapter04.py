"""The exercises of notebook 04: networks of one's own, their walls, their addresses, and a machine of the LAN."""

from __future__ import annotations

import ipaddress

from netkit.exercises.criteria import ADDRESSES, OUTSIDE, has_network, is_in, is_refused, ping, reaches, tell_published
from netkit.exercises.judging import Evidence, Miss, Probe, criterion, exercise

LAN = ipaddress.ip_network("192.168.59.0/24")
PRINTER = "192.168.59.50"
WAY_OUT = Probe("node1", f"ping -c 1 -W 1 {OUTSIDE}", 3)


def _page(host: str, address: str) -> Probe:
    """Asked again while a server is still starting."""
    return Probe(host, f"for i in $(seq 15); do curl -sf --max-time 1 http://{address}/ && exit; sleep 0.1; done; exit 1", 3)


@criterion("{name} with the address {address} in {network}")
def _has_endpoint_address(seen: Evidence, name: str, network: str, address: str) -> None:
    endpoint = seen.endpoints(name).get(network)
    found = [str(each.ip) for each in endpoint.addresses] if endpoint else []
    if address not in found:
        raise Miss(
            f"{name} has {', '.join(found) or 'no address'} in {network}",
            "Docker hands out the lowest free address, unless you ask for one when the container joins.",
            f"`docker network disconnect {network} {name}`, then `docker network connect --ip {address} {network} {name}` (its aliases too)",
        )


@criterion("port {port} of node1 published for port 80 of {name}")
def _publishes(seen: Evidence, name: str, port: int) -> None:
    if (port, 80) not in seen.published(name):
        told = tell_published(seen, name)
        hint = f"Clients outside know node1 only: port {port} of node1 has to lead to port 80 of {name}."
        raise Miss(told, hint, f"Publishing is decided at the start: `docker rm -f {name}`, and run it again with `-p {port}:80`")


THREE = exercise(
    "4.1",
    "three, and a wall",
    has_network("shop"),
    has_network("bank"),
    is_in("customer", "shop"),
    is_in("till", "bank", "shop"),
    is_in("vault", "bank"),
    *(
        reaches(
            ping(name, target, wait=1),
            f"an answer for {name} from {target}",
            "The networks are right. Does till answer at all?",
            "`docker restart till`",
        )
        for name, target in (("customer", "till.shop"), ("vault", "till.bank"))
    ),
    is_refused(
        ping("customer", "$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' vault)", wait=1),
        "no answer for customer from vault's address",
        "vault's address answers customer",
        "They are in different networks, and something lets their packets pass: what is ahead of Docker's rules?",
        "Look at `iptables -S DOCKER-USER` and `iptables -t raw -S`, and take out what lets the two bridges talk.",
    ),
)


@criterion("{name} an internal network")
def _is_internal(seen: Evidence, name: str) -> None:
    network = seen.node().network(name)
    if not network or not network.internal:
        told = f"{name} has a way out"
        hint = "Whether a network is internal is decided when it is made, and cannot be changed later."
        raise Miss(told, hint, f"Remove it and its containers, then `docker network create --internal --subnet … {name}`")


@criterion("{name} with the subnet {subnet}")
def _has_subnet(seen: Evidence, name: str, subnet: str) -> None:
    network = seen.node().network(name)
    found = [str(each) for each in network.subnets] if network else []
    if subnet not in found:
        told = f"{name} has the subnet {', '.join(found) or 'none'}"
        hint = f"Choose the subnet {subnet} when you make the network: afterwards it is fixed."
        raise Miss(told, hint, f"`docker network create --internal --subnet {subnet} {name}`, after `docker network rm {name}`")


IN_PROXY = "docker exec proxy"
TIERS = exercise(
    "4.2",
    "an application in three tiers",
    has_network("front"),
    has_network("data"),
    _is_internal("data"),
    _has_subnet("data", "10.88.0.0/24"),
    is_in("db", "data"),
    _has_endpoint_address("db", "data", "10.88.0.10"),
    is_in("proxy", "data", "front"),
    reaches(
        Probe(
            "node1", f"{IN_PROXY} nslookup database 127.0.0.11 | grep -q 'Address.*10.88.0.10$' && {IN_PROXY} ping -c 1 -W 1 database", 4
        ),
        "an answer for proxy from the name database",
        "The container is found as db. A second name is an alias of its endpoint in data.",
        "`docker network disconnect data db`, then `docker network connect --ip 10.88.0.10 --alias database data db`",
    ),
    _publishes("proxy", 8080),
    reaches(
        _page("outside", f"{ADDRESSES['node1']}:8080"),
        "a page for outside at port 8080 of node1",
        "The port leads to proxy, but nobody there gives an answer: does a web server listen on port 80, and is front a network with a way out?",
        "`docker exec proxy netstat -ltn`; `docker network inspect front -f '{{.Internal}}'`",
    ),
)


@criterion("a network {name} that has no address in common with the LAN")
def _keeps_off_the_lan(seen: Evidence, name: str) -> None:
    network = seen.node().network(name)
    bad = [str(each) for each in network.subnets if each.version == 4 and each.overlaps(LAN)] if network else []
    if not bad:
        return
    if seen.answers(WAY_OUT):
        told = f"{name} still has the subnet {bad[0]}; node1 reaches outside by a route of its own"
        hint = "A route helps node1 to one address. The containers, and every other machine in that half of the LAN, are as they were."
        raise Miss(told, hint, "Give the network another subnet: leave it with both containers, `docker network rm`, create it anew.")
    raise Miss(
        f"{name} has the subnet {bad[0]}, and the LAN is {LAN}",
        f"{OUTSIDE} is in both. Of two routes the kernel takes the one with the longer prefix: see `ip route get {OUTSIDE}`.",
        f"`docker network disconnect {name} …` for both, `docker network rm {name}`, `docker network create {name}`, connect both",
    )


CLASH = exercise(
    "4.3",
    "why does it not work?",
    has_network("office"),
    _keeps_off_the_lan("office"),
    is_in("files", "office"),
    is_in("site", "office"),
    reaches(
        ping("site", "files", wait=1),
        "an answer for site from the name files",
        "Both are in the network, but the name is not known: what are the containers called?",
        "`docker ps`; `docker exec site nslookup files 127.0.0.11`",
    ),
    reaches(
        WAY_OUT,
        "an answer for node1 from outside",
        "The network is out of the way, but node1's own route to the LAN is not as it was.",
        f"`ip route get {OUTSIDE}` should say: dev eth0",
    ),
    _publishes("site", 8082),
    reaches(
        _page("outside", f"{ADDRESSES['node1']}:8082"),
        "a page for outside at port 8082 of node1",
        "The network is out of the way. Does site still serve its page?",
        "`docker exec site netstat -ltn`",
    ),
)


@criterion("{address} an address of the container, and of nobody else")
def _owns_its_address(seen: Evidence, name: str, address: str) -> None:
    """node1 neither has the address nor translates it."""
    local = {each.ip for interface in seen.host().interfaces for each in interface.addresses}
    if ipaddress.ip_address(address) in local | {each.address for each in seen.firewall().forwards}:
        told = f"{address} is an address of node1, or is translated by it"
        hint = f"Then it is node1 that answers, and not {name}: the address has to be the container's own."
        raise Miss(told, hint, "Take the address and the rule away, and use the driver macvlan.")


@criterion(f"the page for node1, at {PRINTER}")
def _node1_reaches_printer(seen: Evidence) -> None:
    """Which takes a macvlan interface of its own: it is a macvlan container."""
    if seen.answers(_page("node1", PRINTER)):
        return
    own = next((each for each in seen.host().interfaces if each.kind == "macvlan"), None)
    if own is None:
        raise Miss(
            "node1 gets no answer, and has no macvlan interface",
            "What node1 sends by eth0 goes out by the cable. Macvlans of one card reach each other: let node1 have one as well.",
            f"`ip link add lan0 link eth0 type macvlan mode bridge`, then an address, up, and a route to {PRINTER} by it",
        )
    if own.macvlan_mode != "bridge":
        hint = "A macvlan of that mode does not talk to the others on its card directly."
        raise Miss(f"{own.name} is in mode {own.macvlan_mode}", hint, f"`ip link delete {own.name}`, and make it again with `mode bridge`")
    if not own.up:
        raise Miss(f"{own.name} is down", "A new interface is switched off.", f"`ip link set {own.name} up`, then the route")
    modes = {str(each.macvlan_mode) for each in seen.inside("printer").interfaces if each.kind == "macvlan"}
    if modes - {"bridge"}:
        told = f"the container's macvlan is in mode {', '.join(sorted(modes))}"
        hint = "The container's side refuses the others on the card: Docker was asked for another mode than bridge."
        raise Miss(told, hint, "Make the network anew, without `-o macvlan_mode=…`")
    told = f"{own.name} is there and up, and node1 gets no answer"
    hint = f"By which interface does node1 send to {PRINTER}? The LAN's own route is by eth0."
    raise Miss(told, hint, f"`ip route add {PRINTER}/32 dev {own.name}`, and an address on {own.name}")


MACHINE = exercise(
    "4.4",
    "a machine of the LAN, for node1 as well",
    has_network("lan", "macvlan"),
    is_in("printer", "lan"),
    _has_endpoint_address("printer", "lan", PRINTER),
    _owns_its_address("printer", PRINTER),
    reaches(
        _page("outside", PRINTER),
        f"the page for outside, at {PRINTER}",
        "The address is there, but no page: on which of node1's interfaces does the macvlan sit, and does a web server listen?",
        "`docker network inspect lan -f '{{.Options}}'` should have parent:eth0; `docker exec printer netstat -ltn`",
    ),
    _node1_reaches_printer(),
    reaches(
        WAY_OUT,
        "an answer for node1 from outside",
        "node1 reaches printer, but the rest of the LAN no longer: your route is about more than one address.",
        f"Only {PRINTER}/32 belongs on the new interface; an address there has to be a /32 too.",
    ),
)

EXERCISES = (THREE, TIERS, CLASH, MACHINE)
