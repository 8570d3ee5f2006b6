"""The ``netkit`` command: thin, every subcommand but ``start`` hands over to the room that does the work."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import sys
from collections.abc import Callable

import netkit
from netkit.errors import NetkitError

FIRST = "00-start-here.ipynb"
LOOPBACK = "127.0.0.1"


def main() -> None:
    """Run one netkit command and exit with its status; a user's mistake is one sentence and status 2."""
    # no sign that a locale or PYTHONIOENCODING lacks ends a command, as on Python's stderr; who asked for "ascii:replace" gets that
    if getattr(sys.stdout, "errors", None) in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:]
    dashes = words.index("--") if "--" in words else len(words)
    options = _build_parser().parse_args(words[:dashes])
    options.command = words[dashes + 1 :]
    try:
        if options.usage and not options.command:
            raise NetkitError(f"no command to run: {options.usage}")
        sys.exit(options.action(options))
    except NetkitError as error:
        print(f"netkit: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would complain once more at exit
        sys.exit(141)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="netkit", description="Labs of real machines with real Docker engines, made of namespaces.")
    parser.add_argument("--version", action="version", version=f"netkit {netkit.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int], what: str, usage: str | None = None) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=what, usage=usage)
        command.set_defaults(action=action, usage=usage)
        return command

    start = add("start", _start, "open JupyterLab on the notebooks")
    start.add_argument("--port", type=int, default=8888, help="the port on 127.0.0.1 (default 8888; the next free one if taken)")
    start.add_argument("--ip", default=LOOPBACK, help=f"the address to listen on, if not {LOOPBACK}: in a container or a virtual machine")
    start.add_argument("--no-browser", action="store_true", help="only print the address")
    start.add_argument("--notebooks", metavar="DIR", help="open the notebooks of this directory instead of the workshop's own")

    _add_lab_options(add("run", _run, "open a lab, run a command on node1, close the lab", "netkit run [options] -- COMMAND…"))

    shell = add("shell", _shell, "a shell on a node of an open lab, or of a throw-away one")
    shell.add_argument("node", nargs="?", default="node1", help="node1 (the default), node2, …, or outside")
    shell.add_argument("--lab", metavar="ID", help="the lab to enter, as `netkit ps` names it")
    # what JupyterLab's terminals are started with: only labs of their own server's notebooks count
    shell.add_argument("--of-server", action="store_true", help=argparse.SUPPRESS)
    _add_lab_options(shell)

    on = add("on", _on, "from inside a lab, run a command on another host", "netkit on NODE -- COMMAND…")
    on.add_argument("node")
    _add_looking(add)
    add("ps", _ps, "labs now open").add_argument("--json", action="store_true")

    doctor = add("doctor", _doctor, "what this machine can and cannot do, each with its remedy")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--engine", metavar="DIR", help="look at this engine instead of the installed one")
    return parser


def _add_looking(add: Callable[..., argparse.ArgumentParser]) -> None:
    topology = add("topology", _topology, "from inside a lab, its network as text, JSON or a picture")
    topology.add_argument("--format", metavar="FORMAT", help="text (the default), json, png or svg; FILE's ending tells, too")
    topology.add_argument("-o", "--output", metavar="FILE", help="where to write it (standard output without)")
    topology.add_argument("--node", help="only this host")
    topology.add_argument("--focus", action="append", default=[], metavar="CONTAINER", help="only this container and what it is joined to")
    topology.add_argument(
        "--show", default="addresses", metavar="WHAT,…", help="addresses (the default), macs, rules, routes …; all for all"
    )
    trace = add("trace", _trace, "from inside a lab, run a command and show the way its packets took", "netkit trace [options] -- COMMAND…")
    trace.add_argument("--node", help="the host to run it on (the caller's own unless told)")
    trace.add_argument("--times", action="store_true", help="with µs since the command began")
    trace.add_argument("--rules", action="store_true", help="with every rule of the packet filter that the packets met")
    trace.add_argument("--pcapng", metavar="FILE", help="also write what was captured, for Wireshark")
    trace.add_argument("-o", "--output", metavar="FILE", help="also draw it: a PNG or SVG file")


def _add_lab_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="how many nodes the lab has (default 2)")
    parser.add_argument("--engine", metavar="DIR", help="a directory that holds another Docker engine than the installed one")
    parser.add_argument("--mode", choices=("user", "root"), help="whose identities the lab has (chosen by who calls)")


