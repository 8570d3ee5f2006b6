"""A trace as frozen values: a command's flows, their packets, each packet's hops, and the rules it met."""

from __future__ import annotations

from dataclasses import dataclass, field

from netkit.laboratory.remote import Result
from netkit.network.model import End, Ip, Topology

DNS = 53
MOST = 6  # flows told hop by hop
value = dataclass(frozen=True, slots=True, kw_only=True)


@value
class Addresses:
    """Whence and whither; ports are None for protocols without. An echo's identifier stands in ``identifier``."""

    source: Ip
    destination: Ip
    source_port: int | None = None
    destination_port: int | None = None
    identifier: int | None = None

    @property
    def ends(self) -> tuple[tuple[Ip, int | None], tuple[Ip, int | None]]:
        """Source and destination, each an address and a port."""
        return (self.source, self.source_port), (self.destination, self.destination_port)


@value
class Tunnel:
    """The VXLAN packet around a frame: the addresses of the machines, and the network identifier."""

    source: Ip
    destination: Ip
    vni: int


@value
class Rule:
    """A rule of the packet filter that a packet met.

    ``number`` is its place in its chain (1 is the first; 0 for the chain's policy, -1 for a rule that was gone when rules
    were listed), ``text`` the rule as iptables-save(8) or nft(8) writes it. ``verdict`` is accept, drop,
    return, continue, "jump CHAIN" or "goto CHAIN". ``inward`` and ``outward`` are the interfaces as the rule saw them ("" for none yet).
    """

    node: str
    namespace: str
    family: str
    table: str
    chain: str
    number: int
    text: str
    verdict: str
    inward: str = ""
    outward: str = ""

    @property
    def title(self) -> str:
        """ "rule 2 of chain FORWARD (table filter)"."""
        what = f"rule {self.number}" if self.number > 0 else "a rule that is gone" if self.number else "the policy"
        return f"{what} of chain {self.chain} (table {self.table})"


@value
class Hop:
    """A packet at an interface.

    ``direction`` is in (the kernel received it there) or out (the kernel sent it there). ``time`` is in µs since the
    command began. ``addresses`` are those it had here; ``before`` those it had before this machine's NAT
    changed them on the way to this hop, or None if nothing did. ``tunnel`` is set where it went wrapped in VXLAN. ``rules`` are
    those it met in this namespace after the hop before and before this one (in order, jumps included).
    ``length`` is the frame's in bytes, ``frame`` what was captured of it, ``stamp`` nanoseconds since 1970 (UTC).
    """

    node: str
    namespace: str
    interface: str
    direction: str
    time: float = 0.0
    addresses: Addresses
    ttl: int
    before: Addresses | None = None
    tunnel: Tunnel | None = None
    rules: tuple[Rule, ...] = ()
    length: int = 0
    frame: bytes = field(default=b"", repr=False)
    stamp: int = field(default=0, compare=False)

    @property
    def end(self) -> End:
        """Which interface of the topology this is."""
        return End(node=self.node, namespace=self.namespace, interface=self.interface)

    @property
    def place(self) -> str:
        """ "node1/container web/eth0", as shapes of a figure are named."""
        return str(self.end)


