"""What a program's package is called by which distribution."""

from __future__ import annotations

from collections.abc import Sequence

FEDORA = {
    "iproute2": "iproute", "iptables": "iptables-nft", "bridge-utils": "bridge-utils", "conntrack": "conntrack-tools",
    "iputils-ping": "iputils", "bind9-dnsutils": "bind-utils", "netcat-openbsd": "netcat", "uidmap": "shadow-utils",
    "docker.io": "moby-engine", "docker-cli": "docker-cli", "openssh-client": "openssh-clients", "fonts-wqy-zenhei": "google-noto-sans-cjk-fonts",
    "python3-venv": "python3", "busybox-static": "busybox",
}  # fmt: skip
ARCH = {
    "conntrack": "conntrack-tools", "iputils-ping": "iputils", "bind9-dnsutils": "bind", "netcat-openbsd": "openbsd-netcat",
    "uidmap": "shadow", "docker.io": "docker", "docker-cli": "docker", "openssh-client": "openssh", "iptables": "iptables-nft",
    "fonts-wqy-zenhei": "wqy-zenhei", "busybox-static": "busybox",
}  # fmt: skip
FAMILIES = {"debian": ("apt-get install", {}), "fedora": ("dnf install", FEDORA), "arch": ("pacman -S", ARCH)}


def calc_install(distribution: Sequence[str], packages: Sequence[str]) -> str:
    """The command that installs these packages, named as Debian does, on a distribution (os-release's ID and ID_LIKE)."""
    family = next((name for name in distribution if name in FAMILIES), "")
    if not family:
        return f"your package manager: what Debian calls {', '.join(packages)}"
    command, names = FAMILIES[family]
    return f"`{command} {' '.join(dict.fromkeys(names.get(package, package) for package in packages))}`"
