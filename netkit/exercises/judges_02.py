"""What the exercises of notebook 02 judge: endpoints, their cables, the way out, links and aliases."""

from __future__ import annotations

from netkit.exercises.model import Criterion, Evidence, Miss, Probe
from netkit.exercises.wiring import find_default_routes, find_endpoint, find_networks, judge_running
from netkit.network.model import Interface, Network

PREDEFINED = ("bridge", "host", "none")
ANIMALS, SIDES = ("ant", "bee", "cat"), ("east", "west")


def runs(*names: str) -> Criterion:
    """Containers of these names run."""

    def judge(evidence: Evidence) -> Miss | None:
        for name in names:
            miss = judge_running(
                evidence,
                name,
                missing=(f"Start {name}.", f"`docker run -d --name {name} …`"),
                stopped=("A container has a sandbox only while it runs.", f"`docker start {name}`"),
            )
            if miss:
                return miss
        return None

    return Criterion(f"{', '.join(names)} running on node1", judge)


def has_bridge_networks(*names: str) -> Criterion:
    """Networks of these names are there, made by the driver bridge."""

    def judge(evidence: Evidence) -> Miss | None:
        for name in names:
            network = evidence.node("node1").network(name)
            if network is None:
                return Miss(f"no network {name}", "A network is created before anybody can be in it.", f"`docker network create {name}`")
            if network.driver != "bridge":
                return Miss(
                    f"{name} has the driver {network.driver}", "A network of one machine will do.", f"`docker network create {name}`"
                )
        return None

    return Criterion(f"the networks {' and '.join(names)}", judge)


def find_cable(evidence: Evidence, name: str, network: str) -> tuple[Interface | None, Interface | None]:
    """An endpoint's interface in the sandbox, and its other end on node1."""
    endpoint = find_endpoint(evidence, name, network)
    inner = evidence.topology.at(endpoint.interface) if endpoint and endpoint.interface else None
    return inner, evidence.other_end(inner) if inner else None


def leads_out_by(name: str, network: str) -> Criterion:
    """The container's default route leads to the gateway of a network."""

    def judge(evidence: Evidence) -> Miss | None:
        routes, known = find_default_routes(evidence, name), evidence.node("node1").network(network)
        gateways = known.gateways if known else ()
        if any(route.gateway in gateways for route in routes):
            return None
        if not routes:
            return Miss(
                f"{name} has no default route",
                f"{name} has no way out at all: is {network} internal, too?",
                f"Only the other network is to be `--internal`: create {network} without it.",
            )
        through = [each.name for each in evidence.node("node1").networks if routes[0].gateway in each.gateways]
        return Miss(
            f"the default route leads through {', '.join(through) or routes[0].gateway}",
            "Of the networks that offer a gateway, the first in the alphabet gives the way out. What if one of them offers none?",
            "`docker network create --internal court` (remove the old one first)",
        )

    return Criterion(f"the default route of {name} through {network}", judge)


def ping_by(client: str, name: str) -> Probe:
    """One container asks another by its name."""
    return Probe("node1", f"docker exec {client} ping -c 1 -W 2 {name}")


def stays_apart(probe: str, what: str) -> Criterion:
    """A probe fails, as it should."""

    def judge(evidence: Evidence) -> Miss | None:
        if not evidence.answers(probe):
            return None
        return Miss(
            "an answer came",
            "Somebody forwards between the two networks now: a rule, or a route?",
            "`iptables -S DOCKER-USER`, `docker exec www ip route`",
        )

    return Criterion(what, judge)


def all_connected() -> Criterion:
    """Each container has an endpoint, with a cable, in each network."""

    def judge(evidence: Evidence) -> Miss | None:
        for name in ANIMALS:
            for side in SIDES:
                inner, outer = find_cable(evidence, name, side)
                if inner is None or outer is None:
                    return Miss(
                        f"{name} has no endpoint in {side}, or no interface for it",
                        "Docker is to go on believing in all six endpoints: a broken cable is still a cable.",
                        f"`docker network connect {side} {name}`, and then only switch off a device: `ip link set … down`",
                    )
        return None

    return Criterion("six endpoints: each of the three containers in east and in west", judge)


