"""The exercises of notebook 02: a gate between two networks, one cable cut, a link replaced, and two faults behind each other."""

from __future__ import annotations

import itertools

from netkit.exercises.criteria import PREDEFINED, find_running, has_network, is_in, is_refused, ping, reaches
from netkit.exercises.judging import Evidence, Miss, Probe, criterion, exercise
from netkit.network.model import Interface, Network

ANIMALS, SIDES = ("ant", "bee", "cat"), ("east", "west")


@criterion(lambda *names: f"{', '.join(names)} running on node1")
def _runs(seen: Evidence, *names: str) -> None:
    for name in names:
        missing = f"Start {name}.", f"`docker run -d --name {name} …`"
        stopped = "A container has a sandbox only while it runs.", f"`docker start {name}`"
        find_running(seen, name, missing, stopped)


@criterion("the default route of {name} through {network}")
def _leads_out_by(seen: Evidence, name: str, network: str) -> None:
    routes, known = seen.default_routes(name), seen.node().network(network)
    if known and any(route.gateway in known.gateways for route in routes):
        return
    if not routes:
        hint = f"{name} has no way out at all: is {network} internal, too?"
        raise Miss(f"{name} has no default route", hint, f"Only the other network is to be `--internal`: create {network} without it.")
    through = [each.name for each in seen.node().networks if routes[0].gateway in each.gateways]
    told = f"the default route leads through {', '.join(through) or routes[0].gateway}"
    hint = "Of the networks that offer a gateway, the first in the alphabet gives the way out. What if one of them offers none?"
    raise Miss(told, hint, "`docker network create --internal court` (remove the old one first)")


GATE = exercise(
    "2.1",
    "a gate between two networks",
    has_network("street"),
    has_network("court"),
    _runs("www", "ledger", "gate"),
    is_in("www", "street"),
    is_in("ledger", "court"),
    is_in("gate", "street", "court"),
    _leads_out_by("gate", "street"),
    *(
        reaches(
            ping("gate", name), f"{name} answers gate, by its name", f"Look at both ends of {name}'s cable.", "`netkit.capture('node1')`"
        )
        for name in ("www", "ledger")
    ),
    is_refused(
        ping("www", "$(docker inspect -f '{{.NetworkSettings.Networks.court.IPAddress}}' ledger)", wait=1),
        "no answer for www from ledger",
        "an answer came",
        "Somebody forwards between the two networks now: a rule, or a route?",
        "`iptables -S DOCKER-USER`, `docker exec www ip route`",
    ),
)


def _find_cable(seen: Evidence, name: str, network: str) -> tuple[Interface | None, Interface | None]:
    """An endpoint's interface in the sandbox, and its other end on node1."""
    endpoint = seen.endpoints(name).get(network)
    inner = seen.topology.at(endpoint.interface) if endpoint and endpoint.interface else None
    return inner, seen.other_end(inner)


@criterion("six endpoints: each of the three containers in east and in west")
def _all_connected(seen: Evidence) -> None:
    for name, side in itertools.product(ANIMALS, SIDES):
        if None in _find_cable(seen, name, side):
            told = f"{name} has no endpoint in {side}, or no interface for it"
            hint = "Docker is to go on believing in all six endpoints: a broken cable is still a cable."
            raise Miss(told, hint, f"`docker network connect {side} {name}`, and then only switch off a device: `ip link set … down`")


@criterion("both bridges up, with all six cables plugged in")
def _bridges_work(seen: Evidence) -> None:
    for side in SIDES:
        network = seen.node().network(side)
        bridge = seen.host().interface(network.bridge) if network and network.bridge else None
        if bridge is None or not bridge.up:
            told = f"the bridge of {side} is {'down' if bridge else 'missing'}"
            hint = "That is the whole switch, with everybody on it. Only one cable is to be broken."
            raise Miss(told, hint, "`ip link set br-… up`, br-… having the first 12 digits of the network's id")
        for name in ANIMALS:
            outer = _find_cable(seen, name, side)[1]
            if outer and outer.master != bridge.name:
                told = f"{name}'s cable is not plugged into the bridge of {side}"
                hint = "Leave the plug where it is, and switch the device off."
                raise Miss(told, hint, f"`ip link set veth… master {bridge.name}`, then `ip link set veth… down`")


