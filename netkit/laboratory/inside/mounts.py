"""What a host of the lab sees of the file system.

Every host shares the machine's files as its caller may read and write them, except for the places
where an engine, a shell or a vandal would meet the machine itself: those are the host's own, on one
tmpfs of bounded size that disappears with the mount namespace.
"""

from __future__ import annotations

import contextlib
import os

from netkit.laboratory.inside import syscalls as sc

BIN = "/run/netkit-bin"  # first on the PATH of every host
SHARED = "/run/netkit"  # the lab's own directory, the same on every host
PRIVATE = ("/tmp", "/dev/shm", "/run")  # empty at start
LAYERED = ("/etc", "/var/lib")  # the machine's, with changes kept apart
HOST_SIZE = 1 << 30  # bytes of a host's own tmpfs, at most
WORKPLACES = (*PRIVATE, "/var/lib")  # where a kept path is the machine's own, written to for good


def is_inside() -> bool:
    """Whether this process lives in a lab."""
    return os.path.exists(SHARED + "/lab.json")


def make_private() -> None:
    """Cut mount propagation, so that nothing mounted from here on is seen outside."""
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_PRIVATE)


def open_kept(paths: list[str], hidden: tuple[str, ...] = WORKPLACES) -> dict[str, int]:
    """Open those of ``paths`` that are about to be hidden below ``hidden``, so that they can be put back.

    A path through a symbolic link is put back as what it leads to, beside that itself: programs use the names they were given.
    Returns path → O_PATH descriptor, outermost first.
    """
    kept: dict[str, int] = {}
    for path in sorted({*map(os.path.abspath, paths), *map(os.path.realpath, paths)}):
        under = path in hidden or any(path.startswith(place + "/") for place in hidden)
        covered = any(path.startswith(other + "/") for other in kept)
        if under and not covered and os.path.exists(path):
            kept[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return kept


def bind_kept(kept: dict[str, int]) -> None:
    """Put the paths of :func:`open_kept` back where they were, and close their descriptors."""
    for path, fd in kept.items():
        source = f"/proc/self/fd/{fd}"
        if os.path.isdir(source):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        sc.mount(source, path, None, sc.MS_BIND | sc.MS_REC)
        os.close(fd)


def write_file(path: str, text: str) -> None:
    """Write a small file and its missing parent directories; a script can be executed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755 if text.startswith("#!") else 0o644)


def replace_file(path: str, text: str) -> None:
    """Exchange what a small file says: who reads it meanwhile reads the old text or the new one, whole (rename(2)).

    Where the new one cannot be written there is no file afterwards: an old state would be a lie.
    """
    try:
        write_file(f"{path}.new", text)
        os.rename(f"{path}.new", path)
    except OSError:
        for name in (f"{path}.new", path):
            with contextlib.suppress(OSError):
                os.unlink(name)
        raise


def build_root(hostname: str, files: dict[str, str], keep: list[str]) -> None:
    """Give the calling process, alone in a new mount namespace, the file system of a lab's host.

    ``files`` (path → text) are written below /etc and /run, ``keep`` are paths that stay visible even under
    a hidden place. Raises OSError.
    """
    make_private()
    kept = open_kept(keep)
    tmp = kept.pop("/tmp", None)
    shared = os.open(SHARED, os.O_PATH | os.O_CLOEXEC)
    store = "/run"  # any directory every machine has; it is covered by the host's own /run at the end
    sc.mount("tmpfs", store, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, f"size={HOST_SIZE},nr_inodes=400k,mode=755")
    os.mkdir(f"{store}/run")
    for place in LAYERED:
        _layer(place, f"{store}/layers{place}", {path: text for path, text in files.items() if path.startswith(place + "/")})
    # /etc/docker, /var/lib/docker: not only layered but empty, as the machine's own engine keeps its settings and data there
    own = {"/etc/docker": 0o755, "/var/lib/docker": 0o710, "/tmp": 0o1777, "/dev/shm": 0o1777, "/run": 0o755}
    if tmp is not None:
        os.close(tmp)  # whoever works there has the machine's own
        del own["/tmp"]
    if not os.path.isdir("/dev/shm"):  # as in some containers
        del own["/dev/shm"]
    for place, mode in own.items():
        os.makedirs(store + place, exist_ok=True)
        os.chmod(store + place, mode)
        sc.mount(store + place, place, None, sc.MS_BIND | sc.MS_REC)
    os.makedirs("/run/lock", exist_ok=True)
    os.makedirs(SHARED, exist_ok=True)
    sc.mount(f"/proc/self/fd/{shared}", SHARED, None, sc.MS_BIND | sc.MS_REC)
    os.close(shared)
    bind_kept(kept)
    for path, text in files.items():
        if path.startswith("/run/"):
            write_file(path, text)
    _mount_kernel_views()
    sc.sethostname(hostname)


def _layer(place: str, store: str, files: dict[str, str]) -> None:
    """Lay a writable layer over a directory of the machine (overlayfs; user xattrs: Linux 5.11)."""
    upper, work = store + "/upper", store + "/work"
    os.makedirs(work)
    os.makedirs(upper + "/docker")
    for path, text in files.items():
        write_file(upper + path[len(place) :], text)
    try:
        sc.mount("overlay", place, "overlay", 0, f"lowerdir={place},upperdir={upper},workdir={work},userxattr")
    except OSError:
        # the kernel refuses a lower directory with mounts in it (clone_private_mount(), fs/namespace.c):
        # /etc in every container, /var/lib where an engine of the machine runs
        _link_farm(place, upper)


def _link_farm(place: str, upper: str) -> None:
    """Cover a directory with links into the original, which stays reachable below /run/machine, read-only.

    What ``upper`` holds already comes first; directories it shares with the original are merged.
    """
    original = f"/run/run/machine{place}"  # /run/run is /run in a moment
    os.makedirs(original)
    if not os.path.lexists("/run/run/machine/usr"):
        os.symlink("/usr", "/run/run/machine/usr")  # where relative links out of the directory lead
    sc.mount(place, original, None, sc.MS_BIND | sc.MS_REC)
    sc.set_readonly(original)
    _link_entries(original, upper)
    sc.mount(upper, place, None, sc.MS_BIND)


def _link_entries(original: str, upper: str) -> None:
    for entry in os.scandir(original):
        here = f"{upper}/{entry.name}"
        if not os.path.lexists(here):
            target = os.readlink(entry.path) if entry.is_symlink() else entry.path.removeprefix("/run")
            os.symlink(target, here)
        elif entry.is_dir() and os.path.isdir(here) and entry.name != "docker":
            _link_entries(entry.path, here)


def _mount_kernel_views() -> None:
    """/proc, /sys and /dev/pts of this host's own namespaces; control groups to look at only."""
    flags = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC
    sc.mount("proc", "/proc", "proc", flags)
    groups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_CLOEXEC) if os.path.isdir("/sys/fs/cgroup") else None
    try:
        sc.mount("sysfs", "/sys", "sysfs", flags)
    except PermissionError:
        # to look at only where the machine's own is, as in a container without --privileged: the kernel lets nobody uncover in a
        # new mount what an old one keeps (mount_too_revealing(), fs/namespace.c)
        sc.mount("sysfs", "/sys", "sysfs", flags | sc.MS_RDONLY)
    if groups is not None:
        # runc's rootless manager may not, and must not, create groups that would outlive the lab
        sc.mount(f"/proc/self/fd/{groups}", "/sys/fs/cgroup", None, sc.MS_BIND | sc.MS_REC)
        sc.set_readonly("/sys/fs/cgroup")
        os.close(groups)
    if os.path.isdir("/sys/kernel/security"):
        # hides AppArmor's files: dockerd would load docker-default into the machine's kernel
        sc.mount("tmpfs", "/sys/kernel/security", "tmpfs", sc.MS_RDONLY, "size=4k")
    sc.mount("devpts", "/dev/pts", "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
