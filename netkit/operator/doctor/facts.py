"""What can be read of a machine, as values: what the judgement is made of, and what tests record of other machines."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class System:
    """Kernel and distribution. ``distribution`` holds os-release's ID and ID_LIKE; ``python`` is (major, minor, micro)."""

    release: str
    machine: str
    python: tuple[int, int, int]
    distribution: tuple[str, ...] = ()
    in_container: bool = False
    seccomp: bool = False  # system calls of this process are filtered
    no_new_privileges: bool = False  # setuid programs have no effect


@dataclass(frozen=True, slots=True)
class UserNamespaces:
    """The kernel's settings (None where it has no such setting), and the answers of :mod:`netkit.operator.doctor.probe`."""

    steps: dict[str, str]
    label: str = ""
    most: int | None = None  # user.max_user_namespaces
    clone: int | None = None  # kernel.unprivileged_userns_clone: Debian's and Arch's patch
    restricted: int | None = None  # kernel.apparmor_restrict_unprivileged_userns: Ubuntu's
    python: str = ""  # the interpreter an AppArmor profile would be about


@dataclass(frozen=True, slots=True)
class Helper:
    """newuidmap or newgidmap: where it is (empty: nowhere), and whether it gains the right to write identity maps."""

    name: str
    path: str = ""
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class Identities:
    """Who opens labs; ``user`` is "" without a name in passwd. ``subordinate`` maps /etc/subuid and /etc/subgid to all their ranges, as (owner, first, count)."""

    mode: str
    user: str
    uid: int
    ids: int = 0  # in mode root: how many this process's own namespace has
    helpers: tuple[Helper, ...] = ()
    subordinate: dict[str, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)
    gid: int = -1


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """A dockerd, and its version: empty if it does not tell."""

    dockerd: str
    version: str


@dataclass(frozen=True, slots=True)
class Engines:
    """The engine labs use, or why there is none; every dockerd found; what ``docker --version`` says."""

    chosen: FoundEngine | None
    refusal: str
    others: tuple[FoundEngine, ...] = ()
    docker: str = ""
    docker_says: str = ""


@dataclass(frozen=True, slots=True)
class Iptables:
    """What ``iptables --version`` and ``ip6tables --version`` say; None where there is none."""

    ipv4: str | None
    ipv6: str | None


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """The version of /sys/fs/cgroup (0: none is mounted), and the controllers this user may use there."""

    version: int
    delegated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """Memory and space that are free, in bytes. ``places`` maps a directory to what its file system has left."""

    memory: int
    places: dict[str, int]


@dataclass(frozen=True, slots=True)
class Machine:
    """All of it. ``programs`` and ``browser``, ``ssh``, ``font`` are paths or names, None for what is missing."""

    system: System
    engines: Engines
    namespaces: UserNamespaces
    identities: Identities
    iptables: Iptables
    programs: dict[str, str | None]
    room: Room
    control_groups: ControlGroups
    font: str | None
    browser: str | None
    ssh: str | None
