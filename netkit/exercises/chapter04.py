"""The exercises of notebook 04: networks of one's own, their walls, their addresses, and a machine of the LAN."""

from __future__ import annotations

from netkit.exercises import judges_04 as judges
from netkit.exercises import wiring
from netkit.exercises.model import Exercise, Probe

THREE = Exercise(
    "4.1",
    "three, and a wall",
    (
        judges.has_network("shop"),
        judges.has_network("bank"),
        wiring.is_in("customer", "shop"),
        wiring.is_in("till", "bank", "shop"),
        wiring.is_in("vault", "bank"),
        wiring.reaches(
            "customer till",
            "an answer for customer from till.shop",
            "The networks are right. Does till answer at all?",
            "`docker restart till`",
        ),
        wiring.reaches(
            "vault till", "an answer for vault from till.bank", "The networks are right. Does till answer at all?", "`docker restart till`"
        ),
        judges.is_walled_off(),
    ),
    {
        "customer till": judges.ping("customer", "till.shop"),
        "vault till": judges.ping("vault", "till.bank"),
        "customer vault": judges.ping("customer", "$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' vault)"),
    },
)

TIERS = Exercise(
    "4.2",
    "an application in three tiers",
    (
        judges.has_network("front"),
        judges.has_network("data"),
        judges.is_internal("data"),
        judges.has_subnet("data", "10.88.0.0/24"),
        wiring.is_in("db", "data"),
        judges.has_endpoint_address("db", "data", "10.88.0.10"),
        wiring.is_in("proxy", "data", "front"),
        wiring.reaches(
            "database",
            "an answer for proxy from the name database",
            "The container is found as db. A second name is an alias of its endpoint in data.",
            "`docker network disconnect data db`, then `docker network connect --ip 10.88.0.10 --alias database data db`",
        ),
        judges.publishes("proxy", 8080),
        wiring.reaches(
            "page",
            "a page for outside at port 8080 of node1",
            "The port leads to proxy, but nobody there gives an answer: does a web server listen on port 80, and is front a network with a way out?",
            "`docker exec proxy netstat -ltn`; `docker network inspect front -f '{{.Internal}}'`",
        ),
    ),
    {
        "database": Probe(
            "node1",
            "docker exec proxy nslookup database 127.0.0.11 | grep -q 'Address.*10.88.0.10$' && docker exec proxy ping -c 1 -W 1 database",
            4,
        ),
        "page": judges.page("outside", "http://192.168.59.1:8080/"),
    },
)

CLASH = Exercise(
    "4.3",
    "why does it not work?",
    (
        judges.has_network("office"),
        judges.keeps_off_the_lan("office"),
        wiring.is_in("files", "office"),
        wiring.is_in("site", "office"),
        wiring.reaches(
            "name",
            "an answer for site from the name files",
            "Both are in the network, but the name is not known: what are the containers called?",
            "`docker ps`; `docker exec site nslookup files 127.0.0.11`",
        ),
        wiring.reaches(
            "way out",
            "an answer for node1 from outside",
            "The network is out of the way, but node1's own route to the LAN is not as it was.",
            f"`ip route get {judges.OUTSIDE}` should say: dev eth0",
        ),
        judges.publishes("site", 8082),
        wiring.reaches(
            "page",
            "a page for outside at port 8082 of node1",
            "The network is out of the way. Does site still serve its page?",
            "`docker exec site netstat -ltn`",
        ),
    ),
    {
        "name": judges.ping("site", "files"),
        "way out": Probe("node1", f"ping -c 1 -W 1 {judges.OUTSIDE}", 3),
        "page": judges.page("outside", "http://192.168.59.1:8082/"),
    },
)

MACHINE = Exercise(
    "4.4",
    "a machine of the LAN, for node1 as well",
    (
        judges.has_network("lan", "macvlan"),
        wiring.is_in("printer", "lan"),
        judges.has_endpoint_address("printer", "lan", "192.168.59.50"),
        judges.owns_its_address("printer"),
        wiring.reaches(
            "outside",
            "the page for outside, at 192.168.59.50",
            "The address is there, but no page: on which of node1's interfaces does the macvlan sit, and does a web server listen?",
            "`docker network inspect lan -f '{{.Options}}'` should have parent:eth0; `docker exec printer netstat -ltn`",
        ),
        judges.node1_reaches(),
        wiring.reaches(
            "lan",
            "an answer for node1 from outside",
            "node1 reaches printer, but the rest of the LAN no longer: your route is about more than one address.",
            "Only 192.168.59.50/32 belongs on the new interface; an address there has to be a /32 too.",
        ),
    ),
    {
        "outside": judges.page("outside", "http://192.168.59.50/"),
        "node1": judges.page("node1", "http://192.168.59.50/"),
        "lan": Probe("node1", f"ping -c 1 -W 1 {judges.OUTSIDE}", 3),
    },
)

EXERCISES: tuple[Exercise, ...] = (THREE, TIERS, CLASH, MACHINE)
