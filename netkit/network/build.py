"""From the plain tables of :mod:`netkit.hosts` to a node of the model: pure.

Rules as iptables-save(8) lists them become what they mean for the network. The engine's are recognised in the forms that
engines 20.10 to 28 give them, hand-made ones where they say the same; the rules themselves are kept beside the facts.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from netkit.network import model
from netkit.network.build_engine import ContainerBuilder, build_each, build_network, dig, list_bodies
from netkit.network.kernel_model import HOST, read_address, read_interface, read_ip, read_subnet
from netkit.network.model import Firewall, Masquerade, Policy, PortForward

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
RESOLVER = read_address("127.0.0.11")  # the embedded DNS server's

# bridges whose traffic to another one passes both stages, the second of which drops it (engines up to 28)
STAGE_1, STAGE_2 = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"
INTERNAL = (STAGE_1, "DOCKER-INTERNAL")


class Rule(dict):
    """The options of one rule by their names, each with its value ("!" before that of a negated one); others are empty.

    "-A" is the chain, "verdict" the target, whether jumped to or gone to; "family" and "table" are known beside.
    """

    def __missing__(self, name: str) -> str:
        return ""


def calc_firewall(listings: Iterable[dict]) -> Firewall | None:
    """The facts of one namespace's listings (see :mod:`netkit.hosts.netfilter`); None where there are no rules or policies."""
    lines, policies, backends = [], [], Counter()
    for listing in listings:
        family, table = listing["family"], ""
        for line in listing["lines"]:
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                chain, verdict = line[1:].split()[:2]
                if verdict != "-":
                    policies.append(Policy(family=family, table=table, chain=chain, verdict=verdict))
            else:
                backends[listing["backend"]] += 1
                lines.append(f"{family} {table} {line}")
    if not lines and all(policy.verdict == "ACCEPT" for policy in policies):
        return None
    rules = [parse_rule(line) for line in lines]
    drops = [rule for rule in rules if rule["verdict"] == "DROP"]
    # bridges of which both stages know: from them to another such one, nothing is forwarded
    first = {rule["-i"] for rule in rules if (rule["-A"], rule["verdict"]) == (STAGE_1, STAGE_2)}
    isolated = first & {rule["-o"] for rule in drops if rule["-A"] == STAGE_2}
    # bridges out of which only packets to their own subnet are let
    internal = {rule["-i"] for rule in drops if rule["-A"] in INTERNAL and rule["-d"].startswith("!") and rule["-i"][:1] != "!"}
    return Firewall(
        backend=max(backends, key=backends.get, default=""),
        policies=tuple(dict.fromkeys(policies)),
        masquerades=tuple(dict.fromkeys(_find_masquerades(rules))),
        forwards=tuple(dict.fromkeys(_find_forwards(rules))),
        isolated=tuple(isolated - {""}),
        internal=tuple(internal - {""}),
        # bridges whose ports may not talk to each other
        silent=tuple({rule["-i"] for rule in drops if rule["-i"] == rule["-o"]} - {""}),
        rules=tuple(lines),
    )


@functools.lru_cache(4096)  # most rules are the same at every look
def parse_rule(line: str) -> Rule:
    """A line such as "4 filter -A FORWARD ! -i br0 -j DROP"; what is no option's value is left out."""
    try:
        family, table, *words = shlex.split(line)
    except ValueError:  # a quote inside a comment that iptables did not close
        family, table, *words = line.split()
    rule, negated, name = Rule(family=int(family), table=table), "", None
    for word in words:
        if word == "!":
            negated, name = "!", None
        elif re.match(r"--?[a-zA-Z]", word):
            name = word
            rule[name], negated = negated, ""
        elif name:
            rule[name] += word if rule[name] in ("", "!") else f" {word}"
    rule["verdict"] = rule["-j"] or rule["-g"]
    return rule