@value
class Packet:
    """One packet, recognised at every interface it crossed.

    ``what`` says it in words ("echo request", "SYN", "DNS query app A"); ``protocol`` is icmp, icmpv6, tcp, udp or a
    number. ``reply`` is whether it goes against the flow's direction. ``addresses`` are those it began with.
    ``dropped`` is the rule that ended it, ``last`` the rules it met after its last hop. ``error`` is set for an ICMP error, to what
    it is about ("port unreachable", "time exceeded"). ``mtu`` is the one it tells where the packet was too big, in bytes.
    """

    protocol: str
    what: str
    reply: bool
    addresses: Addresses
    hops: tuple[Hop, ...] = ()
    dropped: Rule | None = None
    last: tuple[Rule, ...] = ()
    error: str = ""
    mtu: int | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule it met, in order."""
        return (*(rule for hop in self.hops for rule in hop.rules), *self.last)


@value
class Flow:
    """Packets to and fro between two programs; ``addresses`` as its first packet had them at first."""

    protocol: str
    addresses: Addresses
    packets: tuple[Packet, ...]

    @property
    def first(self) -> Packet:
        """The packet that began it."""
        return self.packets[0]

    @property
    def answer(self) -> Packet | None:
        """The first packet the other way, or None."""
        return next((packet for packet in self.packets if packet.reply), None)

    @property
    def told(self) -> tuple[Packet, ...]:
        """What is told of it: the first packet each way, and a later one only if it was dropped or is an error."""
        # a program may ask for A and AAAA at once: the answer is that to the first question
        answers = (packet for packet in self.packets if packet.reply and packet.what.startswith("DNS answer"))
        asked = self.first.what.removeprefix("DNS query ")
        answer = next((packet for packet in answers if packet.what.endswith(f" {asked}")), self.answer)
        told = {(packet.what, packet.reply): packet for packet in (self.first, answer) if packet}
        for packet in self.packets:
            if packet.dropped or packet.error:
                told.setdefault((packet.what, packet.reply), packet)
        return tuple(told.values())


@value
class Question:
    """Who asked by ARP or NDP for which address on which interface, unanswered."""

    node: str
    namespace: str
    interface: str
    target: Ip


@value
class TraceData:
    """What a command sent, and what became of it.

    ``output`` is its exit status and what it wrote. ``flows`` are those the command caused, in the order in which they began.
    ``topology`` is the network they crossed. ``lost`` is how many packets were not captured although they passed, ``truncated``
    whether the capture ended before the command did, ``late`` whether it began in a namespace only after that had interfaces.
    ``questions`` are unanswered ones for neighbours. ``notes`` say what else a reader has to know.
    ``missing`` names the hosts that went away, or came up, meanwhile: what they saw is not known.
    """

    command: str
    node: str
    output: Result
    topology: Topology = field(repr=False)
    flows: tuple[Flow, ...] = ()
    lost: int = 0
    truncated: bool = False
    late: bool = False
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def packets(self) -> tuple[Packet, ...]:
        """Every packet of every flow."""
        return tuple(packet for flow in self.flows for packet in flow.packets)

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost, cut off or missing."""
        return not (self.lost or self.truncated or self.late or self.missing)

    @property
    def told_flows(self) -> tuple[Flow, ...]:
        """The flows that are told; a flow that another one repeats (the same packets the same way) is told once."""
        kept: dict[tuple, Flow] = {}
        for flow in self.flows:
            shape = tuple((each.what, tuple((hop.place, hop.direction) for hop in each.hops), each.dropped) for each in flow.told)
            kept.setdefault(shape, flow)
        return tuple(kept.values())[:MOST]

    @property
    def told_packets(self) -> tuple[Packet, ...]:
        """What is told of those flows."""
        return tuple(packet for flow in self.told_flows for packet in flow.told)

    @property
    def main_flows(self) -> tuple[Flow, ...]:
        """Those of them that are no look-ups of names, unless there are no others."""
        flows = self.told_flows
        return tuple(flow for flow in flows if DNS not in (flow.addresses.source_port, flow.addresses.destination_port)) or flows

    def told_hops(self, packet: Packet) -> tuple[Hop, ...]:
        """Those of a packet's hops that are the same on every engine.

        Where bridges ask the packet filter (br_netfilter), one engine's rules drop a packet before its bridge hands it to the host,
        another's right after: that last hop is left out.
        """
        if packet.dropped and len(packet.hops) > 1:
            port, last = packet.hops[-2:]
            interface = self.topology.at(last.end)
            if (
                interface
                and interface.kind == "bridge"
                and (port.namespace, port.direction, last.direction) == (last.namespace, "in", "in")
            ):
                return packet.hops[:-1]
        return packet.hops
