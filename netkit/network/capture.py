"""Take a topology of a lab: every host is read on that host, all at once, and answers in JSON."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from netkit.errors import LabError
from netkit.hosts.collector import Collector, ask_collector
from netkit.laboratory.lab import Lab
from netkit.laboratory.lab import Node as Host
from netkit.labs import current_lab
from netkit.network.build import build_node
from netkit.network.build_engine import build_members, build_services
from netkit.network.model import Lan, Node, Service, SwarmMember, Topology

UP = ("ready", "reachable", "failed", "stopped")  # a host whose engine has ended can still be looked at
SILENT = "silent"  # in the trouble of an engine that was waited for in vain (see netkit.hosts.engine)
WHY = {"idle": "not started yet", "starting": "just starting", "down": "switched off"}


def capture(*nodes: str, lab: Lab | None = None) -> Topology:
    """The network of the lab as kernels and engines have it now.

    ``nodes`` names the hosts to look at (all of them unless told), ``lab`` another lab than the one
    this process lives in. Looking changes nothing and starts nothing: a host that is not up is in
    the topology, and says so. Works in a notebook cell, whose thread runs an event loop.

    Raises LabError outside of a lab, or for a host it does not have.
    """
    lab = lab or current_lab()
    return _look(lab, [lab[name] for name in nodes or lab.facts["addresses"]], {})


def capture_again(before: Topology, lab: Lab) -> Topology:
    """The same hosts once more; an engine that was silent in ``before`` is told as it was, not waited for again."""
    silent = {node.name: node.engine.trouble for node in before.nodes if node.engine and SILENT in node.engine.trouble}
    return _look(lab, [lab[node.name] for node in before.nodes], silent)


def tell_start(name: str) -> str:
    """How people start a host that is not up: whatever looks at hosts starts none."""
    return f"`%%on {name}` in a notebook starts it, or `netkit on {name} -- true` in a terminal"


def _look(lab: Lab, hosts: list[Host], silent: dict[str, str]) -> Topology:
    states = lab.states()
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        answers = list(pool.map(lambda host: _read_host(host, states[host.name], silent.get(host.name)), hosts))
    engines = [_call_by_name(engine, lab.facts.get("hostnames", {})) for _, engine in answers]
    found, services = _add_swarm([node for node, _ in answers], engines)
    return Topology(nodes=tuple(found), services=services, lan=Lan(subnet=ipaddress.ip_network(lab.facts["lan"])))


def _read_host(host: Host, state: str, silent: str | None) -> tuple[Node, dict]:
    """A host as a node, and what its engine said; a host that cannot be read is a node that says why.

    With ``silent``, the trouble of its engine, that is not asked.
    """
    trouble = ""
    if state in UP:
        try:
            facts = _read_facts(host, silent)
            return build_node(host.name, facts, host.address), facts["engine"] or {}
        except LabError as error:
            trouble, state = str(error), host.lab.states()[host.name]  # it may have gone since
    state, trouble = "idle" if state == "idle" else "down", WHY.get(state, trouble)
    return Node(name=host.name, address=host.address, state=state, trouble=trouble), {}


def _read_facts(host: Host, silent: str | None) -> dict:
    if silent:
        return Collector(host, with_engine=False).ask() | {"engine": {"state": "down", "trouble": silent}}
    return ask_collector(host, host.name in host.lab.nodes)


def _call_by_name(engine: dict, names: dict[str, str]) -> dict:
    """An engine's answer with the swarm's members under the lab's names: a real machine has its own (host name → name)."""
    for member in engine.get("members", ()) if names else ():
        hostname = member["Description"]["Hostname"]
        member["Description"]["Hostname"] = names.get(hostname, hostname)
    return engine


def _add_swarm(nodes: Iterable[Node], engines: Iterable[dict]) -> tuple[list[Node], tuple[Service, ...]]:
    """What a manager knows of all: each node's part in the swarm, and the services."""
    engines = list(engines)
    manager = next((engine for engine in engines if engine.get("role") == "manager"), None)
    members = build_members(manager) if manager else {}
    found = []
    for node, engine in zip(nodes, engines, strict=True):
        alone = SwarmMember(role="worker") if engine.get("role") == "worker" else None
        found.append(replace(node, swarm=members.get(node.name, alone)))
    return found, build_services(manager) if manager else ()
