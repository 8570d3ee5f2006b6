"""Typical mistakes in the exercises of notebook 03."""

from __future__ import annotations

PAGE = "busybox sh -c 'echo a page > /tmp/index.html; httpd -f -h /tmp'\n"
POD = "docker run -d --name pod -p 8081:80 busybox sleep infinity\n"
SIDECAR = "docker run -d --name sidecar --net=container:pod toolbox sleep infinity\n"
DEBUG = """docker rm -f debug
docker run -d --net=host --name debug busybox sh -c 'echo secrets > /tmp/index.html; httpd -f -p 127.0.0.1:9000 -h /tmp'
"""
STATS = "docker run -d --name stats --net=host busybox sh -c 'echo stats > /tmp/index.html; httpd -f -p 8093 -h /tmp'\n"
CABLE = "ip link add name eth0 netns alpha type veth peer name eth0 netns beta\n"
# exercise: {mistake: ((what of the solution, what instead), what the learner reads)}
ATTEMPTS = {
    "3.1": {
        "page publishes": ((POD, "docker run -d --name pod busybox sleep infinity\n"), "it is the stack's owner that publishes"),
        "page owns": ((POD + "docker run -d --name page --net=container:pod " + PAGE + SIDECAR, "docker run -d --name page -p 8081:80 " + PAGE
            + "docker run -d --name pod --net=container:page busybox sleep infinity\n" + SIDECAR.replace(":pod", ":page")), "pod is a guest of page"),
        "sidecar apart": ((SIDECAR, SIDECAR.replace(" --net=container:pod", "")), "It has a stack of its own"),
        "owner restarted": ((SIDECAR, SIDECAR + "docker restart -t 0 pod\n"), "left behind in an old stack"),
        "no sidecar": ((SIDECAR, ""), "The pod has a second member"),
        "another port": (("httpd -f -h /tmp", "httpd -f -p 8081 -h /tmp"), "on port 80 of it nobody serves the page"),
    },
    "3.2": {
        "in DOCKER-USER": ((DEBUG, "iptables -I DOCKER-USER -p tcp --dport 9000 -j DROP\n"), "Nothing is forwarded here"),
        "only outside": ((DEBUG, "iptables -I INPUT -s 192.168.59.254 -p tcp --dport 9000 -j DROP\n"), "names one visitor"),
        "node1 too": ((DEBUG, "iptables -I INPUT -p tcp --dport 9000 -j DROP\n"), "shut for node1, too"),
        "everything": ((DEBUG, "iptables -I INPUT -i eth0 -p tcp -j DROP\n"), "More is shut than the one port"),
        "bridge mode": ((DEBUG, DEBUG.replace("--net=host", "-p 127.0.0.1:9000:9000").replace("-p 127.0.0.1:9000 ", "-p 9000 ")), "has to stay in host mode"),
        "ended": ((DEBUG, "docker stop -t 0 debug\n"), "of no use"),
        "published on localhost": ((DEBUG, DEBUG.replace("-p 127.0.0.1:9000 ", "-p 9000 ").replace("--net=host", "--net=host -p 127.0.0.1:9000:9000")),
            "listens on all addresses"),
    },
    "3.3": {
        "a bridge between": ((CABLE, "ip link add br-x type bridge; ip link set br-x up\nfor n in alpha beta; do ip link add $n-port type veth peer name eth0 netns $n\n"
            "ip link set $n-port master br-x up; done\n"), "No bridge"),
        "by Docker": ((CABLE, "docker network create two; for n in alpha beta; do docker rm -f $n; docker run -d --net=two --name $n busybox sleep infinity; done\n"),
            "Docker has wired this one already"),
        "one end left": (("veth peer name eth0 netns beta", "veth peer name far"), "The other end belongs into beta"),
        "one end down": (("ip -n beta link set eth0 up\n", ""), "switched off, at either end"),
        "wrong prefix": (("10.5.5.2/30", "10.5.5.2/32"), "how much of the world"),
        "a gateway": (("ip -n beta link set eth0 up\n", "ip -n beta link set eth0 up\nip -n alpha route add default via 10.5.5.2\n"), "no gateway is needed"),
    },
    "3.4": {
        "started again": (("-p 81 ", "-p 80 "), "It has ended: ask `docker logs ads` why"),
        "the published number": (("-p 81 ", "-p 8092 "), "on which port does ads listen"),
        "ads in host mode": (("--name ads --net=container:shop", "--name ads --net=host"), "instead of a place in that of shop"),
        "stats in bridge mode": (("--name stats --net=host", "--name stats -p 8093:8093"), "has to stay in host mode"),
        "-p once more": ((STATS, STATS.replace("--net=host", "--net=host -p 8093:8000").replace("-p 8093 ", "-p 8000 ")), "In host mode nothing is mapped"),
        "shop restarted": ((STATS, STATS + "docker restart -t 0 shop\n"), "left behind in an old stack"),
    },
}  # fmt: skip
