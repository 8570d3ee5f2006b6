"""What a network is made of, as frozen values: no effects, and nothing but the standard library.

Everything sits where the kernel has it: a :class:`Topology` has nodes, a node has network namespaces,
a namespace has interfaces, routes, neighbours, forwarding entries and packet filter facts. Beside
them stands what the engine says: networks, containers with their sandbox and endpoints, services.

Two topologies are equal when the networks are: order, interface numbers and random ids (of containers,
networks, namespaces; names and MAC addresses that the engine draws by lot) do not count, but are kept.
Tuples are sorted when a value is made, so that equal values also look alike.
"""

from netkit.network.model.engine import (
    Container,
    Endpoint,
    Engine,
    Network,
    PublishedPort,
    Sandbox,
    Service,
    ServicePort,
    SwarmMember,
    Task,
)
from netkit.network.model.filter import Firewall, Masquerade, Policy, PortForward
from netkit.network.model.kernel import (
    HOST,
    Bridge,
    BridgePort,
    End,
    ForwardingEntry,
    Interface,
    Neighbour,
    NetworkNamespace,
    Route,
    Vxlan,
)
from netkit.network.model.order import Address, Ip, Subnet
from netkit.network.model.topology import Lan, Node, Topology

__all__ = [
    "HOST",
    "Address",
    "Bridge",
    "BridgePort",
    "Container",
    "End",
    "Endpoint",
    "Engine",
    "Firewall",
    "ForwardingEntry",
    "Interface",
    "Ip",
    "Lan",
    "Masquerade",
    "Neighbour",
    "Network",
    "NetworkNamespace",
    "Node",
    "Policy",
    "PortForward",
    "PublishedPort",
    "Route",
    "Sandbox",
    "Service",
    "ServicePort",
    "Subnet",
    "SwarmMember",
    "Task",
    "Topology",
    "Vxlan",
]
