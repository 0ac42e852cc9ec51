# SPDX-License-Identifier: MIT
"""ICMP, ports where nobody listens, addresses, routes, links."""
import random
import re
import socket
import time

import pytest

from frames import Peer
from world import OURS, Server, make_file, need, sha256, until, veth

URL = f"http://{OURS}"


def lost(out):
    return float(re.search(r"([\d.]+)% packet loss", out).group(1))


# ---- ICMP ----

def test_ping_sizes(net, start):
    """Goal: echoes of every size that fits are answered; fragments are counted and dropped, for now.
    Method: ping of 0 to 1,472 octets, unfragmented; 1,473 and 60,000, fragmented; then 0 again."""
    need("ping")
    server = start()
    for size in (0, 1, 7, 8, 56, 57, 999, 1000, 1471, 1472):
        out = net.run("ping", "-q", "-n", "-c", 3, "-i", "0.01", "-W", 1, "-M", "do", "-s", size, OURS).stdout
        assert lost(out) == 0, (size, out)
    fragments = 0
    for size, pieces in ((1473, 2), (60000, 41)):
        out = net.run("ping", "-q", "-n", "-c", 2, "-i", "0.2", "-W", "0.2", "-s", size, OURS, check=False).stdout
        assert lost(out) == 100, out
        fragments += 2 * pieces
    assert lost(net.run("ping", "-q", "-n", "-c", 1, "-W", 1, "-s", 0, OURS).stdout) == 0
    stats = server.stop()
    assert stats["drop_ip_fragment"] == fragments
    assert stats["icmp_echoes"] == 31


def test_ping_flood(net, start, note):
    """Goal: many echoes in a short time are answered within the rate limit, and the rest counted.
    Method: ping -f, 20,000 of 1,000 octets."""
    need("ping")
    server = start()
    out = net.run("ping", "-q", "-n", "-f", "-c", 20000, "-s", 1000, "-W", 1, OURS, check=False).stdout
    sent, got = (int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
    net.page()
    stats = server.stop()
    note("echoes answered", f"{got} of {sent}, {stats['drop_icmp_rate']} held back")
    assert got == stats["icmp_echoes"] and got + stats["drop_icmp_rate"] == sent
    assert got >= 1000


# ---- nobody there ----

def test_closed_udp_port(net, start):
    """Goal: a datagram to a port where nobody listens is refused at once, as Linux would.
    Method: a connected UDP socket; send; the next call says ECONNREFUSED."""
    server = start()
    for size in (0, 1, 1472):
        s = net.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(2)
        s.connect((OURS, 9))
        s.send(bytes(size))
        with pytest.raises(ConnectionRefusedError):
            s.recv(1)
        s.close()
    stats = server.stop()
    assert stats["icmp_errors_sent"] == stats["drop_udp_no_port"] == 3


def test_closed_tcp_port(net, start):
    """Goal: connect() to a port where nobody listens fails at once.
    Method: ECONNREFUSED from 100 ports, each within 0.2 s."""
    server = start()
    for port in range(1000, 1100):
        began = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            net.connect(port)
        assert time.monotonic() - began < 0.2
    assert server.stop()["drop_tcp_no_flow"] == 100


# ---- addresses and routes ----

def test_two_devices(net, start):
    """Goal: one stack serves several links.
    Method: two TAP devices with an address each; both pages, at the same time; and one address over the other link."""
    server = start(devs=[("tap:mr0", "10.77.0.2/24", "10.77.0.1/24"), ("tap:mr1", "10.78.0.2/24", "10.78.0.1/24")])
    first, second = net.connect(addr="10.77.0.2"), net.connect(addr="10.78.0.2")
    for s in (first, second, first, second):
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"It runs." in s.recv(65536)
    net.ip("route add 10.78.0.2/32 via 10.77.0.2 dev mr0")
    net.page("10.78.0.2")
    net.ip("route del 10.78.0.2/32 via 10.77.0.2 dev mr0")
    net.ip("link set mr1 down")
    net.page("10.77.0.2")
    net.ip("link set mr1 up")
    net.page("10.78.0.2")
    first.close()
    second.close()
    server.stop()


def test_gateway(netns):
    """Goal: clients beyond a router reach us, and we them.
    Method: client -- veth -- router -- TAP -- stack with --gateway; a page and 20 MB each way, with equal digests;
    without --gateway no answer finds its way, and that is counted."""
    client, router = netns(), netns()
    veth(client, "v0", router, "v1")
    client.ip("addr add 10.88.0.9/24 dev v0")
    router.ip("addr add 10.88.0.1/24 dev v1")
    client.ip("route add default via 10.88.0.1")
    router.sysctl("net.ipv4.ip_forward", 1)
    server = Server(router, "--gateway", "10.77.0.1", "--root", router.tmp)
    digest = make_file(router.tmp + "/file", 20 << 20)
    client.curl(URL + "/file", "-o", router.tmp + "/got")
    assert sha256(open(router.tmp + "/got", "rb").read()) == digest
    assert digest in client.curl("-T", router.tmp + "/file", URL + "/upload/x").stdout
    assert server.stop()["drop_ip_no_route"] == 0
    server = Server(router)
    assert client.curl(URL, check=False, timeout=1).returncode == 28
    assert server.stop()["drop_ip_no_route"] > 0


def test_whole_prefix(net, start):
    """Goal: "every address of 10.64.0.0/16 is mine".
    Method: 60 addresses of it by curl and 2,000 by connect(), half by ARP for each, half by way of our own address."""
    server = start("--local", "10.64.0.0/16")
    net.ip("route add 10.64.0.0/17 dev mr0")
    net.ip(f"route add 10.64.128.0/17 via {OURS}")
    rnd = random.Random(1)
    addrs = ["10.64.0.1", "10.64.127.254", "10.64.127.255", "10.64.128.0", "10.64.255.254"]
    addrs += [f"10.64.{rnd.randrange(1, 255)}.{rnd.randrange(256)}" for _ in range(55)]
    out = net.curl("-w", "%{http_code} %{remote_ip}\n", *[x for a in addrs for x in ("-o", "/dev/null", f"http://{a}/")])
    assert out.stdout.split("\n")[:-1] == [f"200 {a}" for a in addrs]
    for _ in range(2000):
        net.connect(addr=f"10.64.{rnd.randrange(1, 255)}.{rnd.randrange(256)}").close()
    net.page()
    assert net.curl("http://10.65.0.1/", check=False, timeout=1).returncode != 0
    stats = server.stop()
    assert stats["tcp_passive_opens"] == 2061


# ---- links ----

@pytest.mark.parametrize("mtu", [576, 1280, 9000])
def test_mtu(net, start, tmp_path, mtu):
    """Goal: links of other sizes.
    Method: --mtu; 20 MB each way with equal digests; the segment size that Linux sees fits; the largest ping too."""
    need("ping")
    digest = make_file(tmp_path / "file", 20 << 20)
    start("--mtu", mtu, "--root", tmp_path)
    assert f"mtu {mtu} " in net.ip("link show dev mr0")
    net.curl(URL + "/file", "-o", tmp_path / "got")
    assert sha256((tmp_path / "got").read_bytes()) == digest
    assert digest in net.curl("-T", tmp_path / "file", URL + "/upload/x").stdout
    s = net.connect()
    assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) == mtu - 52          # timestamps deducted
    s.close()
    assert lost(net.run("ping", "-q", "-n", "-c", 1, "-W", 1, "-M", "do", "-s", mtu - 28, OURS).stdout) == 0


