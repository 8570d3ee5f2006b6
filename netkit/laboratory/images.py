"""The images of the workshop, built from the machine's own packages: no registry is needed.

Two images: ``busybox``, so that the commands every Docker text uses work as they stand, and
``toolbox``, with bash and the network tools, where other texts would take ubuntu. Each is one
layer, written in the format of ``docker save`` (moby ``image/spec/v1.2.md``).

They are loaded once, into a *seed*: a small lab is opened, they are loaded into its engine, the engine is stopped, and what it
stored is kept, for each user, engine and state of the programs the images are made of;
:func:`netkit.laboratory.inside.dockerd.lay_seed` lays it under a node's engine. So they cost a lab nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netkit.errors import EngineError, LabError
from netkit.laboratory.engine import SYSTEM_PATH, Engine
from netkit.laboratory.inside.dockerd import copy_tree
from netkit.laboratory.spec import ENGINE_SERVICE
from netkit.places import cache_dir

if TYPE_CHECKING:
    from netkit.laboratory.lab import OpenLab


TOOLS = (
    *("bash", "ip", "ping", "curl", "dig", "nc", "tcpdump", "iperf3", "ss", "bridge", "arping", "traceroute", "ethtool", "nft", "iptables"),
    *("conntrack", "cat", "ls", "sleep", "cp", "mv", "rm", "mkdir", "ln", "chmod", "chown", "id", "env", "hostname", "date"),
    *("head", "tail", "sort", "uniq", "wc", "tr", "cut", "tee", "seq", "timeout", "stat", "grep", "sed", "find", "xargs", "ps", "kill"),
)
REQUIRED = ("bash", "ip", "ping", "curl", "dig", "nc", "tcpdump", "iperf3", "sleep", "cat", "ls")
# what glibc loads by name at run time, so that no program lists it
LOADED_BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libc.so.6")
PACKAGES = "apt-get install busybox-static iproute2 iputils-ping curl bind9-dnsutils netcat-openbsd tcpdump iperf3"
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image to be: its tags, its files (path inside → path on the machine), links, and command."""

    tags: tuple[str, ...]
    files: dict[str, str]
    links: dict[str, str]
    command: tuple[str, ...]


def describe_images() -> tuple[Image, ...]:
    """The workshop's images as this machine can build them; raises LabError for missing programs."""
    busybox = _busybox()
    return busybox, _toolbox(busybox)


def fingerprint() -> str:
    """Changes whenever an image would: a hash over the programs' paths, sizes and times.

    Their libraries are left out, for asking ldd about fifty programs takes longer than a lab's
    start; libc stands for them, since they are upgraded together. Raises LabError for missing programs.
    """
    libc = {path: path for path in glob.glob("/lib/*/libc.so.6") + glob.glob("/lib64/libc.so.6")}
    programs = {"busybox": _busybox_path(), **_tools(), **libc}
    stats = [(name, path, os.stat(path)) for name, path in sorted(programs.items())]
    parts = [(name, path, found.st_size, found.st_mtime_ns) for name, path, found in stats]
    return hashlib.sha256(repr((parts, ETC)).encode()).hexdigest()


def _find(program: str) -> str | None:
    return shutil.which(program, path=SYSTEM_PATH)


def _busybox_path() -> str:
    path = _find("busybox")
    if not path:
        raise LabError(f"busybox is missing, the images are built from it: {PACKAGES}")
    return path


def _tools() -> dict[str, str]:
    found = {name: path for name in TOOLS if (path := _find(name))}
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise LabError(f"the toolbox image needs {', '.join(missing)}: {PACKAGES}")
    return found


def _busybox() -> Image:
    binary = _busybox_path()
    # a static one needs no libraries: but its resolver still loads glibc's modules, or crashes
    files = {"bin/busybox": os.path.realpath(binary)} | (_libraries(binary) or _named_libraries())
    applets = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return Image(("busybox:latest",), files, {f"bin/{name}": "busybox" for name in applets if name != "busybox"}, ("sh",))


def _toolbox(busybox: Image) -> Image:
    files = busybox.files.copy()
    for name, path in _tools().items():
        real = os.path.realpath(path)
        with open(real, "rb") as file:
            if file.read(4) == b"\x7fELF":  # scripts would need their interpreters
                files[f"bin/{name}"] = real
                files |= _libraries(real)
    files |= _named_libraries()
    links = {link: target for link, target in busybox.links.items() if link not in files}
    links["bin/sh"] = "bash"
    return Image(("toolbox:latest",), files, links, ("bash",))


