"""From an engine's answers to networks, containers, services: pure.

What an engine says is data: keys may be missing, null or of another type, texts be empty or no addresses. What is left out is
read as empty; an object that makes no sense is kept by its name, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from netkit.network import model
from netkit.network.kernel_model import HOST, read_interface, read_ip, read_subnet

BRIDGE_NAME = "com.docker.network.bridge.name"
VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list"
GATEWAY_BRIDGE = "docker_gwbridge"  # leads out of overlays; its endpoints are in no container's list
RUNNING, WITHOUT_ENDPOINT = ("running", "paused"), ("host", "none")
SERVICE_LABEL, TASK_LABEL = "com.docker.swarm.service.name", "com.docker.swarm.task.name"
WANTED = ("running", "ready")  # the desired states of tasks that are not history; those of jobs are to be complete


def dig(body: Any, *keys: str, of: type = str) -> Any:
    """What stands at the end of a path of keys, if it is of that type; else an empty value of it."""
    for key in keys:
        body = body.get(key) if isinstance(body, dict) else None
    return body if isinstance(body, of) else of()


def list_bodies(engine: dict, name: str) -> list[dict]:
    """What an engine has listed under this name."""
    return [each for each in dig(engine, name, of=list) if isinstance(each, dict)]


def build_each(build: Callable[[dict], Any], kind: type, bodies: Iterable[dict]) -> Iterator[Any]:
    """A value for each body; what cannot be read is there by its name, with the reason."""
    for body in bodies:
        try:
            yield build(body)
        except (ValueError, TypeError) as error:
            name = (dig(body, "Name") or dig(body, "Spec", "Name")).lstrip("/")
            yield kind(name=name, trouble=f"the engine's answer makes no sense: {error}", id=dig(body, "Id") or dig(body, "ID"))


def build_network(body: dict) -> model.Network:
    """A network that an engine lists."""
    options, config = dig(body, "Options", of=dict), dig(body, "IPAM", "Config", of=list)
    driver, ids = dig(body, "Driver"), dig(options, VXLAN_IDS).split(",")[0]
    return model.Network(
        name=dig(body, "Name"),
        driver=driver,
        scope=dig(body, "Scope"),
        subnets=tuple(read_subnet(text) for each in config if (text := dig(each, "Subnet"))),
        gateways=tuple(read_interface(text).ip for each in config if (text := dig(each, "Gateway"))),
        internal=dig(body, "Internal", of=bool),
        attachable=dig(body, "Attachable", of=bool),
        ingress=dig(body, "Ingress", of=bool),
        ipv6=dig(body, "EnableIPv6", of=bool),
        bridge=(dig(options, BRIDGE_NAME) or f"br-{dig(body, 'Id')[:12]}") if driver == "bridge" else None,
        parent=dig(options, "parent") or None,
        vni=int(ids) if ids.isdecimal() else None,
        options=tuple((key, str(value)) for key, value in options.items()),
        id=dig(body, "Id"),
    )


class ContainerBuilder:
    """Makes the containers that an engine lists, each with what the kernel of its node has of it, by the namespaces' inodes."""

    def __init__(self, engine: dict, node: str, namespaces: Iterable[model.NetworkNamespace]) -> None:
        self._node = node
        self._namespaces = {each.inode: each for each in namespaces}
        self._names = {dig(each, "Id"): dig(each, "Name").lstrip("/") for each in list_bodies(engine, "containers")}
        self._drivers = {dig(each, "Id"): dig(each, "Driver") for each in list_bodies(engine, "networks")}
        on_host = (each for namespace in namespaces if namespace.name == HOST for each in namespace.interfaces)
        self._gateway_ports = {each.name for each in on_host if each.master == GATEWAY_BRIDGE}

    def build(self, body: dict) -> model.Container:
        """One of them, as it was inspected."""
        settings, labels = dig(body, "NetworkSettings", of=dict), dig(body, "Config", "Labels", of=dict)
        state, mode = dig(body, "State", "Status"), dig(body, "HostConfig", "NetworkMode") or "default"
        namespace = self._namespaces.get(body["inode"]) if state in RUNNING else None
        joined = {network: each for network, each in dig(settings, "Networks", of=dict).items() if network not in WITHOUT_ENDPOINT}
        endpoints = [self._build_endpoint(network, each, dig(body, "Id"), namespace) for network, each in joined.items()]
        if namespace and GATEWAY_BRIDGE not in joined and not mode.startswith(("container:", HOST)):
            endpoints += self._find_gateway_endpoints(namespace)
        key, id = dig(settings, "SandboxKey"), dig(settings, "SandboxID")
        return model.Container(
            name=dig(body, "Name").lstrip("/"),
            state=state,
            mode=self._calc_mode(mode, joined),
            image=dig(body, "Config", "Image"),
            sandbox=model.Sandbox(namespace=namespace.name, key=key, id=id) if namespace else None,
            endpoints=tuple(endpoints),
            ports=tuple(_build_ports(dig(settings, "Ports", of=dict))),
            service=dig(labels, SERVICE_LABEL) or None,
            task=self._calc_task_name(dig(labels, TASK_LABEL)),
            pid=dig(body, "State", "Pid", of=int),
            id=dig(body, "Id"),
        )

    def _calc_mode(self, mode: str, joined: dict) -> str:
        if mode.startswith("container:"):
            other = mode.removeprefix("container:")
            return f"container:{self._names.get(other, other)}"
        if mode == HOST:
            return HOST
        drivers = [self._drivers.get(dig(each, "NetworkID"), "bridge") for each in joined.values()]
        return "several" if len(drivers) > 1 else drivers[0] if drivers else "none"

    def _calc_task_name(self, label: str) -> str | None:
        """ "hello.1" of "hello.1.p4e7…"; a global service's "hello.NODEID.p4e7…" is "hello.node1"."""
        service, _, slot = label.rpartition(".")[0].rpartition(".")
        return f"{service}.{slot if slot.isdecimal() else self._node}" if service else label or None

    def _build_endpoint(self, network: str, body: dict, id: str, namespace: model.NetworkNamespace | None) -> model.Endpoint:
        kinds = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
        addresses = tuple(read_interface(f"{text}/{dig(body, length, of=int)}") for key, length in kinds if (text := dig(body, key)))
        mac, known = dig(body, "MacAddress"), {*dig(body, "Aliases", of=list), *dig(body, "DNSNames", of=list)}
        return model.Endpoint(
            network=network,
            interface=self._find_end(namespace, addresses, mac) if namespace else None,
            addresses=addresses,
            gateway=read_ip(dig(body, "Gateway")),
            mac=mac,
            # its own name and short id are no further names of it
            names=tuple(each for each in map(str, known) if each != self._names.get(id) and not id.startswith(each)),
            id=dig(body, "EndpointID"),
        )

    def _find_end(self, namespace: model.NetworkNamespace, addresses: tuple[model.Address, ...], mac: str) -> model.End | None:
        """The interface of an endpoint: the one with its address, else (a learner may have taken that away) its MAC."""
        wanted = {address.ip for address in addresses}
        by_address = [each for each in namespace.interfaces if any(address.ip in wanted for address in each.addresses)]
        found = by_address or [each for each in namespace.interfaces if mac and each.mac == mac]
        return model.End(node=self._node, namespace=namespace.name, interface=found[0].name) if found else None

    def _find_gateway_endpoints(self, namespace: model.NetworkNamespace) -> list[model.Endpoint]:
        """The endpoint in docker_gwbridge that the engine adds to containers of overlays, and does not list with them."""
        return [
            model.Endpoint(
                network=GATEWAY_BRIDGE,
                interface=model.End(node=self._node, namespace=namespace.name, interface=interface.name),
                addresses=tuple(address for address in interface.addresses if not address.is_link_local),
                mac=interface.mac,
            )
            for interface in namespace.interfaces
            if interface.peer and interface.peer.namespace == HOST and interface.peer.interface in self._gateway_ports
        ]