@criterion("node1's end of the endpoint of {name} in {side} switched off, and no other device")
def _one_is_cut(seen: Evidence, name: str, side: str) -> None:
    cables = {place: _find_cable(seen, *place) for place in itertools.product(ANIMALS, SIDES)}
    for (who, where), (inner, _) in cables.items():
        if inner and not inner.up:
            hint = "A cable has two ends: the one on node1 is meant, and the container's own stays up."
            raise Miss(f"{who}'s own end in {where} is down", hint, f"`nsenter --net=… ip link set … up`, with the SandboxKey of {who}")
    cut = [place for place, (_, outer) in cables.items() if outer and not outer.up]
    if cut == [(name, side)]:
        return
    if not cut:
        hint = f"Which veth on node1 has the number that `iflink` shows in {name}, for the interface with its address in {side}?"
        raise Miss("all six cables work", hint, "`grep -lx NUMBER /sys/class/net/veth*/ifindex`, then `ip link set veth… down`")
    who, where = next(place for place in cut if place != (name, side))
    told = f"cut: {who} in {where}"
    if (name, side) in cut:
        raise Miss(f"also {told}", "More than one cable is broken.", f"Switch on the one that belongs to {who} in {where}.")
    if who == name:
        raise Miss(
            told,
            f"The right container, the other network. Its interfaces are not numbered as the others' are: look for the address in {side}.",
            f"`docker inspect -f '{{{{.NetworkSettings.Networks.{side}.IPAddress}}}}' {name}`, and which interface has it?",
        )
    hint = "Somebody else's cable. The number after `@if` is a device's number in the other namespace, not a container's."
    raise Miss(told, hint, f"`docker exec {name} cat /sys/class/net/eth…/iflink` is the number to look for on node1.")


CUT = exercise("2.2", "cut one cable", _runs(*ANIMALS), _all_connected(), _bridges_work(), _one_is_cut("bee", "west"))


def _find_shared(seen: Evidence, one: str, other: str) -> list[Network]:
    """The networks that two containers have in common and that somebody has created."""
    both = seen.endpoints(one).keys() & seen.endpoints(other).keys()
    return [each for each in seen.node().networks if each.name in both and each.name not in PREDEFINED]


@criterion("a network of their own that {one} and {other} are both in")
def _share_network(seen: Evidence, one: str, other: str) -> None:
    if _find_shared(seen, one, other):
        return
    found = "; ".join(f"{name}: {', '.join(sorted(seen.endpoints(name))) or 'none'}" for name in (one, other))
    if "bridge" in seen.endpoints(one) and "bridge" in seen.endpoints(other):
        hint = "Both are on docker0, and there it ends: on docker0, nobody answers questions for names."
        raise Miss(found, hint, "A network made by `docker network create` has a DNS server: connect both to one.")
    hint = f"{one} and {other} have no network in common."
    raise Miss(found, hint, f"`docker network connect NETWORK {one}`, and the same for {other} where it is not in it")


@criterion("no link, and no entry about the database in /etc/hosts of {name}")
def _has_no_link(seen: Evidence, name: str) -> None:
    links = seen.ask(Probe("node1", f"docker inspect -f '{{{{range .HostConfig.Links}}}}{{{{println .}}}}{{{{end}}}}' {name}"))
    if links.stdout.strip():
        hint = "It still depends on one certain container. Without `--link`, please."
        raise Miss(f"{name} has a link: {links.stdout.strip()}", hint, f"`docker rm -f {name}`, and run it in a network of your own")
    if seen.answers(Probe("node1", f"docker exec {name} grep -qwE 'database|store' /etc/hosts")):
        told = f"a line about the database in {name}'s /etc/hosts"
        hint = "That line will be wrong as soon as the address changes: nobody corrects it."
        raise Miss(told, hint, "Remove it (`--add-host`?), and give the name to the network: `--network-alias database`")