def _find_masquerades(rules: list[Rule]) -> Iterator[Masquerade]:
    for rule in rules:
        out, source = rule["-o"], rule["-s"]
        is_partial = source.startswith("!") or any(rule[name] for name in ("--dport", "--src-type", "--dst-type"))
        # from a container to itself: the engine's, for its published ports
        is_own = source and source == rule["-d"]
        if rule["table"] == "nat" and rule["verdict"] == "MASQUERADE" and not is_own and not is_partial:
            names = {"not_leaving": out[1:]} if out.startswith("!") else {"leaving": out or None}
            yield Masquerade(source=read_subnet(source or ANYWHERE[rule["family"]]), **names)


def _find_forwards(rules: list[Rule]) -> Iterator[PortForward]:
    for rule in rules:
        target, address = rule["--to-destination"], rule["-d"]
        # the embedded DNS server's own are told as the namespace's resolver
        if rule["verdict"] != "DNAT" or not target or not rule["--dport"].isdecimal() or address == f"{RESOLVER}/32":
            continue
        host, _, port = target.rpartition(":") if not target.endswith("]") and ":" in target else (target, "", rule["--dport"])
        try:
            yield PortForward(
                protocol=rule["-p"],
                port=int(rule["--dport"]),
                to_address=read_address(host.strip("[]")),
                to_port=int(port or 0),
                address=read_subnet(address).network_address if address and not address.startswith("!") else None,
            )
        except ValueError:  # a range of addresses or ports: only in the rules
            continue


# libnetwork, osl.GenerateKey: twelve characters of "EPOCH-NETWORKID" for an overlay's namespace
SECRET_NAMES = (("overlay", re.compile(r"\d+-([0-9a-z]{6,10})")), ("lb", re.compile(r"lb_([0-9a-z]{6,9})")))
KINDS = {"lb": "load-balancer", "netns": "named", "ingress_sbox": "ingress"}


def build_node(name: str, facts: dict, address: model.Ip | None = None) -> model.Node:
    """A node that answered, as far as it alone tells.

    ``facts`` has what its kernel told (``namespaces``, see :mod:`netkit.hosts.collecting`) and what its engine did
    (``engine``, see :func:`netkit.network.capture.read_engine`; None on a host without one). Each running container has
    the ``inode`` of its namespace.
    """
    names, engine = _name_namespaces(facts), facts["engine"] or {}
    links = [(each["inode"], link) for each in facts["namespaces"] for link in each["links"]]
    ends = {(inode, link["index"]): model.End(node=name, namespace=names[inode], interface=link["name"]) for inode, link in links}
    namespaces = tuple(_build_namespace(each, names[each["inode"]], ends) for each in facts["namespaces"])
    return model.Node(
        name=name,
        address=address,
        engine=model.Engine(**{key: engine[key] for key in ("state", "version", "trouble") if key in engine}) if engine else None,
        namespaces=namespaces,
        networks=tuple(build_each(build_network, model.Network, list_bodies(engine, "networks"))),
        containers=tuple(build_each(ContainerBuilder(engine, name, namespaces).build, model.Container, list_bodies(engine, "containers"))),
    )


def _name_namespaces(facts: dict) -> dict[int, str]:
    """The name of each namespace, by inode: unique on the node."""
    engine = facts["engine"] or {}
    networks = {dig(network, "Id"): dig(network, "Name") for network in list_bodies(engine, "networks")}
    names = {facts["namespaces"][0]["inode"]: HOST}
    for container in list_bodies(engine, "containers"):
        if container["inode"] and not dig(container, "HostConfig", "NetworkMode").startswith("container:"):
            names.setdefault(container["inode"], f"container {dig(container, 'Name').lstrip('/')}")
    seen: Counter[str] = Counter()
    for each in facts["namespaces"]:
        names.setdefault(each["inode"], _name_other(each, networks))
    for inode, name in names.items():
        seen[name] += 1
        names[inode] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return names


