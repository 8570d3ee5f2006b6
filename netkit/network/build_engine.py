"""From an engine's answers to networks, containers, services: pure."""

from __future__ import annotations

from collections.abc import Iterable

from netkit.network.addresses import read_interface, read_ip, read_subnet
from netkit.network.model import (
    HOST,
    Address,
    Container,
    End,
    Endpoint,
    Interface,
    Network,
    NetworkNamespace,
    Node,
    PublishedPort,
    Sandbox,
    Service,
    ServicePort,
    SwarmMember,
    Task,
)

BRIDGE_NAME = "com.docker.network.bridge.name"
VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list"
GATEWAY_BRIDGE = "docker_gwbridge"  # leads out of overlays; its endpoints are in no container's list
WITHOUT_ENDPOINT = ("host", "none")
RUNNING = ("running", "paused")
SERVICE_LABEL, TASK_LABEL = "com.docker.swarm.service.name", "com.docker.swarm.task.name"
WANTED = ("running", "ready")  # the desired states of tasks that are not history


def build_networks(engine: dict) -> tuple[Network, ...]:
    """The networks that an engine lists."""
    return tuple(_build_network(each) for each in engine.get("networks", ()))


def _build_network(body: dict) -> Network:
    options = body.get("Options") or {}
    config = (body.get("IPAM") or {}).get("Config") or []
    ids = options.get(VXLAN_IDS, "").split(",")[0]
    return Network(
        name=body["Name"],
        driver=body["Driver"],
        scope=body["Scope"],
        subnets=tuple(read_subnet(each["Subnet"]) for each in config if each.get("Subnet")),
        gateways=tuple(read_interface(each["Gateway"]).ip for each in config if each.get("Gateway")),
        internal=body.get("Internal", False),
        attachable=body.get("Attachable", False),
        ingress=body.get("Ingress", False),
        ipv6=body.get("EnableIPv6", False),
        bridge=options.get(BRIDGE_NAME, f"br-{body['Id'][:12]}") if body["Driver"] == "bridge" else None,
        parent=options.get("parent"),
        vni=int(ids) if ids.isdecimal() else None,
        options=tuple(options.items()),
        id=body["Id"],
    )


def build_containers(engine: dict, node: Node, names: dict[int, str]) -> tuple[Container, ...]:
    """The containers that an engine lists, each with what the kernel has of it.

    ``node`` has the namespaces, whose names are given by inode.
    """
    by_id = {each["id"]: each["name"] for each in engine.get("containers", ())}
    drivers = {each["Id"]: each["Driver"] for each in engine.get("networks", ())}
    stacks = {namespace.name: namespace for namespace in node.namespaces}
    return tuple(
        _build_container(each, node, stacks.get(names.get(each["inode"], "")), by_id, drivers) for each in engine.get("containers", ())
    )


def _build_container(body: dict, node: Node, stack: NetworkNamespace | None, by_id: dict, drivers: dict) -> Container:
    runs = body["state"] in RUNNING and stack is not None
    joined = {name: each for name, each in body["networks"].items() if name not in WITHOUT_ENDPOINT}
    endpoints = [_build_endpoint(name, each, body, node, stack if runs else None) for name, each in joined.items()]
    if runs and not body["mode"].startswith(("container:", HOST)):
        endpoints += _find_gateway_endpoints(node, stack, {endpoint.network for endpoint in endpoints})
    return Container(
        name=body["name"],
        state=body["state"],
        mode=_calc_mode(body["mode"], joined, by_id, drivers),
        image=body["image"],
        sandbox=Sandbox(namespace=stack.name, key=body["key"], id=body["sandbox"]) if runs and stack else None,
        endpoints=tuple(endpoints),
        ports=tuple(_build_ports(body["ports"])),
        service=body["labels"].get(SERVICE_LABEL),
        task=_calc_task_name(body["labels"].get(TASK_LABEL), node.name),
        pid=body["pid"],
        id=body["id"],
    )


def _calc_mode(mode: str, joined: dict, by_id: dict[str, str], drivers: dict[str, str]) -> str:
    if mode.startswith("container:"):
        wanted = mode.removeprefix("container:")
        return f"container:{by_id.get(wanted, wanted)}"
    if mode == HOST or not joined:
        return HOST if mode == HOST else "none"
    if len(joined) > 1:
        return "several"
    (only,) = joined.values()
    return drivers.get(only.get("NetworkID"), "bridge")


def _calc_task_name(label: str | None, node: str) -> str | None:
    """ "hello.1" of "hello.1.p4e7…"; a global service's "hello.NODEID.p4e7…" is "hello.node1"."""
    if not label:
        return None
    service, slot, _ = label.rsplit(".", 2)
    return f"{service}.{slot if slot.isdecimal() else node}"


def _build_endpoint(network: str, body: dict, container: dict, node: Node, stack: NetworkNamespace | None) -> Endpoint:
    addresses = tuple(_addresses(body))
    known = set((body.get("Aliases") or []) + (body.get("DNSNames") or [])) - {container["name"]}
    interface = _find_interface(stack, addresses, body.get("MacAddress", "")) if stack else None
    return Endpoint(
        network=network,
        interface=End(node=node.name, namespace=stack.name, interface=interface.name) if stack and interface else None,
        addresses=addresses,
        gateway=read_ip(body.get("Gateway")),
        mac=body.get("MacAddress", ""),
        names=tuple(name for name in known if not container["id"].startswith(name)),
        id=body.get("EndpointID", ""),
    )