DATABASE = Probe("node1", "docker exec till curl -s --max-time 2 http://database:5432/")


@criterion("{name} known as {alias} in their network")
def _has_alias(seen: Evidence, name: str, user: str, alias: str) -> None:
    if any(alias in seen.endpoints(name)[network.name].names for network in _find_shared(seen, user, name)):
        return
    if seen.answers(DATABASE):
        told = f"{user} knows it as {alias}, but the network does not"
        hint = f"A link inside a network is an alias for one container alone. Let the whole network know {name} as {alias}."
        raise Miss(told, hint, f"`--network-alias {alias}` when {name} is run, or `docker network connect --alias {alias} NETWORK {name}`")
    told = f"{name} has no alias {alias} in the network it shares with {user}"
    hint = "An alias belongs to an endpoint, so it has to be given again whenever the container is recreated."
    raise Miss(told, hint, f"`docker run --network NETWORK --network-alias {alias} …`")


@criterion("till gets `new stock` from a store that was started after it")
def _was_recreated(seen: Evidence) -> None:
    page = seen.ask(DATABASE).stdout
    if "new stock" not in page:
        told = f"http://database:5432/ says: {page.strip() or 'no page'}"
        hint = "Recreate store with a page that says `new stock`, listening on port 5432."
        raise Miss(told, hint, "busybox sh -c 'echo new stock > /tmp/index.html; httpd -f -p 5432 -h /tmp'")
    started = "started() { date -d $(docker inspect -f '{{.State.StartedAt}}' $1) +%s%N; }"
    if not seen.answers(Probe("node1", f"{started}; [ $(started till) -lt $(started store) ]")):
        stronger = "`docker rm -f store`, and run it once more, with all its options; leave till alone"
        raise Miss("till was started after store", "The proof is missing: a till that knows the old store and meets a new one.", stronger)


UNLINK = exercise(
    "2.3",
    "get rid of a link",
    _runs("till", "store"),
    _has_no_link("till"),
    _share_network("till", "store"),
    _has_alias("store", "till", "database"),
    _was_recreated(),
)


@criterion("{names} running without a break")
def _kept(seen: Evidence, *names: str) -> None:
    """Containers still have what a restart would have taken from their memory."""
    for name in names:
        note = f"docker exec {name} cat /dev/shm/note"
        if not seen.answers(Probe("node1", f"{note} && [ $({note}) = kept ]")):
            raise Miss(
                f"{name} has lost its note",
                f"{name} was restarted or recreated. A sandbox gets and loses endpoints while its container runs.",
                f"Restart the exercise (`docker rm -f {' '.join(names)}`, then its first cell), and use `docker network connect`.",
            )


@criterion("{name}'s cable plugged into the bridge of the network it is in")
def _is_plugged_where_docker_says(seen: Evidence, name: str, user: str) -> None:
    misses = []
    for network in _find_shared(seen, user, name):
        outer = _find_cable(seen, name, network.name)[1]
        if outer and outer.master == network.bridge and outer.up:
            return
        state = "missing" if outer is None else "down" if outer.master == network.bridge else f"plugged into {outer.master or 'nothing'}"
        misses.append(f"the cable of {name} in {network.name} is {state}")
    told = "; ".join(misses)
    hint = f"Docker believes that {name} is in this network. Into which bridge is node1's end of its cable really plugged?"
    raise Miss(told, hint, f"`docker network disconnect` and `connect` make {name}'s endpoint anew (or `ip link set veth… master br-…`)")


REPAIR = exercise(
    "2.4",
    "why does it not work?",
    _runs("clerk", "depot"),
    _kept("clerk", "depot"),
    _share_network("clerk", "depot"),
    _is_plugged_where_docker_says("depot", "clerk"),
    reaches(
        Probe("node1", "docker exec clerk curl -sf --max-time 2 http://depot/"),
        "clerk gets http://depot/",
        "The endpoints are right now. Does clerk get an address for the name, and is it the right one?",
        "`docker exec clerk dig +short depot`",
    ),
)

EXERCISES = (GATE, CUT, UNLINK, REPAIR)