def _build_ports(ports: dict) -> Iterator[model.PublishedPort]:
    for key, bindings in ports.items():
        target, _, protocol = key.partition("/")
        for each in bindings or ():
            address, port = read_ip(dig(each, "HostIp")), int(dig(each, "HostPort") or 0)
            yield model.PublishedPort(protocol=protocol, address=address, port=port, target=int(target))


def build_members(managers: Iterable[dict]) -> dict[str, model.SwarmMember]:
    """The members of their swarms as managers list them, by host name: who has left and joined again is listed as down, too."""
    rows = [each for engine in managers for each in list_bodies(engine, "members")]
    return {
        dig(each, "Description", "Hostname"): model.SwarmMember(
            role=dig(each, "Spec", "Role"),
            leader=dig(each, "ManagerStatus", "Leader", of=bool),
            state=dig(each, "Status", "State"),
            availability=dig(each, "Spec", "Availability"),
            id=dig(each, "ID"),
        )
        for each in sorted(rows, key=lambda each: (dig(each, "Status", "State") == "ready", dig(each, "CreatedAt")))
    }


def build_services(managers: Iterable[dict]) -> tuple[model.Service, ...]:
    """The services of their swarms with their tasks, as managers list them."""
    found: dict[str, model.Service] = {}
    for engine in managers:
        networks = {dig(each, "Id"): dig(each, "Name") for each in list_bodies(engine, "networks")}
        hosts = {dig(each, "ID"): dig(each, "Description", "Hostname") for each in list_bodies(engine, "members")}
        build = partial(_build_service, tasks=list_bodies(engine, "tasks"), networks=networks, hosts=hosts)
        found |= {each.id: each for each in build_each(build, model.Service, list_bodies(engine, "services"))}
    return tuple(found.values())