def _libraries(program: str) -> dict[str, str]:
    """The shared libraries of a program and its loader, as ldd(1) tells: path inside → path here."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, env={"PATH": SYSTEM_PATH, "LC_ALL": "C"})
    paths = re.findall(r"(?:=> |^\t)(/\S+) \(0x", done.stdout, re.MULTILINE)
    return {path.lstrip("/"): os.path.realpath(path) for path in paths}


def _named_libraries() -> dict[str, str]:
    """glibc's modules, from wherever the machine's own cat(1) finds its libc; and the loader."""
    base = _libraries(_find("cat") or "/bin/cat")
    libc = next((path for path in base if path.endswith("/libc.so.6")), None)
    if libc is None:
        return {}  # a machine without glibc: its static programs need no modules
    directory = os.path.dirname(libc)
    named = {f"{directory}/{name}": os.path.realpath(f"/{directory}/{name}") for name in LOADED_BY_NAME}
    return base | {inside: path for inside, path in named.items() if os.path.exists(path)}


def write_archive(images: tuple[Image, ...], path: str) -> None:
    """Write the images as one archive that ``docker load`` reads. Raises OSError."""
    manifest = []
    with tarfile.open(path, "w") as archive:
        for image in images:
            layer = _build_layer(image)
            digest = hashlib.sha256(layer).hexdigest()
            config = json.dumps(_config(image, digest)).encode()
            config_name = hashlib.sha256(config).hexdigest() + ".json"
            _add(archive, f"{digest}/layer.tar", layer)
            _add(archive, config_name, config)
            manifest.append({"Config": config_name, "RepoTags": list(image.tags), "Layers": [f"{digest}/layer.tar"]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _config(image: Image, digest: str) -> dict:
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": list(image.command), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "netkit, from this machine's packages"}],
    }


def _build_layer(image: Image) -> bytes:
    """The image's only layer as a tar archive: the same files give the same bytes."""
    buffer = io.BytesIO()
    directories = {"tmp", "root", "proc", "sys", "dev", "run", "var", "var/run", "etc"}
    for inside in (*image.files, *image.links):
        parts = inside.split("/")[:-1]
        directories |= {"/".join(parts[: end + 1]) for end in range(len(parts))}
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for name in sorted(directories):
            _add(layer, name, type=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        for inside, path in sorted(image.files.items()):
            with open(path, "rb") as file:
                _add(layer, inside, file.read(), mode=0o755)
        for inside, text in ETC.items():
            _add(layer, inside, text.encode())
        for inside, target in sorted(image.links.items()):
            _add(layer, inside, type=tarfile.SYMTYPE, mode=0o777, linkname=target)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes = b"", **more) -> None:
    """Add a file, or what ``more`` attributes of tarfile.TarInfo make of it."""
    member = tarfile.TarInfo(name)
    for attribute, value in {"size": len(content), **more}.items():
        setattr(member, attribute, value)
    archive.addfile(member, io.BytesIO(content))


FORMAT = 3  # of the seed directory; a change makes all seeds anew


@dataclass(frozen=True, slots=True)
class Seed:
    """A prepared store, or none: its directory, and the engine's version."""

    path: str | None = None
    version: str = ""


def ensure_seed(engine: Engine, open_maker: Callable[[str], OpenLab]) -> Seed:
    """The seed for this engine, made now if there is none yet (about two seconds).

    ``open_maker`` opens a throw-away lab of one node with this engine, without images, in which the file it is given can be read.
    Raises LabError, EngineError; a half-made seed is never left.
    """
    key = hashlib.sha256(f"{FORMAT} {engine.fingerprint} {fingerprint()}".encode()).hexdigest()[:24]
    cache = cache_dir()
    path = os.path.join(cache, "seeds", key)
    with contextlib.suppress(OSError):
        return _read_seed(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = os.open(os.path.join(cache, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(f"{cache} cannot be written ({error.strerror}): free it, or set XDG_CACHE_HOME to a place of your own") from None
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one maker of seeds at a time for each user
        try:
            return _read_seed(path)  # another process has just made it
        except OSError:
            return _make_seed(path, engine, open_maker)


def _read_seed(path: str) -> Seed:
    with open(f"{path}/seed.json", encoding="utf-8") as file:
        return Seed(path, json.load(file)["version"])


def _make_seed(path: str, engine: Engine, open_maker: Callable[[str], OpenLab]) -> Seed:
    if "docker" not in engine.commands:
        raise EngineError("the docker command is missing: `apt-get install docker.io` (or docker-cli) brings it")
    version, place = engine.read_version(), os.path.dirname(path)
    try:
        with tempfile.TemporaryDirectory(prefix="making-", dir=place, ignore_cleanup_errors=True) as work:
            archive, made = f"{work}/images.tar", f"{work}/seed"
            write_archive(describe_images(), archive)
            os.mkdir(made, 0o700)
            with open_maker(archive) as lab:
                node = lab["node1"]
                node.run(["docker", "load", "--input", archive])
                node.run([ENGINE_SERVICE, "stop"])  # cleanly: what it has stored is whole then
                for part in ("image", "overlay2"):
                    copy_tree(f"/proc/{node.pid}/root/var/lib/docker/{part}", f"{made}/{part}")
            with open(f"{made}/seed.json", "w", encoding="utf-8") as file:
                json.dump({"version": version, "dockerd": engine.dockerd}, file)
            os.rename(made, path)
    except OSError as error:
        raise LabError(f"the images could not be prepared in {place}: {error}; free some space there, or set XDG_CACHE_HOME") from None
    return Seed(path, version)
