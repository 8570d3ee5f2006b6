"""The ``netkit`` command: thin, every subcommand hands over to the room that does the work."""

from __future__ import annotations

import argparse
import codecs
import json
import os
import sys
from collections.abc import Sequence

from netkit import __version__
from netkit.errors import NetkitError

# how the signs that netkit writes are written where there are none of them
IN_ASCII = {
    **{"✓": "+", "✗": "x", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "←": "<-", "↔": "<->", "µ": "u", "·": ".", "×": "x"},
    **{"□": "[]", "≥": ">=", "≤": "<=", "²": "2", "³": "3"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one netkit command and exit with its status; a user's mistake is one sentence and status 2."""
    _write_whatever_comes()
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _build_parser()
    options = parser.parse_args(_before_dashes(words))
    options.command = _after_dashes(words)
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


def _write_whatever_comes() -> None:
    """Let no sign that a locale or PYTHONIOENCODING lacks end a command: it is written in another way."""
    codecs.register_error("netkit", write_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # what Python chooses by itself; who asked for something else, as "ascii:replace", gets that
        if getattr(stream, "errors", None) in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors="netkit")


def write_in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """How the first sign that could not be encoded is written instead, and where to go on (``codecs.register_error``).

    Netkit's own signs have a likeness. A byte of a file name that could not be decoded (``os.fsdecode``) is that byte again,
    and the rest is escaped as in JSON, so that JSON stays JSON. Raises ``error`` if it is not about encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    return IN_ASCII.get(sign) or json.dumps(sign)[1:-1], error.start + 1


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _after_dashes(words: list[str]) -> list[str]:
    return words[words.index("--") + 1 :] if "--" in words else []


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="netkit", description="Labs of real machines with real Docker engines, made of namespaces.")
    parser.add_argument("--version", action="version", version=f"netkit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    start = commands.add_parser("start", help="open JupyterLab on the notebooks")
    start.add_argument("--port", type=int, default=8888, help="the port on 127.0.0.1 (default 8888; the next free one if taken)")
    start.add_argument("--ip", default="127.0.0.1", help="the address to listen on, if not 127.0.0.1: in a container or a virtual machine")
    start.add_argument("--no-browser", action="store_true", help="only print the address")
    start.add_argument("--notebooks", metavar="DIR", help="open the notebooks of this directory instead of the workshop's own")
    start.set_defaults(action=_start)

    run = commands.add_parser("run", help="open a lab, run a command on node1, close the lab", usage="netkit run [options] -- COMMAND…")
    _add_lab_options(run)
    run.set_defaults(action=_run)

    shell = commands.add_parser("shell", help="a shell on a node of an open lab, or of a throw-away one")
    shell.add_argument("node", nargs="?", default="node1", help="node1 (the default), node2, …, or outside")
    shell.add_argument("--lab", metavar="ID", help="the lab to enter, as `netkit ps` names it")
    # what JupyterLab's terminals are started with: only labs of their own server's notebooks count
    shell.add_argument("--of-server", action="store_true", help=argparse.SUPPRESS)
    _add_lab_options(shell)
    shell.set_defaults(action=_shell)

    on = commands.add_parser("on", help="from inside a lab, run a command on another host", usage="netkit on NODE -- COMMAND…")
    on.add_argument("node")
    on.set_defaults(action=_on)

    topology = commands.add_parser("topology", help="from inside a lab, its network as text, JSON or a picture")
    topology.add_argument("--format", default=None, metavar="FORMAT", help="text (the default), json, png or svg; FILE's ending tells, too")
    topology.add_argument("-o", "--output", metavar="FILE", help="where to write it (standard output without)")
    topology.add_argument("--node", help="only this host")
    topology.add_argument("--focus", action="append", default=[], metavar="CONTAINER", help="only this container and what it is joined to")
    topology.add_argument(
        "--show", default="addresses", metavar="WHAT,…", help="addresses (the default), macs, rules, routes …; all for all"
    )
    topology.set_defaults(action=_topology)

    trace = commands.add_parser(
        "trace", help="from inside a lab, run a command and show the way its packets took", usage="netkit trace [options] -- COMMAND…"
    )
    trace.add_argument("--node", help="the host to run it on (the caller's own unless told)")
    trace.add_argument("--times", action="store_true", help="with µs since the command began")
    trace.add_argument("--rules", action="store_true", help="with every rule of the packet filter that the packets met")
    trace.add_argument("--pcapng", metavar="FILE", help="also write what was captured, for Wireshark")
    trace.add_argument("-o", "--output", metavar="FILE", help="also draw it: a PNG or SVG file")
    trace.set_defaults(action=_trace)

    ps = commands.add_parser("ps", help="labs now open")
    ps.add_argument("--json", action="store_true")
    ps.set_defaults(action=_ps)

    doctor = commands.add_parser("doctor", help="what this machine can and cannot do, each with its remedy")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--engine", metavar="DIR", help="look at this engine instead of the installed one")
    doctor.set_defaults(action=_doctor)
    return parser


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
    from netkit.laboratory.current import open_wanted_lab

    command = _need_command(options, "netkit run [--nodes N] [--engine DIR] -- COMMAND…")
    with open_wanted_lab(options.nodes, mode=options.mode, engine=options.engine, label="run") as lab:
        return lab["node1"].call(command)


def _on(options: argparse.Namespace) -> int:
    from netkit.laboratory.current import current_lab

    command = _need_command(options, "netkit on NODE -- COMMAND…")
    return current_lab()[options.node].call(command)


def _shell(options: argparse.Namespace) -> int:
    from netkit.shells import enter_shell

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
    from netkit.laboratory.discover import describe_labs

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