def _start(options: argparse.Namespace) -> int:
    """Become JupyterLab, with its token, on the workshop's notebooks or those of another directory, its terminals in the lab.

    Nothing here weakens its token or its origin checks. Raises NetkitError for a bad port or address, and for a directory that is none.
    """
    try:
        ipaddress.ip_address(options.ip)
    except ValueError:
        raise NetkitError(f"{options.ip!r} is no IP address to listen on: leave --ip out, and it is {LOOPBACK}") from None
    if not 0 < options.port < 65536:
        raise NetkitError(f"{options.port} is no port: use one from 1 to 65535")
    notebooks = os.path.abspath(options.notebooks) if options.notebooks else _find_notebooks()
    if not os.path.isdir(notebooks):
        raise NetkitError(f"{notebooks} is no directory: name one that holds notebooks, or leave --notebooks out")
    # -P: both work among a learner's files, and a learner's json.py is none of their own
    python = [sys.executable, "-P", "-m"]
    argv = [
        *(*python, "jupyterlab", f"--ServerApp.ip={options.ip}", f"--ServerApp.port={options.port}", f"--ServerApp.root_dir={notebooks}"),
        # wherever it listens: requests are for the loopback address a person sees, or they are refused
        "--ServerApp.allow_remote_access=False",
        f"--ServerApp.terminado_settings={{'shell_command': {[*python, 'netkit', 'shell', '--of-server']!r}}}",
        "--MultiKernelManager.default_kernel_name=netkit",
        *([f"--LabApp.default_url=/lab/tree/{FIRST}"] if os.path.exists(os.path.join(notebooks, FIRST)) else []),
        *(["--no-browser"] if options.no_browser else []),
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]
    os.chdir(notebooks)  # where terminals start
    netkit.put_workplace_last()
    os.execv(argv[0], argv)


def _find_notebooks() -> str:
    """The directory with the notebooks: beside the package, else below the working directory."""
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "notebooks")
    for place in (beside, os.path.join(os.getcwd(), "notebooks")):
        if os.path.exists(os.path.join(place, FIRST)):
            return place
    return os.getcwd()


def _run(options: argparse.Namespace) -> int:
    from netkit.labs import open_wanted_lab

    with open_wanted_lab(options.nodes, mode=options.mode, engine=options.engine, label="run") as lab:
        return lab["node1"].call(options.command)


def _on(options: argparse.Namespace) -> int:
    return netkit.lab()[options.node].call(options.command)


def _shell(options: argparse.Namespace) -> int:
    from netkit.labs import enter_shell

    return enter_shell(options)


def _topology(options: argparse.Namespace) -> int:
    from netkit.figure.draw import choose_format, export, write_output

    form = choose_format(options.format, options.output)
    show = tuple(word for word in options.show.split(",") if word)
    write_output(export(netkit.capture(), form, show=show, node=options.node, focus=options.focus), form, options.output)
    return 0


def _trace(options: argparse.Namespace) -> int:
    from netkit.tracing.run import run_trace

    return run_trace(options.command, options)


def _ps(options: argparse.Namespace) -> int:
    from netkit.labs import describe_labs

    rows = describe_labs()
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'LAB':<10}{'MODE':<6}{'ENGINE':<12}{'OPEN':<9}{'PID':<9}{'FOR':<28}HOSTS")
    for row in rows:
        hosts = " ".join(name if state == "ready" else f"{name}({state})" for name, state in row["hosts"].items())
        age = f"{row['seconds'] // 60}m{row['seconds'] % 60:02}s"
        print(f"{row['id']:<10}{row['mode']:<6}{row['engine']:<12}{age:<9}{row['pid']:<9}{row['label'] or '-':<28.27}{hosts}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from netkit.operator import doctor

    findings = doctor.examine(options.engine)
    print(doctor.to_json(findings) if options.json else doctor.to_text(findings))
    return 0 if doctor.can_open(findings) else 1
