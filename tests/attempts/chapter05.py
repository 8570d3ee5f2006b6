"""Typical mistakes in the exercises of notebook 05."""

from __future__ import annotations

OPEN = "netkit on node2 -- iptables -I INPUT -i eth0 -p udp --dport 4789 -j ACCEPT\n"
WAIT = "for i in $(seq 250); do docker service ls | grep -q 2/2 && break; sleep 0.05; done\n"
WAIT_ONE = "for i in $(seq 250); do docker service ls | grep -q 1/1 && break; sleep 0.05; done\n"
CREW = "--subnet 10.99.0.0/24 team\ndocker service create -q --detach --no-resolve-image --name crew --network team --mode global --endpoint-mode dnsrr busybox sleep infinity\n"
PAGE = "--hostname '{{.Node.Hostname}}' --publish mode=host,published=8080,target=80 busybox sh -c 'hostname > /tmp/index.html; httpd -f -h /tmp'\n"
# exercise: {mistake: ((what of the solution, what instead), what the learner reads)}
ATTEMPTS: dict[str, dict] = {
    "5.1": {
        "a bridge": (("-d overlay " + CREW + WAIT, CREW), "ends at the edge of node1"),
        "any subnet": ((" --subnet 10.99.0.0/24", ""), "The swarm has picked a subnet"),
        "not on the network": (("--network team ", ""), "has not been put on the network"),
        "one replica": (("--mode global --endpoint-mode dnsrr busybox sleep infinity\n" + WAIT,
            "--endpoint-mode dnsrr busybox sleep infinity\n" + WAIT_ONE), "One replica is in one place"),
        "a virtual address": ((" --endpoint-mode dnsrr", ""), "one address that stands for all tasks"),
    },
    "5.2": {
        "another network": (("netkit on node2 -- ip link add vx type vxlan id 42", "netkit on node2 -- ip link add vx type vxlan id 43"), "another network's"),
        "the old port": ((" dstport 4789", ""), "the old one unless told"),
        "off": (("ip link set vx up\nnetkit", "netkit"), "A new device is switched off"),
        "nobody to send to": (("bridge fdb append 00:00:00:00:00:00 dev vx dst 192.168.59.2\n", ""), "does not know that node2"),
        "itself to send to": (("dst 192.168.59.1", "dst 192.168.59.2"), "does not know that node1"),
        "too big": ((" dev eth0", ""), "and then there are more than 1500"),
    },
    "5.3": {
        "after the DROP": (("-I INPUT", "-A INPUT"), "yours comes after the DROP"),
        "TCP": (("-p udp", "-p tcp"), "VXLAN is not TCP"),
        "on the wrong machine": (("netkit on node2 -- ", ""), "Which machine has the firewall?"),
        "no firewall at all": ((OPEN, "netkit on node2 -- iptables -F INPUT\n"), "The firewall is gone"),
        "out of the swarm": ((OPEN, "netkit on node2 -- docker swarm leave\n"), "stay in the swarm"),
        "turned off and on": ((OPEN, "docker restart -t 0 ask\n"), "What carries the packets themselves?"),
    },
    "5.4": {
        "the routing mesh": (("mode=host,", ""), "That is the routing mesh"),
        "one replica": (("--mode global " + PAGE + WAIT, PAGE + WAIT_ONE), "One replica is in one place"),
        "not published": (("--publish mode=host,published=8080,target=80 ", ""), "has to appear as port 8080"),
        "another host name": (("--hostname '{{.Node.Hostname}}'", "--hostname page"), "not this machine's task's host name"),
        "nothing served": (("'hostname > /tmp/index.html; httpd -f -h /tmp'", "'sleep 1000'"), "Does the task serve anything"),
        "docker run": (("docker service create -q --detach --no-resolve-image --name page --mode global " + PAGE + WAIT,
            "docker run -d --name page -p 8080:80 busybox sh -c 'hostname > /tmp/index.html; httpd -f -h /tmp'\n"), "a wish to the whole swarm"),
    },
}  # fmt: skip
