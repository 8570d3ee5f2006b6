"""From an engine's answers to networks, containers, services: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from netkit.network import model
from netkit.network.kernel_model import HOST, read_interface, read_ip, read_subnet

BRIDGE_NAME = "com.docker.network.bridge.name"
VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list"
GATEWAY_BRIDGE = "docker_gwbridge"  # leads out of overlays; its endpoints are in no container's list
WITHOUT_ENDPOINT = ("host", "none")
RUNNING = ("running", "paused")
SERVICE_LABEL, TASK_LABEL = "com.docker.swarm.service.name", "com.docker.swarm.task.name"
WANTED = ("running", "ready")  # the desired states of tasks that are not history


def build_network(body: dict) -> model.Network:
    """A network that an engine lists."""
    options = body.get("Options") or {}
    config = (body.get("IPAM") or {}).get("Config") or []
    ids = options.get(VXLAN_IDS, "").split(",")[0]
    return model.Network(
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


class ContainerBuilder:
    """Makes the containers that an engine lists, each with what the kernel of its node has of it, by the namespaces' inodes."""

    def __init__(self, engine: dict, node: str, namespaces: Iterable[model.NetworkNamespace]) -> None:
        self._node = node
        self._namespaces = {each.inode: each for each in namespaces}
        self._names = {each["Id"]: each["Name"].lstrip("/") for each in engine.get("containers", ())}
        self._drivers = {each["Id"]: each["Driver"] for each in engine.get("networks", ())}
        on_host = (each for namespace in namespaces if namespace.name == HOST for each in namespace.interfaces)
        self._gateway_ports = {each.name for each in on_host if each.master == GATEWAY_BRIDGE}

    def build(self, body: dict) -> model.Container:
        """One of them, as it was inspected."""
        settings, labels, state = body["NetworkSettings"], body["Config"].get("Labels") or {}, body["State"]["Status"]
        mode = body["HostConfig"].get("NetworkMode") or "default"
        namespace = self._namespaces.get(body["inode"]) if state in RUNNING else None
        joined = {network: each for network, each in (settings.get("Networks") or {}).items() if network not in WITHOUT_ENDPOINT}
        endpoints = [self._build_endpoint(network, each, body["Id"], namespace) for network, each in joined.items()]
        key, id = settings.get("SandboxKey") or "", settings.get("SandboxID") or ""
        if namespace and GATEWAY_BRIDGE not in joined and not mode.startswith(("container:", HOST)):
            endpoints += self._find_gateway_endpoints(namespace)
        return model.Container(
            name=self._names[body["Id"]],
            state=state,
            mode=self._calc_mode(mode, joined),
            image=body["Config"].get("Image") or "",
            sandbox=model.Sandbox(namespace=namespace.name, key=key, id=id) if namespace else None,
            endpoints=tuple(endpoints),
            ports=tuple(_build_ports(settings.get("Ports") or {})),
            service=labels.get(SERVICE_LABEL),
            task=self._calc_task_name(labels.get(TASK_LABEL)),
            pid=body["State"].get("Pid") or 0,
            id=body["Id"],
        )

    def _calc_mode(self, mode: str, joined: dict) -> str:
        if mode.startswith("container:"):
            other = mode.removeprefix("container:")
            return f"container:{self._names.get(other, other)}"
        if mode == HOST:
            return HOST
        drivers = [self._drivers.get(each.get("NetworkID"), "bridge") for each in joined.values()]
        return "several" if len(drivers) > 1 else drivers[0] if drivers else "none"

    def _calc_task_name(self, label: str | None) -> str | None:
        """ "hello.1" of "hello.1.p4e7…"; a global service's "hello.NODEID.p4e7…" is "hello.node1"."""
        if not label:
            return None
        service, slot, _ = label.rsplit(".", 2)
        return f"{service}.{slot if slot.isdecimal() else self._node}"

    def _build_endpoint(self, network: str, body: dict, id: str, namespace: model.NetworkNamespace | None) -> model.Endpoint:
        kinds = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
        addresses = tuple(read_interface(f"{body[address]}/{body[length]}") for address, length in kinds if body.get(address))
        mac = body.get("MacAddress", "")
        known = {*(body.get("Aliases") or ()), *(body.get("DNSNames") or ())}
        return model.Endpoint(
            network=network,
            interface=self._find_end(namespace, addresses, mac) if namespace else None,
            addresses=addresses,
            gateway=read_ip(body.get("Gateway")),
            mac=mac,
            # its own name and short id are no further names of it
            names=tuple(each for each in known if each != self._names[id] and not id.startswith(each)),
            id=body.get("EndpointID", ""),
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
            address, port = read_ip(each.get("HostIp")), int(each.get("HostPort") or 0)
            yield model.PublishedPort(protocol=protocol, address=address, port=port, target=int(target))


def build_members(engine: dict) -> dict[str, model.SwarmMember]:
    """A swarm's members as its manager lists them, by host name."""
    return {
        each["Description"]["Hostname"]: model.SwarmMember(
            role=each["Spec"]["Role"],
            leader=bool((each.get("ManagerStatus") or {}).get("Leader")),
            state=each["Status"]["State"],
            availability=each["Spec"]["Availability"],
            id=each["ID"],
        )
        for each in engine.get("members", ())
    }


def build_services(engine: dict) -> tuple[model.Service, ...]:
    """A swarm's services with their tasks, as a manager lists them."""
    networks = {each["Id"]: each["Name"] for each in engine.get("networks", ())}
    hosts = {each["ID"]: each["Description"]["Hostname"] for each in engine.get("members", ())}
    tasks = defaultdict(list)
    for each in engine.get("tasks", ()):
        if each["DesiredState"] in WANTED:
            tasks[each.get("ServiceID")].append(each)
    return tuple(_build_service(each, tasks[each["ID"]], networks, hosts) for each in engine.get("services", ()))


def _build_service(body: dict, tasks: list[dict], networks: dict[str, str], hosts: dict[str, str]) -> model.Service:
    spec, endpoint = body["Spec"], body.get("Endpoint") or {}
    wanted = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or ()
    vips = [(each["NetworkID"], each["Addr"]) for each in endpoint.get("VirtualIPs") or () if each.get("Addr")]
    return model.Service(
        name=spec["Name"],
        mode=next(iter(spec["Mode"])).lower(),
        replicas=(spec["Mode"].get("Replicated") or {}).get("Replicas"),
        resolution=(spec.get("EndpointSpec") or {}).get("Mode", "vip"),
        networks=tuple(networks.get(each["Target"], each["Target"]) for each in wanted),
        vips=tuple((networks.get(id, id), read_interface(address)) for id, address in vips),
        ports=tuple(map(_build_service_port, endpoint.get("Ports") or ())),
        tasks=tuple(_build_task(each, spec["Name"], hosts.get(each.get("NodeID", ""), "")) for each in tasks),
        id=body["ID"],
    )


def _build_service_port(body: dict) -> model.ServicePort:
    port, mode = body.get("PublishedPort", 0), body.get("PublishMode", "ingress")
    return model.ServicePort(protocol=body["Protocol"], port=port, target=body["TargetPort"], mode=mode)


def _build_task(body: dict, service: str, node: str) -> model.Task:
    status = body.get("Status") or {}
    return model.Task(
        name=f"{service}.{body.get('Slot') or node}",
        node=node,
        state=status.get("State", "new"),
        addresses=tuple(read_interface(text) for each in body.get("NetworksAttachments") or () for text in each.get("Addresses") or ()),
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        id=body["ID"],
    )
