"""The ``netkit`` command: thin, every subcommand hands over to the room that does the work."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from netkit import __version__
from netkit.errors import NetkitError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one netkit command and exit with its status; a user's mistake is one sentence and status 2."""
    # no sign that a locale or PYTHONIOENCODING lacks ends a command, as on Python's stderr; who asked for "ascii:replace" gets that
    if getattr(sys.stdout, "errors", None) in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    dashes = words.index("--") if "--" in words else len(words)
    options = _build_parser().parse_args(words[:dashes])
    options.command = words[dashes + 1 :]
    try:
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
    parser.add_argument("--version", action="version", version=f"netkit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int], what: str, usage: str | None = None) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=what, usage=usage)
        command.set_defaults(action=action)
        return command

    start = add("start", _start, "open JupyterLab on the notebooks")
    start.add_argument("--port", type=int, default=8888, help="the port on 127.0.0.1 (default 8888; the next free one if taken)")
    start.add_argument("--ip", default="127.0.0.1", help="the address to listen on, if not 127.0.0.1: in a container or a virtual machine")
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
    _add_looking_options(
        add("topology", _topology, "from inside a lab, its network as text, JSON or a picture"),
        add("trace", _trace, "from inside a lab, run a command and show the way its packets took", "netkit trace [options] -- COMMAND…"),
    )
    add("ps", _ps, "labs now open").add_argument("--json", action="store_true")

    doctor = add("doctor", _doctor, "what this machine can and cannot do, each with its remedy")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--engine", metavar="DIR", help="look at this engine instead of the installed one")
    return parser


def _add_looking_options(topology: argparse.ArgumentParser, trace: argparse.ArgumentParser) -> None:
    topology.add_argument("--format", metavar="FORMAT", help="text (the default), json, png or svg; FILE's ending tells, too")
    topology.add_argument("-o", "--output", metavar="FILE", help="where to write it (standard output without)")
    topology.add_argument("--node", help="only this host")
    topology.add_argument("--focus", action="append", default=[], metavar="CONTAINER", help="only this container and what it is joined to")
    what = "addresses (the default), macs, rules, routes …; all for all"
    topology.add_argument("--show", default="addresses", metavar="WHAT,…", help=what)
    trace.add_argument("--node", help="the host to run it on (the caller's own unless told)")
    trace.add_argument("--times", action="store_true", help="with µs since the command began")
    trace.add_argument("--rules", action="store_true", help="with every rule of the packet filter that the packets met")
    trace.add_argument("--pcapng", metavar="FILE", help="also write what was captured, for Wireshark")
    trace.add_argument("-o", "--output", metavar="FILE", help="also draw it: a PNG or SVG file")


def _add_lab_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="how many nodes the lab has (default 2)")
    parser.add_argument("--engine", metavar="DIR", help="a directory that holds another Docker engine than the installed one")
    parser.add_argument("--mode", choices=("user", "root"), help="whose identities the lab has (chosen by who calls)")


def _need_command(options: argparse.Namespace, usage: str) -> list[str]:
    if not options.command:
        raise NetkitError(f"no command to run: {usage}")
    return options.command


def _start(options: argparse.Namespace) -> int:
    from netkit.server import start_server

    return start_server(options.port, not options.no_browser, options.notebooks, options.ip)


def _run(options: argparse.Namespace) -> int:
    from netkit.labs import open_wanted_lab

    command = _need_command(options, "netkit run [--nodes N] [--engine DIR] -- COMMAND…")
    with open_wanted_lab(options.nodes, mode=options.mode, engine=options.engine, label="run") as lab:
        return lab["node1"].call(command)


def _on(options: argparse.Namespace) -> int:
    from netkit.labs import current_lab

    command = _need_command(options, "netkit on NODE -- COMMAND…")
    return current_lab()[options.node].call(command)


def _shell(options: argparse.Namespace) -> int:
    from netkit.labs import enter_shell

    return enter_shell(options)


def _topology(options: argparse.Namespace) -> int:
    from netkit.figure.draw import choose_format, export, write_output
    from netkit.network.capture import capture

    form = choose_format(options.format, options.output)
    show = tuple(word for word in options.show.split(",") if word)
    write_output(export(capture(), form, show=show, node=options.node, focus=options.focus), form, options.output)
    return 0


def _trace(options: argparse.Namespace) -> int:
    from netkit.tracing.run import run_trace

    command = _need_command(options, "netkit trace [--node NODE] -- COMMAND…")
    return run_trace(command, options)


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
