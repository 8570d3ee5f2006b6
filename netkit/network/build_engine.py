"""From an engine's answers to networks, containers, services: pure."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network import model
from netkit.network.kernel_model import HOST, read_interface, read_ip, read_subnet

BRIDGE_NAME = "com.docker.network.bridge.name"
VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list"
GATEWAY_BRIDGE = "docker_gwbridge"  # leads out of overlays; its endpoints are in no container's list
WITHOUT_ENDPOINT = ("host", "none")
RUNNING = ("running", "paused")
SERVICE_LABEL, TASK_LABEL = "com.docker.swarm.service.name", "com.docker.swarm.task.name"
WANTED = ("running", "ready")  # the desired states of tasks that are not history


def build_networks(engine: dict) -> tuple[model.Network, ...]:
    """The networks that an engine lists."""
    return tuple(map(_build_network, engine.get("networks", ())))


def _build_network(body: dict) -> model.Network:
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


def build_containers(engine: dict, node: str, namespaces: dict[int, model.NetworkNamespace]) -> tuple[model.Container, ...]:
    """The containers that an engine lists, each with what the kernel of its node has of it, by the namespaces' inodes."""
    bodies = engine.get("containers", ())
    titles = {each["Id"]: each["Name"].lstrip("/") for each in bodies}
    drivers = {each["Id"]: each["Driver"] for each in engine.get("networks", ())}
    host = next((namespace for namespace in namespaces.values() if namespace.name == HOST), None)
    return tuple(_build_container(each, node, namespaces.get(each["inode"]), host, titles, drivers) for each in bodies)


def _build_container(
    body: dict,
    node: str,
    namespace: model.NetworkNamespace | None,
    host: model.NetworkNamespace | None,
    titles: dict[str, str],
    drivers: dict[str, str],
) -> model.Container:
    settings, labels = body["NetworkSettings"], body["Config"].get("Labels") or {}
    name, state, mode = titles[body["Id"]], body["State"]["Status"], body["HostConfig"].get("NetworkMode") or "default"
    namespace = namespace if state in RUNNING else None
    joined = {network: each for network, each in (settings.get("Networks") or {}).items() if network not in WITHOUT_ENDPOINT}
    endpoints = [_build_endpoint(network, each, body, node, namespace) for network, each in joined.items()]
    if namespace and host and GATEWAY_BRIDGE not in joined and not mode.startswith(("container:", HOST)):
        endpoints += _find_gateway_endpoints(node, namespace, host)
    return model.Container(
        name=name,
        state=state,
        mode=_calc_mode(mode, joined, titles, drivers),
        image=body["Config"].get("Image") or "",
        sandbox=model.Sandbox(namespace=namespace.name, key=settings.get("SandboxKey") or "", id=settings.get("SandboxID") or "")
        if namespace
        else None,
        endpoints=tuple(endpoints),
        ports=tuple(_build_ports(settings.get("Ports") or {})),
        service=labels.get(SERVICE_LABEL),
        task=_calc_task_name(labels.get(TASK_LABEL), node),
        pid=body["State"].get("Pid") or 0,
        id=body["Id"],
    )


def _calc_mode(mode: str, joined: dict, titles: dict[str, str], drivers: dict[str, str]) -> str:
    if mode.startswith("container:"):
        wanted = mode.removeprefix("container:")
        return f"container:{titles.get(wanted, wanted)}"
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


def _build_endpoint(network: str, body: dict, container: dict, node: str, namespace: model.NetworkNamespace | None) -> model.Endpoint:
    name, id = container["Name"].lstrip("/"), container["Id"]  # which are no further names of it
    kinds = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
    addresses = tuple(read_interface(f"{body[address]}/{body[length]}") for address, length in kinds if body.get(address))
    mac = body.get("MacAddress", "")
    interface = _find_interface(namespace, addresses, mac) if namespace else None
    known = {*(body.get("Aliases") or ()), *(body.get("DNSNames") or ())}
    return model.Endpoint(
        network=network,
        interface=model.End(node=node, namespace=namespace.name, interface=interface.name) if namespace and interface else None,
        addresses=addresses,
        gateway=read_ip(body.get("Gateway")),
        mac=mac,
        names=tuple(each for each in known if each != name and not id.startswith(each)),
        id=body.get("EndpointID", ""),
    )


def _find_interface(namespace: model.NetworkNamespace, addresses: tuple[model.Address, ...], mac: str) -> model.Interface | None:
    """The interface of an endpoint: the one with its address, else (a learner may have taken that away) its MAC."""
    wanted = {address.ip for address in addresses}
    by_address = (each for each in namespace.interfaces if any(address.ip in wanted for address in each.addresses))
    return next(by_address, None) or next((each for each in namespace.interfaces if mac and each.mac == mac), None)


def _find_gateway_endpoints(node: str, namespace: model.NetworkNamespace, host: model.NetworkNamespace) -> list[model.Endpoint]:
    """The endpoint in docker_gwbridge that the engine adds to containers of overlays, and does not list with them."""
    ports = {interface.name for interface in host.interfaces if interface.master == GATEWAY_BRIDGE}
    return [
        model.Endpoint(
            network=GATEWAY_BRIDGE,
            interface=model.End(node=node, namespace=namespace.name, interface=interface.name),
            addresses=tuple(address for address in interface.addresses if not address.is_link_local),
            mac=interface.mac,
        )
        for interface in namespace.interfaces
        if interface.peer and interface.peer.namespace == HOST and interface.peer.interface in ports
    ]


def _build_ports(ports: dict) -> Iterator[model.PublishedPort]:
    for key, bindings in ports.items():
        target, _, protocol = key.partition("/")
        for each in bindings or ():
            yield model.PublishedPort(
                protocol=protocol, address=read_ip(each.get("HostIp")), port=int(each.get("HostPort") or 0), target=int(target)
            )


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
    networks = {each["Id"]: each["Name"] for each in engine["networks"]}
    hosts = {each["ID"]: each["Description"]["Hostname"] for each in engine["members"]}
    return tuple(_build_service(each, engine["tasks"], networks, hosts) for each in engine["services"])


def _build_service(body: dict, tasks: list[dict], networks: dict[str, str], hosts: dict[str, str]) -> model.Service:
    spec, endpoint = body["Spec"], body.get("Endpoint") or {}
    wanted = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or ()
    vips = [each for each in endpoint.get("VirtualIPs") or () if each.get("Addr")]
    return model.Service(
        name=spec["Name"],
        mode=next(iter(spec["Mode"])).lower(),
        replicas=(spec["Mode"].get("Replicated") or {}).get("Replicas"),
        resolution=(spec.get("EndpointSpec") or {}).get("Mode", "vip"),
        networks=tuple(networks.get(each["Target"], each["Target"]) for each in wanted),
        vips=tuple((networks.get(each["NetworkID"], each["NetworkID"]), read_interface(each["Addr"])) for each in vips),
        ports=tuple(
            model.ServicePort(
                protocol=each["Protocol"],
                port=each.get("PublishedPort", 0),
                target=each["TargetPort"],
                mode=each.get("PublishMode", "ingress"),
            )
            for each in endpoint.get("Ports") or ()
        ),
        tasks=tuple(
            _build_task(each, spec["Name"], hosts.get(each.get("NodeID", ""), ""))
            for each in tasks
            if each.get("ServiceID") == body["ID"] and each["DesiredState"] in WANTED
        ),
        id=body["ID"],
    )


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
