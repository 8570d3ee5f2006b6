"""Typical mistakes in the exercises of notebook 02."""

from __future__ import annotations

CONNECT = "docker network connect court gate\n"
ADDRESS = "{{.NetworkSettings.Networks.west.IPAddress}}' bee"
DOWN = "ip link set $veth down"
TILL = "docker run -d --name till --network shopping toolbox sleep 3600\n"
SERVE = "busybox sh -c 'echo new stock > /tmp/index.html; httpd -f -p 5432 -h /tmp'\n"
STORE = f"docker run -d --name store --network shopping --network-alias database {SERVE}"
AGAIN = "docker network disconnect office depot\ndocker network connect office depot\n"
# exercise: {mistake: ((what of the solution, what instead), what the learner reads)}
ATTEMPTS: dict[str, dict] = {
    "2.1": {
        "no second network": (("docker network create --internal court\n", ""), "a network is there before its containers"),
        "gate in one network": ((CONNECT, ""), "gate needs an endpoint in court as well"),
        "everybody everywhere": ((CONNECT, CONNECT + "docker network connect court www\n"), "www has an endpoint too many"),
        "moved, not joined": ((CONNECT, CONNECT + "docker network disconnect street gate\n"), "gate needs an endpoint in street as well"),
        "way out by the alphabet": (("create --internal court", "create court"), "the first in the alphabet"),
        "gate not running": ((CONNECT, CONNECT + "docker stop -t0 gate\n"), "a sandbox only while it runs"),
    },
    "2.2": {
        "the other network": ((ADDRESS, ADDRESS.replace("west", "east")), "The right container, the other network"),
        "somebody else's": (("bee", "ant"), "Somebody else's cable"),
        "container's end": ((DOWN, "nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' bee) ip link set $device down"), "A cable has two ends"),
        "disconnected": ((DOWN, "docker network disconnect west bee"), "a broken cable is still a cable"),
        "whole bridge": ((DOWN, "ip link set $(basename $(readlink /sys/class/net/$veth/master)) down"), "That is the whole switch"),
        "unplugged": ((DOWN, "ip link set $veth nomaster"), "Leave the plug where it is"),
        "too many": ((DOWN, "for each in $(ls /sys/class/net | grep veth); do ip link set $each down; done"), "More than one cable is broken"),
        "nothing": ((DOWN, "true"), "Which veth on node1 has the number"),
    },
    "2.3": {
        "link kept": (("docker rm -f till store\n", "docker rm -f store\n"), "It still depends on one certain container"),
        "entry in a file": ((TILL, TILL.replace("toolbox", "--add-host database:172.18.0.3 toolbox")), "nobody corrects it"),
        "both on docker0": (("docker network create shopping\n" + TILL + STORE, "docker run -d --name till toolbox sleep 3600; docker run -d --name store " + SERVE),
            "nobody answers questions for names"),
        "two networks": (("docker run -d --name store --network shopping", "docker network create other; docker run -d --name store --network other"), "have no network in common"),
        "link inside the network": ((TILL + STORE, TILL.replace("toolbox", "--link store:database toolbox") + STORE.replace("--network-alias database ", "")),
            "an alias for one container alone"),
        "alias forgotten": (("--network-alias database ", ""), "given again whenever"),
        "old page": (("new stock", "old stock"), "a page that says"),
        "till started last": ((STORE, STORE + "docker restart -t0 till\n"), "The proof is missing"),
    },
    "2.4": {
        "not in its network": (("docker network connect office clerk\n" + AGAIN, ""), "clerk and depot have no network in common"),
        "both on docker0": (("docker network connect office clerk\n" + AGAIN, "docker network connect bridge depot\n"), "nobody answers questions for names"),
        "only the first reason": ((AGAIN, ""), "Into which bridge is node1's end"),
        "restarted": ((AGAIN, "docker restart -t0 clerk\n"), "clerk was restarted or recreated"),
        "depot recreated": ((AGAIN, "docker rm -f depot; docker run -d --name depot --network office toolbox sh -c 'echo full > /tmp/index.html; busybox httpd -f -h /tmp'\n"),
            "depot was restarted or recreated"),
    },
}  # fmt: skip
