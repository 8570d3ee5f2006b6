"""Facts of machines that are not at hand, put together from their documentation and from reports; each names its source."""

from __future__ import annotations

from dataclasses import replace

from netkit.operator.doctor_facts import PROGRAMS, Engines, FoundEngine, Helper, Identities, Machine, UserNamespaces

ALL = dict.fromkeys(("user", "net", "admin", "mounts", "mount"), "ok")
RANGES = (("ann", 100000, 65536), ("bob", 165536, 65536))
PYTHON = "/usr/bin/python3.11"


def _helpers(privileged: bool = True) -> tuple[Helper, ...]:
    return tuple(Helper(name, f"/usr/bin/{name}", privileged) for name in ("newuidmap", "newgidmap"))


# Debian 12 as installed: https://www.debian.org/releases/bookworm, kernel.unprivileged_userns_clone=1 since 11
DEBIAN = Machine(
    release="6.1.0-35-amd64",
    architecture="x86_64",
    python=(3, 11, 2),
    distribution=("debian",),
    engines=Engines(
        FoundEngine("/usr/sbin/dockerd", "20.10.24"), "", (), "/usr/bin/docker", "Docker version 20.10.24+dfsg1, build 297e128"
    ),
    namespaces=UserNamespaces(ALL, "unconfined", 63488, 1, None, PYTHON),
    identities=Identities("user", "ann", 1000, 0, _helpers(), {"/etc/subuid": RANGES, "/etc/subgid": RANGES}),
    iptables="iptables v1.8.9 (nf_tables)",
    ip6tables="ip6tables v1.8.9 (nf_tables)",
    programs={program: f"/usr/bin/{program}" for program in PROGRAMS},
    memory=8 << 30,
    places={"/tmp": 20 << 30, "/home/ann/.cache/netkit": 20 << 30},
    control_groups=2,
    controllers=("memory", "pids"),
    font="WenQuanYi Zen Hei",
    browser="/usr/bin/chromium",
    ssh="/usr/bin/ssh",
)
# https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces: made, then every capability is denied
UBUNTU = replace(
    DEBIAN,
    release="6.8.0-31-generic",
    python=(3, 12, 3),
    distribution=("ubuntu", "debian"),
    namespaces=UserNamespaces({"user": "ok", "net": "EPERM"}, "unprivileged_userns (enforce)", 127430, 1, 1, "/usr/bin/python3.12"),
)
# Docker Desktop's or the distribution's kernel: microsoft/WSL2-Linux-Kernel; Ubuntu's images there lack AppArmor
WSL2 = replace(
    DEBIAN,
    release="5.15.153.1-microsoft-standard-WSL2",
    python=(3, 12, 3),
    distribution=("ubuntu", "debian"),
    iptables="iptables v1.8.10 (legacy)",
    ip6tables="ip6tables v1.8.10 (legacy)",
)
# newuidmap with file capabilities, podman-docker (packages.fedoraproject.org); SELinux lets unconfined users make namespaces
FEDORA = replace(
    DEBIAN,
    release="6.11.4-301.fc41.x86_64",
    python=(3, 13, 0),
    distribution=("fedora",),
    engines=Engines(
        FoundEngine("/usr/bin/dockerd", "27.3.1"),
        "",
        (FoundEngine("/opt/old/dockerd", "19.03.15"),),
        "/usr/bin/docker",
        "podman version 5.2.3",
    ),
    namespaces=UserNamespaces(ALL, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", 127000, None, None, PYTHON),
    programs={program: "" if program in ("dig", "conntrack") else program for program in PROGRAMS},
    font="",
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
CGROUP1 = replace(DEBIAN, control_groups=1, controllers=())
HARDENED = replace(DEBIAN, namespaces=UserNamespaces({"user": "EPERM"}, "unconfined", 63488, 0, None, PYTHON))
IN_DOCKER = replace(
    DEBIAN,
    in_container=True,
    seccomp=True,
    namespaces=UserNamespaces({"user": "EPERM"}, "docker-default (enforce)", 63488, 1, None, PYTHON),
)
