# SPDX-License-Identifier: MIT
"""Neighbours: ageing, announcements, conflicts, floods."""
import subprocess
import time

from frames import ARP_REPLY, ARP_REQUEST, BROADCAST, ETH_ARP, Peer, addr, arp, eth
from world import MILLRACE, OURS, THEIRS, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def is_arp_of(frame, sender, target):
    return frame[12:14] == b"\x08\x06" and frame[28:32] == addr(sender) and frame[38:42] == addr(target)


def test_announcements(net, start):
    """Goal: who comes up tells the link about it (RFC 5227 2.3), twice.
    Method: listen from the start on; two ARP announcements, 2 s apart."""
    start()
    peer = Peer(net)
    began = time.monotonic()
    seen = [time.monotonic() - began for _, f in peer.frames(2.6) if is_arp_of(f, OURS, OURS)]
    assert len(seen) == 1 and 1.5 < seen[0] < 2.5       # the first came before we could listen
    peer.close()


def test_neighbours_are_forgotten(net, start):
    """Goal: connections outlive the neighbour entries of both ends.
    Method: the kernel's neighbours flushed before each of 50 requests on one connection."""
    server = start()
    s = net.connect()
    for _ in range(50):
        net.ip("neigh flush all")
        s.sendall(GET)
        assert b"It runs." in s.recv(65536)
    s.close()
    stats = server.stop()
    assert stats["arp_replies_sent"] >= 50 and stats["tcp_segs_retrans"] == 0


def test_neighbour_moves(net, start):
    """Goal: a host that gets another MAC address and says so is found there.
    Method: the kernel's MAC address changed, announced by ARP; the connection goes on at once.  Then changed in
    silence: the connection goes on after our entry was asked for again."""
    start()
    s = net.connect()

    def request():
        began = time.monotonic()
        s.sendall(GET)
        assert b"It runs." in s.recv(65536)
        return time.monotonic() - began

    request()
    mac = b"\x02\x11\x22\x33\x44\x55"
    net.ip("link set mr0 address 02:11:22:33:44:55")
    peer = Peer(net)
    peer.send(eth(BROADCAST, mac, ETH_ARP, arp(ARP_REQUEST, mac, THEIRS, bytes(6), THEIRS)))
    assert request() < 0.15
    net.ip("link set mr0 address 02:11:22:33:44:66")
    assert request() < 5
    s.close()
    peer.close()


def test_conflict(net, start):
    """Goal: somebody else with our address is noticed, counted, said once, answered by an announcement (RFC 5227
    2.4 (b)), and we keep serving.
    Method: 1,000 ARP packets from another MAC address that claim it; requests from the kernel go on."""
    server = start()
    time.sleep(2.2)                                     # our own announcements are over
    peer, mac = Peer(net), b"\x02\xba\xd0\0\0\1"
    for i in range(500):
        peer.send(eth(BROADCAST, mac, ETH_ARP, arp(ARP_REQUEST, mac, OURS, bytes(6), OURS)))
        peer.send(eth(BROADCAST, mac, ETH_ARP, arp(ARP_REPLY, mac, OURS, BROADCAST, THEIRS)))
    defended = [f for _, f in peer.frames(0.5) if is_arp_of(f, OURS, OURS)]
    assert len(defended) == 1
    net.ip("neigh flush all")                           # the kernel may have believed the other
    assert until(lambda: net.run("curl", "-s", "--max-time", 2, f"http://{OURS}/", check=False).returncode == 0)
    stats = server.stop()
    assert stats["arp_conflicts"] == stats["drop_arp_conflict"] == 1000
    assert server.stderr.count("is also used by 02:ba:d0:00:00:01") == 1
    peer.close()


def test_arp_flood(net, start, note):
    """Goal: nobody can fill our memory with neighbours, or push out the ones we talk to.
    Method: requests from 200,000 hosts of our link, three times what the cache holds, and 50,000 replies that we did
    not ask for, while a connection is in use; resident memory before and after."""
    server = start(devs=[("tap:mr0", "10.77.0.2/12", "10.77.0.1/12")])
    s = net.connect()
    peer = Peer(net)
    ours = peer.resolve()
    net.page()
    before = server.rss()
    for i in range(200000):
        if i % 5000 == 0:
            s.sendall(GET)
            assert b"It runs." in s.recv(65536)
        mac, ip = b"\x02\xaa" + i.to_bytes(4, "big"), f"10.{64 + i // 65536}.{i // 256 % 256}.{i % 256}"
        peer.send(eth(BROADCAST, mac, ETH_ARP, arp(ARP_REQUEST, mac, ip, bytes(6), OURS)))
        if i < 50000:
            ip = f"10.70.{i // 256}.{i % 256}"
            peer.send(eth(ours, mac, ETH_ARP, arp(ARP_REPLY, mac, ip, ours, OURS)))
    s.sendall(GET)
    assert b"It runs." in s.recv(65536)
    net.page()
    grown = server.rss() - before
    note("memory grown", f"{grown / 1e6:.1f} MB")
    assert grown < 12e6
    stats = server.stop()
    note("dropped", {k: v for k, v in stats.items() if v and ("arp" in k or "neigh" in k)})
    assert stats["neigh_evicted"] + stats["drop_arp_flood"] > 10000       # what the TAP queue did not lose
    assert stats["drop_arp_unasked"] > 10000
    s.close()
    peer.close()


def test_address_in_use(net):
    """Goal: with --arp-dad an address that another host has is not taken: one line, status 1 (RFC 5227 2.1).
    Method: the kernel has the address on the very link; then another one, which is free and works."""
    net.ip("tuntap add dev mr0 mode tap vnet_hdr")
    net.ip(f"addr add {OURS}/24 dev mr0")
    net.ip("link set mr0 up")
    p = net.run(MILLRACE, "httpd", "--dev", "tap:mr0", "--addr", OURS + "/24", "--arp-dad", "yes", check=False)
    assert p.returncode == 1
    last = p.stderr.splitlines()[-1]
    assert OURS in last and "in use" in last and "choose another" in last
    server = net.popen(MILLRACE, "httpd", "--dev", "tap:mr0", "--addr", "10.77.0.3/24", "--arp-dad", "yes",
                       stderr=subprocess.PIPE, text=True)
    lines = iter(server.stderr.readline, "")
    assert any("httpd on port" in line for line in lines)
    net.page("10.77.0.3")