def _name_other(facts: dict, networks: dict[str, str]) -> str:
    """What to call a namespace that is no container's: after its file, or a process in it."""
    for path in sorted(facts["paths"], key=lambda path: ("/docker/netns/" in path, path)):
        base = path.rpartition("/")[2]
        for word, pattern in SECRET_NAMES if "/docker/netns/" in path else ():
            match = pattern.fullmatch(base)
            name = match and next((name for id, name in networks.items() if id.startswith(match[1])), None)
            if name:
                return f"{word} {name}"
        return base if "/docker/netns/" in path and base == "ingress_sbox" else f"netns {base}"
    return f"process {facts['command'] or 'unknown'}"


Ends = Mapping[tuple[int, int], model.End]  # where each interface is, by its namespace's inode and its number


def _build_namespace(facts: dict, name: str, ends: Ends) -> model.NetworkNamespace:
    addresses = defaultdict(list)
    for index, text in facts["addresses"]:
        addresses[index].append(read_interface(text))
    interfaces = tuple(_build_interface(link, facts["inode"], tuple(addresses[link["index"]]), ends) for link in facts["links"])
    found = {each.index: each for each in interfaces}

    def read(table: str, *texts: str) -> Iterator[dict]:
        """Rows with addresses for these texts, and with their interfaces' names, if those still existed when the links were read."""
        for row in facts[table]:
            if row["index"] in found or not row["index"]:  # some rows have none
                interface = found[row["index"]].name if row["index"] else None
                told = {key: row[key] for key in row if key != "index"}
                yield told | {text: read_ip(row[text]) for text in texts} | {"interface": interface}

    word = name.partition(" ")[0]
    return model.NetworkNamespace(
        name=name,
        kind=KINDS.get(word, word),
        interfaces=interfaces,
        routes=tuple(model.Route(**row | {"destination": read_subnet(row["destination"])}) for row in read("routes", "gateway", "source")),
        neighbours=tuple(model.Neighbour(**row | {"interface": row["interface"] or ""}) for row in read("neighbours", "address")),
        forwarding=tuple(_build_forwarding(facts["forwarding"], found)),
        firewall=calc_firewall(facts["rules"]),
        forwards_packets=facts["forwards"],
        resolver=RESOLVER if facts["resolver"] else None,
        inode=facts["inode"],
        paths=tuple(facts["paths"]),
    )


def _build_interface(link: dict, inode: int, addresses: tuple[model.Address, ...], ends: Ends) -> model.Interface:
    plain = ("name", "kind", "mac", "mtu", "up", "state", "macvlan_mode", "vlan", "index")
    master, vxlan = ends.get((inode, link["master"])), link.get("vxlan")
    return model.Interface(
        **{key: link[key] for key in plain if key in link},
        addresses=addresses,
        master=master.interface if master else None,
        peer=ends.get(tuple(link["peer"] or ())),
        parent=ends.get(tuple(link["parent"] or ())),
        vxlan=model.Vxlan(**vxlan | {"local": read_ip(vxlan["local"]), "group": read_ip(vxlan["group"])}) if vxlan else None,
        bridge=model.Bridge(**link["bridge"]) if "bridge" in link else None,
        port=model.BridgePort(**link["port"]) if "port" in link else None,
    )


def _build_forwarding(rows: Iterable[dict], found: Mapping[int, model.Interface]) -> Iterator[model.ForwardingEntry]:
    """The rows of bridges and VTEPs: other devices list here which groups they hear."""
    for row in rows:
        port, bridge = found.get(row["index"]), found.get(row["master"])
        if port and (bridge or (row["own"] and port.kind == "vxlan")):
            told = {"mac": row["mac"], "kind": row["kind"], "vlan": row["vlan"], "destination": read_ip(row["destination"])}
            yield model.ForwardingEntry(port=port.name, owner=(bridge or port).name, **told)
