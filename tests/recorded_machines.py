"""Facts of machines that are not at hand, put together from their documentation and from reports; each names its source."""

from __future__ import annotations

from dataclasses import replace

from netkit.operator.doctor.facts import (
    ControlGroups,
    Engines,
    FoundEngine,
    Helper,
    Identities,
    Iptables,
    Machine,
    Room,
    System,
    UserNamespaces,
)
from netkit.operator.doctor.judgement import PROGRAMS

ALL = dict.fromkeys(("user", "net", "admin", "mounts", "mount"), "ok")
RANGES = (("ann", 100000, 65536), ("bob", 165536, 65536))
PYTHON = "/usr/bin/python3.11"


def _helpers(privileged: bool = True) -> tuple[Helper, ...]:
    return tuple(Helper(name, f"/usr/bin/{name}", privileged) for name in ("newuidmap", "newgidmap"))


# Debian 12 as installed: https://www.debian.org/releases/bookworm, kernel.unprivileged_userns_clone=1 since 11
DEBIAN = Machine(
    system=System("6.1.0-35-amd64", "x86_64", (3, 11, 2), ("debian",)),
    engines=Engines(
        FoundEngine("/usr/sbin/dockerd", "20.10.24"), "", (), "/usr/bin/docker", "Docker version 20.10.24+dfsg1, build 297e128"
    ),
    namespaces=UserNamespaces(ALL, "unconfined", 63488, 1, None, PYTHON),
    identities=Identities("user", "ann", 1000, 0, _helpers(), {"/etc/subuid": RANGES, "/etc/subgid": RANGES}),
    iptables=Iptables("iptables v1.8.9 (nf_tables)", "ip6tables v1.8.9 (nf_tables)"),
    programs={program: f"/usr/bin/{program}" for program in PROGRAMS},
    room=Room(8 << 30, {"/tmp": 20 << 30, "/home/ann/.cache/netkit": 20 << 30}),
    control_groups=ControlGroups(2, ("memory", "pids")),
    font="WenQuanYi Zen Hei",
    browser="/usr/bin/chromium",
    ssh="/usr/bin/ssh",
)
# https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces: made, then every capability is denied
UBUNTU = replace(
    DEBIAN,
    system=System("6.8.0-31-generic", "x86_64", (3, 12, 3), ("ubuntu", "debian")),
    namespaces=UserNamespaces({"user": "ok", "net": "EPERM"}, "unprivileged_userns (enforce)", 127430, 1, 1, "/usr/bin/python3.12"),
)
# Docker Desktop's or the distribution's kernel: microsoft/WSL2-Linux-Kernel; Ubuntu's images there lack AppArmor
WSL2 = replace(
    DEBIAN,
    system=System("5.15.153.1-microsoft-standard-WSL2", "x86_64", (3, 12, 3), ("ubuntu", "debian")),
    iptables=Iptables("iptables v1.8.10 (legacy)", "ip6tables v1.8.10 (legacy)"),
)
# newuidmap with file capabilities, podman-docker (packages.fedoraproject.org); SELinux lets unconfined users make namespaces
FEDORA = replace(
    DEBIAN,
    system=System("6.11.4-301.fc41.x86_64", "x86_64", (3, 13, 0), ("fedora",)),
    engines=Engines(
        FoundEngine("/usr/bin/dockerd", "27.3.1"),
        "",
        (FoundEngine("/opt/old/dockerd", "19.03.15"),),
        "/usr/bin/docker",
        "podman version 5.2.3",
    ),
    namespaces=UserNamespaces(ALL, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", 127000, None, None, PYTHON),
    programs={program: None if program in ("dig", "conntrack") else program for program in PROGRAMS},
    font=None,
)
# RHEL's confined users (user_u): SELinux class user_namespace, or a policy without the capability inside
CONFINED = replace(
    FEDORA, namespaces=UserNamespaces({"user": "ok", "net": "EACCES"}, "user_u:user_r:user_t:s0", 127000, None, None, PYTHON)
)
# a user added with useradd --system, or over LDAP: no lines in either file
WITHOUT_SUBIDS = replace(
    DEBIAN,
    identities=Identities("user", "eve", 1002, 0, _helpers(), {"/etc/subuid": RANGES, "/etc/subgid": (*RANGES, ("1002", 231072, 65536))}),
)
CGROUP1 = replace(DEBIAN, control_groups=ControlGroups(1))
HARDENED = replace(DEBIAN, namespaces=UserNamespaces({"user": "EPERM"}, "unconfined", 63488, 0, None, PYTHON))
IN_DOCKER = replace(
    DEBIAN,
    system=System("6.1.0-35-amd64", "x86_64", (3, 11, 2), ("debian",), in_container=True, seccomp=True),
    namespaces=UserNamespaces({"user": "EPERM"}, "docker-default (enforce)", 63488, 1, None, PYTHON),
)
