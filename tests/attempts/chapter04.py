"""Typical mistakes in the exercises of notebook 04."""

from __future__ import annotations

LEAVE = "for name in customer till vault; do docker network disconnect bridge $name; done\n"
DATA = "docker network create --internal --subnet 10.88.0.0/24 data\n"
ANEW = """docker network disconnect office site
docker network disconnect office files
docker network rm office
docker network create office
docker network connect office site
docker network connect office files
"""
OWN = """ip link add lan0 link eth0 type macvlan mode bridge
ip address add 192.168.59.99/32 dev lan0
ip link set lan0 up
ip route add 192.168.59.50/32 dev lan0
"""
# exercise: {mistake: ((what of the solution, what instead), what the learner reads)}
ATTEMPTS = {
    "4.1": {
        "docker0 not left": ((LEAVE, ""), "joining one network does not leave another"),
        "till in one network": (("docker network connect bank till\n", ""), "till has no endpoint in bank"),
        "everybody everywhere": (("docker network connect bank vault\n", "for n in vault customer; do docker network connect bank $n; done\n"),
            "customer does not belong into bank"),
        "other name": (("docker network create bank\n", "docker network create vaults\n"), "no network bank (your own: shop, vaults)"),
        "wall opened": ((LEAVE, LEAVE + "iptables -I DOCKER-USER -j ACCEPT; iptables -t raw -I PREROUTING -j ACCEPT\n"), "something lets their packets pass"),
    },
    "4.2": {
        "not internal": (("--internal ", ""), "decided when it is made"),
        "subnet of the engine": ((DATA, "docker network create --internal data\n"), "Choose the subnet 10.88.0.0/24"),
        "address left to Docker": ((" --ip 10.88.0.10", ""), "lowest free address"),
        "no alias": ((" --network-alias database", ""), "A second name is an alias"),
        "proxy in front only": (("docker network connect data proxy\n", ""), "proxy has no endpoint in data"),
        "published from outside only": ((" -p 8080:80", ""), "Clients outside know node1 only"),
        "nobody listens": (("busybox sh -c 'echo welcome > /tmp/index.html; httpd -f -h /tmp'", "busybox sleep 3600"), "does a web server listen on port 80"),
    },
    "4.3": {
        "a route by hand": ((ANEW, "ip route add 192.168.59.254/32 dev eth0\n"), "A route helps node1 to one address"),
        "nothing but a restart": ((ANEW, "docker restart -t 0 site files\n"), "the one with the longer prefix"),
        "half of it left": (("docker network connect office files\n", ""), "files has no endpoint in office"),
        "another name": ((ANEW, ANEW.replace("create office", "create office2").replace("connect office ", "connect office2 ").replace("disconnect office2", "disconnect office")),
            "no network office (your own: office2)"),
        "network gone, containers too": ((ANEW, "docker rm -f site files; docker network rm office; docker network create office\n"), "files has to run"),
        "not published any more": ((ANEW, ANEW.replace("docker network connect office site\n", "docker rm -f site; docker run -d --name site --net=office busybox sleep 3600\n")),
            "Clients outside know node1 only"),
    },
    "4.4": {
        "still a bridge": (("-d macvlan -o parent=eth0 --subnet 192.168.59.0/24 --gateway 192.168.59.254 ", ""), "A network keeps the driver"),
        "address left to Docker": (("--ip 192.168.59.50 ", ""), "lowest free address"),
        "other parent": (("parent=eth0", "parent=docker0"), "on which of node1's interfaces"),
        "node1 left out": ((OWN, ""), "let node1 have one as well"),
        "left off": (("ip link set lan0 up\nip route add 192.168.59.50/32 dev lan0\n", ""), "lan0 is down"),
        "no route": (("ip route add 192.168.59.50/32 dev lan0\n", ""), "By which interface does node1 send"),
        "mode private": (("type macvlan mode bridge", "type macvlan mode private"), "does not talk to the others"),
        "container private": (("-o parent=eth0", "-o parent=eth0 -o macvlan_mode=private"), "refuses the others on the card"),
        "all of the LAN": (("ip route add 192.168.59.50/32 dev lan0\n", "ip link set lan0 up; ip route add 192.168.59.50/32 dev lan0; ip route add 192.168.59.254/32 via 192.168.59.51 dev lan0 onlink\n"),
            "your route is about more than one address"),
    },
}  # fmt: skip