def _addresses(body: dict) -> Iterable[Address]:
    if body.get("IPAddress"):
        yield read_interface(f"{body['IPAddress']}/{body['IPPrefixLen']}")
    if body.get("GlobalIPv6Address"):
        yield read_interface(f"{body['GlobalIPv6Address']}/{body['GlobalIPv6PrefixLen']}")


def _find_interface(stack: NetworkNamespace, addresses: tuple[Address, ...], mac: str) -> Interface | None:
    """The interface of an endpoint: the one with its address, else (a learner may have taken that away) its MAC."""
    wanted = {address.ip for address in addresses}
    for interface in stack.interfaces:
        if any(address.ip in wanted for address in interface.addresses):
            return interface
    return next((interface for interface in stack.interfaces if mac and interface.mac == mac), None)


def _find_gateway_endpoints(node: Node, stack: NetworkNamespace, known: set[str]) -> list[Endpoint]:
    """The endpoint in docker_gwbridge that the engine adds to containers of overlays, and does not list with them."""
    host = node.namespace(HOST)
    if GATEWAY_BRIDGE in known or host is None:
        return []
    ends = {interface.name for interface in host.interfaces if interface.master == GATEWAY_BRIDGE}
    return [
        Endpoint(
            network=GATEWAY_BRIDGE,
            interface=End(node=node.name, namespace=stack.name, interface=interface.name),
            addresses=tuple(address for address in interface.addresses if not address.is_link_local),
            mac=interface.mac,
        )
        for interface in stack.interfaces
        if interface.peer and interface.peer.namespace == HOST and interface.peer.interface in ends
    ]


def _build_ports(ports: dict) -> Iterable[PublishedPort]:
    for key, bindings in ports.items():
        target, _, protocol = key.partition("/")
        for binding in bindings or ():
            yield PublishedPort(
                protocol=protocol,
                address=read_ip(binding.get("HostIp")),
                port=int(binding.get("HostPort") or 0),
                target=int(target),
            )


def build_members(engine: dict) -> dict[str, SwarmMember]:
    """A swarm's members as its manager lists them, by host name."""
    return {each["Description"]["Hostname"]: _build_member(each) for each in engine.get("members", ())}


def _build_member(body: dict) -> SwarmMember:
    manager = body.get("ManagerStatus") or {}
    return SwarmMember(
        role=body["Spec"]["Role"],
        leader=bool(manager.get("Leader")),
        state=body["Status"]["State"],
        availability=body["Spec"]["Availability"],
        id=body["ID"],
    )


def build_services(engine: dict) -> tuple[Service, ...]:
    """A swarm's services with their tasks, as a manager lists them."""
    networks = {each["Id"]: each["Name"] for each in engine["networks"]}
    hosts = {each["ID"]: each["Description"]["Hostname"] for each in engine["members"]}
    return tuple(_build_service(each, engine["tasks"], networks, hosts) for each in engine["services"])


def _build_service(body: dict, tasks: list[dict], networks: dict[str, str], hosts: dict[str, str]) -> Service:
    spec, endpoint = body["Spec"], body.get("Endpoint") or {}
    name = spec["Name"]
    wanted = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
    replicated = spec["Mode"].get("Replicated")
    return Service(
        name=name,
        mode=next(iter(spec["Mode"])).lower(),
        replicas=replicated.get("Replicas") if replicated else None,
        resolution=(spec.get("EndpointSpec") or {}).get("Mode", "vip"),
        networks=tuple(networks.get(each["Target"], each["Target"]) for each in wanted),
        vips=tuple(
            (networks.get(each["NetworkID"], each["NetworkID"]), read_interface(each["Addr"]))
            for each in endpoint.get("VirtualIPs") or ()
            if each.get("Addr")
        ),
        ports=tuple(_build_service_port(each) for each in endpoint.get("Ports") or ()),
        tasks=tuple(
            _build_task(each, name, hosts) for each in tasks if each.get("ServiceID") == body["ID"] and each["DesiredState"] in WANTED
        ),
        id=body["ID"],
    )


def _build_service_port(body: dict) -> ServicePort:
    return ServicePort(
        protocol=body["Protocol"], port=body.get("PublishedPort", 0), target=body["TargetPort"], mode=body.get("PublishMode", "ingress")
    )


def _build_task(body: dict, service: str, hosts: dict[str, str]) -> Task:
    status = body.get("Status") or {}
    node = hosts.get(body.get("NodeID", ""), "")
    return Task(
        name=f"{service}.{body['Slot']}" if body.get("Slot") else f"{service}.{node}",
        node=node,
        state=status.get("State", "new"),
        addresses=tuple(read_interface(text) for each in body.get("NetworksAttachments") or () for text in each.get("Addresses") or ()),
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        id=body["ID"],
    )
