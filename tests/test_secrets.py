"""Nothing listens beyond loopback, the server answers nobody without its token, and notebooks hold no secret."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.kernels import execute, kernel
from tests.patience import patiently
from tests.servers import open_server

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
SECRETS = {
    "a Swarm's join token": r"SWMTKN-1-[0-9a-z]{20,}",
    "Jupyter's token": r"[?&]token=[0-9a-f]{16,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a Swarm's unlock key": r"SWMKEY-1-[0-9A-Za-z+/]{20,}",
}
JOIN = (
    "%%bash\nset -e; docker swarm init --advertise-addr 192.168.59.1 >/dev/null; "
    "netkit on node2 -- docker swarm join --token $(docker swarm join-token -q worker) 192.168.59.1:2377; docker node ls -q | wc -l"
)


def find_listening(family: list[psutil.Process]) -> set[tuple[str, int]]:
    """The addresses that sockets in this machine's network namespace listen on, of those that these processes hold.

    A lab's own sockets are in its own namespaces and not in /proc/net/tcp, so they cannot be meant.
    """
    inodes = set()
    for process in family:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{process.pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(f"/proc/{process.pid}/fd/{number}")))
    listening = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:  # TCP_LISTEN
                address, port = words[1].split(":")
                raw = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                listening.add((str(ipaddress.ip_address(raw)), int(port, 16)))
    return listening


def test_nothing_listens_beyond_loopback(machine):
    """With `netkit start` and a kernel whose lab is a Swarm of two, all listening sockets in the machine's network are on loopback."""
    with open_server() as server, kernel() as (manager, client):
        server.open_notebook("first.ipynb")
        assert execute(client, JOIN).split()[-1] == "2"
        roots = [psutil.Process(server.process.pid), psutil.Process(manager.provisioner.pid)]
        family = [member for root in roots for member in (root, *root.children(recursive=True))]
        listening = find_listening(family)
        assert ("127.0.0.1", server.port) in listening and len(listening) > 10  # the server's, and five of each kernel
        assert {address for address, _ in listening if not ipaddress.ip_address(address).is_loopback} == set()
        for path in ("contents", "kernels", "sessions", "terminals"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{server.origin}/api/{path}", timeout=patiently())
            assert refused.value.code == 403


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_holds_a_secret(path):
    """Neither cells nor outputs of the committed notebooks hold a token or a key."""
    text = path.read_text(encoding="utf-8")
    assert not {name for name, pattern in SECRETS.items() if re.search(pattern, text)}


def test_the_patterns_find_secrets():
    """What the commands really print is recognised."""
    for name, example in {
        "a Swarm's join token": "docker swarm join --token SWMTKN-1-49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv-8vxv8rssmk743ojnwacrr2e7c",
        "Jupyter's token": "http://127.0.0.1:8888/lab?token=" + "0af3" * 12,
        "a private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    }.items():
        assert re.search(SECRETS[name], example)