def _build_service(body: dict, tasks: list[dict], networks: dict[str, str], hosts: dict[str, str]) -> model.Service:
    spec, endpoint = dig(body, "Spec", of=dict), dig(body, "Endpoint", of=dict)
    mode, own = next(iter(dig(spec, "Mode", of=dict).items()), ("", {}))
    wanted = ("complete",) if mode.endswith("Job") else WANTED
    joined = [dig(each, "Target") for each in dig(spec, "TaskTemplate", "Networks", of=list) or dig(spec, "Networks", of=list)]
    vips = [(dig(each, "NetworkID"), text) for each in dig(endpoint, "VirtualIPs", of=list) if (text := dig(each, "Addr"))]
    here = [each for each in tasks if dig(each, "ServiceID") == dig(body, "ID") and dig(each, "DesiredState") in wanted]
    return model.Service(
        name=dig(spec, "Name"),
        mode=mode.replace("Job", " job").lower(),
        replicas=dig(own, "Replicas", of=int) if mode == "Replicated" else None,
        resolution=dig(spec, "EndpointSpec", "Mode") or "vip",
        networks=tuple(networks.get(id, id) for id in joined),
        vips=tuple((networks.get(id, id), read_interface(address)) for id, address in vips),
        ports=tuple(map(_build_service_port, dig(endpoint, "Ports", of=list))),
        tasks=tuple(_build_task(each, dig(spec, "Name"), hosts.get(dig(each, "NodeID"), "")) for each in here),
        id=dig(body, "ID"),
    )


def _build_service_port(body: dict) -> model.ServicePort:
    port, target = dig(body, "PublishedPort", of=int), dig(body, "TargetPort", of=int)
    return model.ServicePort(protocol=dig(body, "Protocol"), port=port, target=target, mode=dig(body, "PublishMode") or "ingress")


def _build_task(body: dict, service: str, node: str) -> model.Task:
    attached = [text for each in dig(body, "NetworksAttachments", of=list) for text in dig(each, "Addresses", of=list)]
    return model.Task(
        name=f"{service}.{dig(body, 'Slot', of=int) or node}",
        node=node,
        state=dig(body, "Status", "State") or "new",
        addresses=tuple(map(read_interface, attached)),
        container=dig(body, "Status", "ContainerStatus", "ContainerID"),
        id=dig(body, "ID"),
    )