def bridges_work() -> Criterion:
    """The networks' bridges are up, and every cable is plugged into its own."""

    def judge(evidence: Evidence) -> Miss | None:
        for side in SIDES:
            network = evidence.node("node1").network(side)
            bridge = evidence.host().interface(network.bridge) if network and network.bridge else None
            if bridge is None or not bridge.up:
                return Miss(
                    f"the bridge of {side} is {'down' if bridge else 'missing'}",
                    "That is the whole switch, with everybody on it. Only one cable is to be broken.",
                    "`ip link set br-… up`, br-… having the first 12 digits of the network's id",
                )
            loose = [name for name in ANIMALS if (outer := find_cable(evidence, name, side)[1]) and outer.master != network.bridge]
            if loose:
                return Miss(
                    f"{loose[0]}'s cable is not plugged into the bridge of {side}",
                    "Leave the plug where it is, and switch the device off.",
                    f"`ip link set veth… master {network.bridge}`, then `ip link set veth… down`",
                )
        return None

    return Criterion("both bridges up, with all six cables plugged in", judge)


def one_is_cut(wanted: tuple[str, str]) -> Criterion:
    """Of all cables, only node1's end of the wanted one is down."""

    def judge(evidence: Evidence) -> Miss | None:
        cables = {(name, side): find_cable(evidence, name, side) for name in ANIMALS for side in SIDES}
        inner = [place for place, (inside, _) in cables.items() if inside and not inside.up]
        cut = [place for place, (_, outside) in cables.items() if outside and not outside.up]
        name, side = wanted
        if inner:
            return Miss(
                f"{inner[0][0]}'s own end in {inner[0][1]} is down",
                "A cable has two ends: the one on node1 is meant, and the container's own stays up.",
                f"`nsenter --net=… ip link set … up`, with the SandboxKey of {inner[0][0]}",
            )
        if cut == [wanted]:
            return None
        wrong = [place for place in cut if place != wanted]
        if not cut:
            return Miss(
                "all six cables work",
                f"Which veth on node1 has the number that `iflink` shows in {name}, for the interface with its address in {side}?",
                "`grep -lx NUMBER /sys/class/net/veth*/ifindex`, then `ip link set veth… down`",
            )
        who, where = wrong[0]
        if wanted in cut:
            return Miss(
                f"also cut: {who} in {where}", "More than one cable is broken.", f"Switch on the one that belongs to {who} in {where}."
            )
        if who == name:
            return Miss(
                f"cut: {who} in {where}",
                f"The right container, the other network. Its interfaces are not numbered as the others' are: look for the address in {side}.",
                f"`docker inspect -f '{{{{.NetworkSettings.Networks.{side}.IPAddress}}}}' {name}`, and which interface has it?",
            )
        return Miss(
            f"cut: {who} in {where}",
            "Somebody else's cable. The number after `@if` is a device's number in the other namespace, not a container's.",
            f"`docker exec {name} cat /sys/class/net/eth…/iflink` is the number to look for on node1.",
        )

    return Criterion(f"node1's end of the endpoint of {wanted[0]} in {wanted[1]} switched off, and no other device", judge)


def shared(evidence: Evidence, one: str, other: str) -> list[Network]:
    """The networks that two containers have in common and that somebody has created."""
    both = find_networks(evidence, one) & find_networks(evidence, other)
    return [each for each in evidence.node("node1").networks if each.name in both and each.name not in PREDEFINED]


def share_network(one: str, other: str) -> Criterion:
    """Two containers are in a network that somebody has created."""

    def judge(evidence: Evidence) -> Miss | None:
        if shared(evidence, one, other):
            return None
        mine, others = find_networks(evidence, one), find_networks(evidence, other)
        found = "; ".join(f"{name}: {', '.join(sorted(nets)) or 'none'}" for name, nets in ((one, mine), (other, others)))
        if "bridge" in mine & others:
            return Miss(
                found,
                "Both are on docker0, and there it ends: on docker0, nobody answers questions for names.",
                "A network made by `docker network create` has a DNS server: connect both to one.",
            )
        return Miss(
            found,
            f"{one} and {other} have no network in common.",
            f"`docker network connect NETWORK {one}`, and the same for {other} where it is not in it",
        )

    return Criterion(f"a network of their own that {one} and {other} are both in", judge)


