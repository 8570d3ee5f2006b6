"""Typical mistakes in the exercises of notebook 01; 1.1 is solved in it step by step, so its solution is here once more."""

from __future__ import annotations

SOLUTIONS = {
    "1.1": """docker run -itd --net=none --name hand busybox sh
pid=$(docker inspect -f '{{.State.Pid}}' hand); mkdir -p /run/netns; ln -s /proc/$pid/ns/net /run/netns/hand
ip link add A type veth peer name B
ip link set A master docker0
ip link set A up
ip link set B netns hand
ip -n hand link set B name eth0
ip -n hand link set eth0 up
ip -n hand addr add 172.17.42.1/16 dev eth0
ip -n hand route add default via 172.17.0.1
""",
}
NAT = "iptables -t nat -A POSTROUTING -s 10.42.0.0/24 ! -o br-mine -j MASQUERADE\n"
RULE = "iptables -I DOCKER-USER -s 192.168.59.254 -p tcp -m conntrack --ctorigdstport 8080 -j DROP\n"
# exercise: {mistake: ((what of the solution, what instead), what the learner reads)}
ATTEMPTS = {
    "1.1": {
        "docker wires it": (("--net=none", ""), "Docker has wired this one already"),
        "both ends stay on node1": (("ip link set B netns hand\nip -n hand link set B name eth0\nip -n hand link set eth0 up\n"
            "ip -n hand addr add 172.17.42.1/16 dev eth0\nip -n hand route add default via 172.17.0.1\n", "true\n"), "both its ends are still on node1"),
        "not renamed": (("ip -n hand link set B name eth0\nip -n hand link set eth0 up\nip -n hand addr add 172.17.42.1/16 dev eth0\n"
            "ip -n hand route add default via 172.17.0.1\n", "ip -n hand link set B up\n"), "not under the name eth0"),
        "not plugged in": (("ip link set A master docker0\n", ""), "plug it into docker0"),
        "host end down": (("ip link set A up\n", ""), "A on node1 is down"),
        "wrong prefix": (("172.17.42.1/16 dev eth0\nip -n hand route add default via 172.17.0.1", "172.17.42.1/24 dev eth0"), "how much of the world"),
        "no way out": (("ip -n hand route add default via 172.17.0.1\n", ""), "nothing of the rest of the world"),
    },
    "1.2": {
        "a Docker network": (("ip link add br-mine type bridge\n", "docker network create -o com.docker.network.bridge.name=br-mine x\n"), "without Docker"),
        "bridge off": (("ip link set br-mine up\n", ""), "A new bridge is switched off"),
        "plugged into docker0": (("ip link set C master br-mine", "ip link set C master docker0"), "C is a port of docker0"),
        "no NAT": ((NAT, ""), "Docker's rules are about Docker's subnets"),
        "NAT everywhere": ((" ! -o br-mine -j MASQUERADE", " -j MASQUERADE"), "whichever way a packet leaves"),
        "not forwarded": (("iptables -I DOCKER-USER -i br-mine -j ACCEPT\niptables -I DOCKER-USER -o br-mine -j ACCEPT\n", ""), "policy of FORWARD"),
    },
    "1.3": {
        "still off": (("ip link set L up\n", ""), "L on node1 is down"),
        "prefix left": (("ip -n lost addr del 172.17.43.1/32 dev eth0\nip -n lost addr add 172.17.43.1/16 dev eth0\n", ""), "how much of the world"),
        "no way out": (("ip -n lost route replace default via 172.17.0.1\n", ""), "nothing of the rest of the world"),
        "wrong way out": (("replace default via 172.17.0.1", "replace default via 172.17.0.254"), "leads to the wrong place"),
        "made anew by Docker": (("ip link set L up\nip -n lost addr del 172.17.43.1/32 dev eth0\nip -n lost addr add 172.17.43.1/16 dev eth0\n"
            "ip -n lost route replace default via 172.17.0.1\n", "docker rm -f lost; docker run -d --name lost busybox sleep 1000\n"), "Docker has wired this one already"),
    },
    "1.4": {
        "in INPUT": ((RULE, "iptables -I INPUT -s 192.168.59.254 -p tcp --dport 8080 -j DROP\n"), "they are forwarded"),
        "after DNAT": ((RULE, "iptables -I DOCKER-USER -s 192.168.59.254 -p tcp --dport 8080 -j DROP\n"), "for port 80 by now"),
        "all of outside": ((RULE, "iptables -I DOCKER-USER -s 192.168.59.254 -j DROP\n"), "shuts out more than the one port"),
        "everybody": ((RULE, "iptables -t raw -I PREROUTING -p tcp --dport 8080 -j DROP; iptables -I OUTPUT -p tcp --dport 8080 -j DROP\n"
            "iptables -t raw -I OUTPUT -p tcp --dport 8080 -j DROP\n"), "shut for everybody"),
        "bricked up": ((RULE, "docker stop -t0 web\n"), "bricked up"),
    },
}  # fmt: skip