def test_vlan_frames(net, start):
    """Goal: with --vlan we speak with that tag, and hear no other.
    Method: hosts made by hand with tag 42, with 43 and with none: ARP, ping and a page, answered with tag 42 alone."""
    server = start("--vlan", 42)
    host = Peer(net, vlan=42)
    assert host.resolve() and host.ping()
    c = host.connect(5000)
    c.say(data=b"GET / HTTP/1.0\r\n\r\n")
    assert b"It runs." in c.hear()
    c.reset()
    for vlan in (43, None):
        other = Peer(net, ip="10.77.0.98", mac=b"\x02\0\0\0\0\x62", vlan=vlan)
        assert other.resolve() is None
        other.their_mac = host.their_mac
        assert not other.ping(0.3)
        other.close()
    host.close()
    assert server.stop()["drop_eth_vlan"] >= 4


def test_vlan_of_linux(net, start):
    """Goal: the same with the kernel's own VLAN interface.
    Method: `ip link add link mr0 type vlan id 42`, where the kernel has it; a page, 5 MB up."""
    start("--vlan", 42, devs=[("tap:mr0", "10.77.0.2/24", None)])
    if net.run("ip", "link", "add", "link", "mr0", "name", "mr0.42", "type", "vlan", "id", 42, check=False).returncode:
        pytest.skip("this kernel has no VLAN interfaces (8021q)")
    net.ip("addr add 10.77.0.1/24 dev mr0.42")
    net.ip("link set mr0.42 up")
    net.page()
    digest = make_file(net.tmp + "/file", 5 << 20)
    assert digest in net.curl("-T", net.tmp + "/file", URL + "/upload/x").stdout


def test_interface_deleted(net, start):
    """Goal: when the interface is deleted under a running server, it says so, does not spin, and can be ended.
    Method: `ip link del` with a connection open; the CPU time of half a second; SIGINT."""
    server = start()
    s = net.connect()
    net.ip("link del mr0")
    assert until(lambda: "the interface is gone" in server.stderr)
    cpu_s = server.cpu_s()
    time.sleep(0.5)
    assert server.cpu_s() - cpu_s < 0.1
    s.close()
    server.stop()