def has_no_link(name: str) -> Criterion:
    """Neither a link nor a line in a file tells a container where another one is."""

    def judge(evidence: Evidence) -> Miss | None:
        links, hosts = evidence.replies["links"], evidence.replies["hosts"]
        if links.stdout.strip():
            return Miss(
                f"{name} has a link: {links.stdout.strip()}",
                "It still depends on one certain container. Without `--link`, please.",
                f"`docker rm -f {name}`, and run it in a network of your own",
            )
        if hosts.status == 0:
            return Miss(
                f"a line about the database in {name}'s /etc/hosts",
                "That line will be wrong as soon as the address changes: nobody corrects it.",
                "Remove it (`--add-host`?), and give the name to the network: `--network-alias database`",
            )
        return None

    return Criterion(f"no link, and no entry about the database in /etc/hosts of {name}", judge)


def has_alias(name: str, user: str, alias: str) -> Criterion:
    """A network knows a container by an alias."""

    def judge(evidence: Evidence) -> Miss | None:
        for network in shared(evidence, user, name):
            endpoint = find_endpoint(evidence, name, network.name)
            if endpoint and alias in endpoint.names:
                return None
        if evidence.answers("page"):
            return Miss(
                f"{user} knows it as {alias}, but the network does not",
                f"A link inside a network is an alias for one container alone. Let the whole network know {name} as {alias}.",
                f"`--network-alias {alias}` when {name} is run, or `docker network connect --alias {alias} NETWORK {name}`",
            )
        return Miss(
            f"{name} has no alias {alias} in the network it shares with {user}",
            "An alias belongs to an endpoint, so it has to be given again whenever the container is recreated.",
            f"`docker run --network NETWORK --network-alias {alias} …`",
        )

    return Criterion(f"{name} known as {alias} in their network", judge)


def was_recreated() -> Criterion:
    """The page is the new one, from a container younger than its client."""

    def judge(evidence: Evidence) -> Miss | None:
        if "new stock" not in evidence.replies["page"].stdout:
            found = evidence.replies["page"].stdout.strip() or "no page"
            return Miss(
                f"http://database:5432/ says: {found}",
                "Recreate store with a page that says `new stock`, listening on port 5432.",
                "busybox sh -c 'echo new stock > /tmp/index.html; httpd -f -p 5432 -h /tmp'",
            )
        if not evidence.answers("order"):
            return Miss(
                "till was started after store",
                "The proof is missing: a till that knows the old store and meets a new one.",
                "`docker rm -f store`, and run it once more, with all its options; leave till alone",
            )
        return None

    return Criterion("till gets `new stock` from a store that was started after it", judge)


def kept(*names: str) -> Criterion:
    """Containers still have what a restart would have taken from their memory."""

    def judge(evidence: Evidence) -> Miss | None:
        for name in names:
            if not evidence.answers(f"note {name}"):
                return Miss(
                    f"{name} has lost its note",
                    f"{name} was restarted or recreated. A sandbox gets and loses endpoints while its container runs.",
                    f"Restart the exercise (`docker rm -f {' '.join(names)}`, then its first cell), and use `docker network connect`.",
                )
        return None

    return Criterion(f"{' and '.join(names)} running without a break", judge)


def is_plugged_where_docker_says(name: str, user: str) -> Criterion:
    """A container's cable is plugged into the bridge of the network it shares with another."""

    def judge(evidence: Evidence) -> Miss | None:
        misses = []
        for network in shared(evidence, user, name):
            outer = find_cable(evidence, name, network.name)[1]
            if outer and outer.master == network.bridge and outer.up:
                return None
            state = (
                "missing" if outer is None else f"plugged into {outer.master or 'nothing'}" if outer.master != network.bridge else "down"
            )
            misses.append(f"the cable of {name} in {network.name} is {state}")
        return Miss(
            "; ".join(misses),
            f"Docker believes that {name} is in this network. Into which bridge is node1's end of its cable really plugged?",
            f"`docker network disconnect` and `connect` make {name}'s endpoint anew (or `ip link set veth… master br-…`)",
        )

    return Criterion(f"{name}'s cable plugged into the bridge of the network it is in", judge)
