"""The exercises of notebook 02: a gate between two networks, one cable cut, a link replaced, and two faults behind each other."""

from __future__ import annotations

from netkit.exercises import judges_02 as judges
from netkit.exercises import wiring
from netkit.exercises.model import Exercise, Probe

GATE = Exercise(
    "2.1",
    "a gate between two networks",
    (
        judges.has_bridge_networks("street", "court"),
        judges.runs("www", "ledger", "gate"),
        wiring.is_in("www", "street"),
        wiring.is_in("ledger", "court"),
        wiring.is_in("gate", "street", "court"),
        judges.leads_out_by("gate", "street"),
        wiring.reaches("gate www", "www answers gate, by its name", "Look at both ends of www's cable.", "`netkit.capture('node1')`"),
        wiring.reaches(
            "gate ledger", "ledger answers gate, by its name", "Look at both ends of ledger's cable.", "`netkit.capture('node1')`"
        ),
        judges.stays_apart("www ledger", "no answer for www from ledger"),
    ),
    {
        "gate www": judges.ping_by("gate", "www"),
        "gate ledger": judges.ping_by("gate", "ledger"),
        "www ledger": Probe(
            "node1",
            "docker exec www ping -c 1 -W 1 $(docker inspect -f '{{.NetworkSettings.Networks.court.IPAddress}}' ledger)",
        ),
    },
)

CUT = Exercise(
    "2.2",
    "cut one cable",
    (judges.runs(*judges.ANIMALS), judges.all_connected(), judges.bridges_work(), judges.one_is_cut(("bee", "west"))),
)

UNLINK = Exercise(
    "2.3",
    "get rid of a link",
    (
        judges.runs("till", "store"),
        judges.has_no_link("till"),
        judges.share_network("till", "store"),
        judges.has_alias("store", "till", "database"),
        judges.was_recreated(),
    ),
    {
        "links": Probe("node1", "docker inspect -f '{{range .HostConfig.Links}}{{println .}}{{end}}' till"),
        "hosts": Probe("node1", "docker exec till grep -qwE 'database|store' /etc/hosts"),
        "page": Probe("node1", "docker exec till curl -s --max-time 2 http://database:5432/"),
        "order": Probe(
            "node1",
            "started() { date -d $(docker inspect -f '{{.State.StartedAt}}' $1) +%s%N; }; [ $(started till) -lt $(started store) ]",
        ),
    },
)

REPAIR = Exercise(
    "2.4",
    "why does it not work?",
    (
        judges.runs("clerk", "depot"),
        judges.kept("clerk", "depot"),
        judges.share_network("clerk", "depot"),
        judges.is_plugged_where_docker_says("depot", "clerk"),
        wiring.reaches(
            "page",
            "clerk gets http://depot/",
            "The endpoints are right now. Does clerk get an address for the name, and is it the right one?",
            "`docker exec clerk dig +short depot`",
        ),
    ),
    {
        "note clerk": Probe("node1", "docker exec clerk cat /dev/shm/note && [ $(docker exec clerk cat /dev/shm/note) = kept ]"),
        "note depot": Probe("node1", "docker exec depot cat /dev/shm/note && [ $(docker exec depot cat /dev/shm/note) = kept ]"),
        "page": Probe("node1", "docker exec clerk curl -sf --max-time 2 http://depot/"),
    },
)

EXERCISES: tuple[Exercise, ...] = (GATE, CUT, UNLINK, REPAIR)
