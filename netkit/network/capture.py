"""Take a topology of a lab, as learners know it: every host's kernel is read on that host, every engine from here, all at once."""

from __future__ import annotations

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import RemoteDisconnected
from ipaddress import ip_network

from netkit.errors import LabError
from netkit.hosts.ask import ask_collector
from netkit.laboratory.lab import Lab
from netkit.laboratory.lab import Node as Host
from netkit.labs import current_lab
from netkit.network import model
from netkit.network.build import build_node
from netkit.network.build_engine import build_members, build_services, dig, list_bodies
from netkit.network.describe import to_text
from netkit.network.difference import calc_diff
from netkit.network.model import Lan, Node, SwarmMember
from netkit.shown import Shown

UP = ("ready", "reachable", "failed", "stopped")  # a host whose engine has ended can still be looked at
SILENT = "silent"  # in the trouble of an engine that was waited for in vain
WHY = {"idle": "not started yet", "starting": "just starting", "down": "switched off"}
SOCKET = "/var/run/docker.sock"  # an engine's own on its host
PATIENCE = 10.0  # seconds for an engine to say the next word


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology(Shown, model.Topology):
    """The network of some nodes at one moment, as it is captured."""

    def text(self, **options) -> str:
        """The network in words, the same every time: see :func:`netkit.network.describe.to_text` for the options."""
        return to_text(self, **options)

    def draw(self, **options):
        """The network as a ``matplotlib.figure.Figure``: see :func:`netkit.figure.draw.draw` for the options."""
        from netkit.figure.draw import draw  # matplotlib takes 0.3 s, and only for those who look

        return draw(self, **options)

    def diff(self, other: Topology):
        """What is different in ``other``, usually a later capture: a :class:`netkit.network.difference.Diff`."""
        return calc_diff(self, other)


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
    # what managers know of all: each node's part in its swarm, and the services
    managers = [engine for _, engine in answers if engine.get("role") == "manager"]
    members = {node.name: SwarmMember(role="worker") for node, engine in answers if engine.get("role") == "worker"} | build_members(
        managers
    )
    nodes = tuple(replace(node, swarm=members.get(node.name)) for node, _ in answers)
    return Topology(nodes=nodes, services=build_services(managers), lan=Lan(subnet=ip_network(lab.facts["lan"])))


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
    """What kernel and engine tell side by side; once more what the kernel has, if it had less than the engine."""
    if host.name not in host.lab.nodes:
        return {"engine": None, "namespaces": ask_collector(host)}
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = None if silent else pool.submit(read_engine, host.docker_host)
        namespaces = ask_collector(host)
        engine = asked.result() if asked else {"state": "down", "trouble": silent}
    containers = list_bodies(engine, "containers")
    inodes = _find_inodes(namespaces)
    if {dig(each, "State", "Pid", of=int) for each in containers} - inodes.keys() - {0}:
        namespaces = ask_collector(host)
        inodes = _find_inodes(namespaces)
    for each in containers:
        each["inode"] = inodes.get(dig(each, "State", "Pid", of=int), 0)
    for member in list_bodies(engine, "members"):  # under the lab's names: a real machine has its own
        hostname = dig(member, "Description", "Hostname")
        member["Description"] = {"Hostname": host.lab.facts.get("hostnames", {}).get(hostname, hostname)}
    return {"engine": engine, "namespaces": namespaces}


def _find_inodes(namespaces: list[dict]) -> dict[int, int]:
    """The namespace each process is in."""
    return {pid: each["inode"] for each in namespaces for pid in each["pids"]}


def read_engine(url: str) -> dict:
    """Version, containers (inspected), networks, and what a swarm's manager knows beside, as the engine behind a socket's URL tells it.

    Never raises: an engine that cannot be read gives ``{"state": "down", "trouble": why}``.
    """
    import docker  # 0.2 s, and only for those who look
    import requests

    try:
        # clients of its own: the node's is the learner's, and waits longer; one that is kept would meet a restarted engine's old socket
        connect = functools.partial(docker.APIClient, base_url=url, timeout=PATIENCE)
        with contextlib.closing(connect(version=docker.constants.DEFAULT_DOCKER_API_VERSION)) as client:
            # not version(): an engine starts runc and docker-init to tell of theirs
            said = client.get(f"{client.base_url}/_ping", timeout=PATIENCE).headers
        with contextlib.closing(connect(version=said["Api-Version"])) as client:
            client.trust_env = False  # an engine is on this machine, and requests would look for a proxy before every question
            listed = client.containers(all=True)
            version = said["Server"].removeprefix("Docker/").partition(" ")[0]  # of "Docker/28.5.2 (linux)"
            found = {"state": "up", "version": version, "networks": client.networks(), "containers": []}
            for each in listed:
                with contextlib.suppress(docker.errors.APIError):  # it has vanished since it was listed
                    found["containers"].append(client.inspect_container(each["Id"]))
            try:
                swarm = {"members": client.nodes(), "role": "manager", "services": client.services(), "tasks": client.tasks()}
            except docker.errors.APIError as error:  # a worker says only that it is one
                swarm = {"role": "worker" if "worker nodes can't" in str(error.explanation).lower() else ""}
            return found | swarm
    except (docker.errors.DockerException, requests.RequestException, OSError, ValueError, KeyError) as error:
        return {"state": "down", "trouble": _explain(error)}


def _explain(error: BaseException) -> str:
    """Why an engine could not be read, from the first of what led to the error."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    for kinds, why in (
        (FileNotFoundError, f"there is no engine: {SOCKET} does not exist"),
        # an ssh connection takes a call and hangs up where nobody answers
        ((ConnectionRefusedError, RemoteDisconnected), "the engine is not running: its socket is there, but nobody answers"),
        (TimeoutError, f"the engine has been {SILENT} for {PATIENCE:.0f} s"),
    ):
        if any(isinstance(each, kinds) for each in causes):
            return why
    return f"the engine's answer broke off ({str(causes[-1]).strip()})"
