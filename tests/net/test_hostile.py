# SPDX-License-Identifier: MIT
"""Frames that no honest host would send.

Each test ends in the same way: the server still answers, its memory has not
grown by more than is designed, and what was dropped is counted by reason.
"""
import random
import socket
import struct
import threading

import pytest

from frames import (ACK, ARP_REPLY, ARP_REQUEST, BROADCAST, ETH_ARP, ETH_IP4, FIN, ICMP, PSH, RST, SYN, TCP, UDP, URG, Peer,
                    addr, arp, checksum, eth, icmp, ip4, tcp, udp)
from world import OURS, THEIRS, until

GET = b"GET / HTTP/1.0\r\n\r\n"
MSS = b"\x02\x04\x05\xb4"


@pytest.fixture
def world_(net, start, note):
    """A server, a host made by hand, and the look at both when all is over."""
    class World:
        def __init__(self, *args):
            # Few connections, or the table they are found in, which fills with use, hides what else grows.
            self.server = start("--max-conns", 2000, *args)
            self.host = Peer(net)
            self.host.resolve()
            net.page()
            self.before = self.server.rss()

        def end(self, reasons=(), grown_max=4 << 20):
            self.host.close()
            self.host = Peer(net)               # its ears are not full of answers
            assert until(self.host.ping)
            net.page()
            grown = self.server.rss() - self.before
            self.host.close()
            stats = self.server.stop()
            note("dropped", {k[5:]: v for k, v in stats.items() if k.startswith("drop_") and v})
            note("memory grown", f"{grown / 1e3:.0f} KB")
            assert grown < grown_max
            missing = [r for r in reasons if stats["drop_" + r] == 0]
            assert missing == []
            return stats
    return World


def good_frames(host):
    """One of each kind that the stack takes."""
    quote = ip4(OURS, host.ip, TCP, tcp(OURS, host.ip, 80, 1, flags=ACK))[:28]
    return {
        "arp": eth(BROADCAST, host.mac, ETH_ARP, arp(ARP_REQUEST, host.mac, host.ip, bytes(6), OURS)),
        "echo": host.ip4(ICMP, icmp(8, data=bytes(40))),
        "unreachable": host.ip4(ICMP, icmp(3, 1, data=quote)),
        "too big": host.ip4(ICMP, icmp(3, 4, rest=b"\0\0\0\x44", data=quote)),
        "udp": host.ip4(UDP, udp(host.ip, OURS, 1, 2, bytes(40))),
        "syn": host.tcp(2, seq=7, options=MSS + b"\x01\x03\x03\x07\x08\x0a" + bytes(8) + b"\x04\x02"),
        "ack": host.tcp(3, seq=7, ack=9, flags=ACK, data=bytes(40)),
        "options": host.ip4(TCP, tcp(host.ip, OURS, 4, 80), options=b"\x44\x0c\x05\0" + bytes(8)),
    }


def test_truncated(world_):
    """Goal: a frame that ends anywhere is dropped for what is missing.
    Method: a good frame of each kind, cut at every length, the lengths in the headers left as they were; and with the
    IP total length mended, so that it is the layer above that finds too little."""
    w = world_()
    for frame in good_frames(w.host).values():
        for n in range(14, len(frame)):
            w.host.send(frame[:n])
            if n >= 34 and frame[12:14] == b"\x08\0":
                head = frame[14:16] + struct.pack("!H", n - 14) + frame[18:24] + b"\0\0" + frame[26:34]
                w.host.send(frame[:14] + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + frame[34:n])
    w.end(["arp_short", "ip_short", "ip_total_len", "icmp_short", "udp_short", "tcp_short"])


def test_lying_lengths(world_):
    """Goal: lengths that say more or less than there is lead nowhere.
    Method: every IP header length and TCP data offset; total lengths, UDP lengths and ARP lengths around the true one;
    with right checksums."""
    w = world_()
    h = w.host
    for ihl in range(16):
        for octets in (0, 8, 20, 60, 1400):
            packet = bytearray(ip4(h.ip, OURS, TCP, bytes(octets), ihl=ihl, csum=0))
            packet[10:12] = struct.pack("!H", checksum(bytes(packet[:ihl * 4])))
            h.send(h.frame(bytes(packet)))
    for total in [*range(0, 80), 1500, 1501, 32768, 65535]:
        h.send(h.ip4(TCP, tcp(h.ip, OURS, 1, 80, data=bytes(20)), total=total))
    for doff in range(16):
        for octets in (0, 4, 40):
            h.send(h.tcp(1, doff=doff, options=bytes(octets)))
    for length in [*range(0, 60), 65535]:
        h.send(h.ip4(UDP, udp(h.ip, OURS, 1, 2, bytes(40), length=length)))
    for hlen in range(0, 256, 5):
        for plen in (0, 4, 255):
            h.send(eth(BROADCAST, h.mac, ETH_ARP, struct.pack("!HHBBH", 1, ETH_IP4, hlen, plen, 1) + bytes(20)))
    w.end(["ip_hdr_len", "ip_total_len", "tcp_short", "tcp_checksum", "udp_short", "arp_bad"])


def test_tcp_options(world_):
    """Goal: options with impossible lengths are refused, unknown ones are skipped (RFC 9293 MUST-6, MUST-7).
    Method: every kind with every length of 0 to 41 in a SYN and in a connection; 2,000 heaps of random octets."""
    w = world_("--max-half", 100)
    c = w.host.connect(6000)
    rnd = random.Random(1)
    heaps = [bytes([kind, length]) + bytes(38) for kind in range(256) for length in range(0, 42)]
    heaps += [rnd.randbytes(rnd.randrange(1, 11) * 4) for _ in range(2000)]
    for i, heap in enumerate(heaps):
        w.host.send(w.host.tcp(7000 + i % 2000, seq=i, options=heap))
        c.say(ACK, options=heap)
    c.say(PSH | ACK, data=GET)
    assert b"It runs." in c.hear()
    c.reset()
    stats = w.end(["tcp_bad_option"])
    assert stats["drop_tcp_bad_option"] > 4000


def test_all_flags(world_):
    """Goal: every combination of flags in every situation has an answer or a reason.
    Method: all 256 combinations with and without text, at five sequence numbers: to a closed port, to the listener, to
    a half-open and to an open connection."""
    w = world_("--tcp-challenge-acks", 100)
    h = w.host
    for flags in range(256):
        for at in (0, 1, -1, 1 << 31, -70000):
            for data in (b"", b"x" * 10):
                h.send(h.tcp(8000, dport=81, seq=at, ack=at, flags=flags, data=data))
                h.send(h.tcp(8001 + flags, seq=at, ack=at, flags=flags, data=data))
                h.send(h.tcp(9000, seq=1000 + at, ack=at, flags=flags, data=data))
    for flags in range(0, 256, 5):
        c = h.connect(10000 + flags, seq=flags * 1000)
        for at in (1, -1, 1 << 31, -70000, 0):
            for data in (b"", b"x" * 10):
                c.say(flags, at=at, data=data)
        c.reset()
    w.end(["tcp_no_flow", "tcp_no_listen_syn", "tcp_rst_no_flow", "tcp_seq", "tcp_syn_in_conn", "tcp_rst_seq", "tcp_rate"])


def test_overlapping_segments(world_):
    """Goal: however a stream is cut, doubled and shuffled, the reader gets it as it was.
    Method: 60 requests, each as 40 pieces of it that overlap in part, in whole, and with other text where the first to
    come must win (RFC 9293 3.10.7.4); in random order, until all is acknowledged."""
    w = world_()
    rnd = random.Random(1)
    request = b"GET / HTTP/1.0\r\n" + b"".join(b"A-%d: %s\r\n" % (i, rnd.randbytes(20).hex().encode()) for i in range(30)) + \
              b"\r\n"
    for i in range(60):
        c = w.host.connect(11000 + i, seq=rnd.randrange(1 << 32))
        pieces = [(at, request[at:at + rnd.randrange(1, 400)]) for at in (rnd.randrange(len(request)) for _ in range(40))]
        pieces += [(at, request[at:at + 100]) for at in range(0, len(request), 90)]
        rnd.shuffle(pieces)
        for at, piece in pieces:
            c.say(PSH | ACK, at=at, data=piece)
        c.say(ACK, at=-5, data=b"XXXXX" + request[:50])         # beside and across what was taken: not taken again
        c.say(ACK, at=0, data=b"Y" * 60)
        c.seq += len(request)
        answer = c.hear(2)
        assert answer and b"It runs." in answer, i
    w.end(["tcp_dup_data"])


def test_beyond_the_window(world_):
    """Goal: what was not asked for is not kept: nobody fills memory with text beyond a gap, or beyond the window.
    Method: 200 connections that each send 1,000 segments behind a gap, of one octet and of 1,460, in the window of
    256 KB and beyond it; memory; then the reset."""
    w = world_("--mem-packets", "32M")
    conns = [w.host.connect(12000 + i) for i in range(200)]
    for c in conns:
        for k in range(500):
            c.say(ACK, at=1 + 2 * k, data=b"x")
            c.say(ACK, at=2000 + 1460 * k, data=bytes(1460))
    w.host.resolve()
    for c in conns:
        c.reset()
    w.end(["tcp_seq", "tcp_ooo_full"], grown_max=40 << 20)


def test_header_fields(world_):
    """Goal: the reasons of the layers below TCP are all met, each by what it is for.
    Method: one field wrong at a time; and the counter of just that reason goes up."""
    w = world_()
    h, ours = w.host, w.host.their_mac
    seg = tcp(h.ip, OURS, 1, 81)
    wrong = {
        "eth_not_ours": eth(b"\x02\0\0\0\0\1", h.mac, ETH_IP4, ip4(h.ip, OURS, TCP, seg)),
        "eth_type": h.frame(bytes(50), 0x86dd),
        "eth_vlan": eth(ours, h.mac, ETH_IP4, ip4(h.ip, OURS, TCP, seg), vlan=7),
        "arp_bad": eth(BROADCAST, h.mac, ETH_ARP, arp(9, h.mac, h.ip, bytes(6), OURS)),
        "arp_not_ours": eth(BROADCAST, h.mac, ETH_ARP, arp(ARP_REQUEST, h.mac, "10.77.0.77", bytes(6), "10.77.0.78")),
        "arp_unasked": eth(ours, h.mac, ETH_ARP, arp(ARP_REPLY, h.mac, "10.77.0.79", ours, OURS)),
        "ip_version": h.ip4(TCP, seg, version=6),
        "ip_checksum": h.ip4(TCP, seg, csum=0x1234),
        "ip_option": h.ip4(TCP, seg, options=b"\x83\x07\x04" + addr(OURS) + b"\0"),
        "ip_src": h.frame(ip4("127.0.0.1", OURS, TCP, seg)),
        "ip_not_ours": h.frame(ip4(h.ip, "10.77.0.3", TCP, seg)),
        "ip_link_bcast": eth(BROADCAST, h.mac, ETH_IP4, ip4(h.ip, OURS, TCP, seg)),
        "ip_fragment": h.ip4(TCP, seg, frag=0x2000),
        "ip_proto": h.ip4(132, seg),
        "icmp_checksum": h.ip4(ICMP, icmp(8, csum=1)),
        "icmp_type": h.ip4(ICMP, icmp(5, 1, rest=addr("10.77.0.66"), data=bytes(28))),
        "icmp_broadcast": eth(BROADCAST, h.mac, ETH_IP4, ip4(h.ip, "10.77.0.255", ICMP, icmp(8))),
        "icmp_no_flow": h.ip4(ICMP, icmp(3, 3, data=ip4(OURS, h.ip, TCP, tcp(OURS, h.ip, 80, 1)))),
        "udp_checksum": h.ip4(UDP, udp(h.ip, OURS, 1, 2, csum=1)),
        "udp_no_port": h.ip4(UDP, udp(h.ip, OURS, 1, 2)),
        "tcp_checksum": h.ip4(TCP, tcp(h.ip, OURS, 1, 80, csum=1)),
        "tcp_broadcast": eth(BROADCAST, h.mac, ETH_IP4, ip4(h.ip, "10.77.0.255", TCP, tcp(h.ip, "10.77.0.255", 1, 80))),
        "tcp_no_flow": h.tcp(1, dport=81),
    }
    for frame in wrong.values():
        for _ in range(7):
            h.send(frame)
    stats = w.end()
    assert {r: stats["drop_" + r] for r in wrong if stats["drop_" + r] != 7} == {}


def test_icmp_against_connections(world_):
    """Goal: ICMP errors made up by a stranger do not end a connection, or shrink it to nothing (RFC 5927).
    Method: every type and code, quoting a connection that is in use, with right and wrong sequence numbers."""
    w = world_()
    h = w.host
    c = h.connect(13000)
    for kind in (3, 4, 5, 11, 12):
        for code in range(16):
            for seq in (c.ack, c.ack - 1, c.ack + 100000):
                for mtu in (0, 68, 1400):
                    quote = ip4(OURS, h.ip, TCP, tcp(OURS, h.ip, 80, 13000, seq=seq, flags=ACK))
                    h.send(h.ip4(ICMP, icmp(kind, code, rest=struct.pack("!HH", 0, mtu), data=quote[:28])))
    c.say(PSH | ACK, data=GET)
    assert b"It runs." in c.hear()
    c.reset()
    w.end(["icmp_no_flow", "icmp_type"])


def test_random_octets(world_):
    """Goal: noise does no harm.
    Method: 100,000 frames: random from the Ethernet header on; random IP behind a good Ethernet header; random text
    behind a good IP header; and good frames with some octets changed, checksums mended in half of them."""
    w = world_()
    h, rnd = w.host, random.Random(1)
    good = list(good_frames(h).values())
    for _ in range(25000):
        h.send(rnd.randbytes(rnd.randrange(14, 200)))
        h.send(h.frame(rnd.randbytes(rnd.randrange(0, 200)), rnd.choice((ETH_IP4, ETH_ARP))))
        h.send(h.ip4(rnd.choice((ICMP, UDP, TCP, rnd.randrange(256))), rnd.randbytes(rnd.randrange(0, 200))))
        frame = bytearray(rnd.choice(good))
        for _ in range(rnd.randrange(1, 5)):
            frame[rnd.randrange(14, len(frame))] = rnd.randrange(256)
        if rnd.random() < 0.5 and frame[12:14] == b"\x08\0":
            packet = bytes(frame[14:24]) + b"\0\0" + bytes(frame[26:34])
            frame[24:26] = struct.pack("!H", checksum(packet))
        h.send(bytes(frame))
    w.end(["ip_version", "ip_checksum", "arp_bad", "eth_not_ours", "tcp_checksum", "udp_checksum", "icmp_checksum"])


@pytest.mark.parametrize("sources, cookies", [("of the link", "auto"), ("beyond the gateway", "auto"), ("one host", "auto"),
                                              ("beyond the gateway", "always"), ("beyond the gateway", "never")])
def test_syn_flood(net, world_, note, sources, cookies):
    """Goal: a flood of SYNs takes no more than its records, and with SYN cookies every honest client comes in.
    Method: 100,000 SYNs with other sources each, in the namespace alone: hosts that do not exist on the link, hosts
    beyond the gateway, and one host with all its ports and sequence numbers; curl meanwhile. 128 half-open records with
    cookies; 4,096 without (who is given up before his ACK comes is reset then)."""
    never = cookies == "never"
    w = world_("--tcp-syncookies", cookies, "--max-half", 4096 if never else 128, "--gateway", THEIRS)
    rnd, h, over, pages = random.Random(1), w.host, threading.Event(), []
    ours = h.their_mac

    def meanwhile():
        while not over.is_set():
            p = net.run("curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", "--max-time", 8, f"http://{OURS}/",
                        check=False)
            pages.append((p.returncode, float(p.stdout)))

    thread = threading.Thread(target=meanwhile)
    thread.start()
    for i in range(100000):
        src = {"of the link": f"10.77.0.{3 + i % 250}", "one host": h.ip}.get(sources) or \
              f"{rnd.randrange(11, 100)}.{rnd.randrange(256)}.{rnd.randrange(256)}.{rnd.randrange(1, 255)}"
        seg = tcp(src, OURS, rnd.randrange(1, 65536), 80, seq=rnd.randrange(1 << 32), options=MSS)
        h.send(eth(ours, h.mac, ETH_IP4, ip4(src, OURS, TCP, seg)))
    over.set()
    thread.join()
    good = [t for rc, t in pages if rc == 0]
    note("pages meanwhile", f"{len(good)} of {len(pages)}, slowest {max(good):.2f} s")
    assert len(good) >= (0.9 * len(pages) if never else len(pages))
    # Answers to hosts of the link wait for ARP, as many as its queues hold, and packets come in pages of 2 MB.
    stats = w.end(["tcp_syn_full"] if never else [], grown_max=(8 if sources == "of the link" else 4) << 20)
    note("half-open given up", stats["tcp_syn_evicted"])
    note("cookies sent, come back", f"{stats['tcp_syncookies_sent']}, {stats['tcp_syncookies_rcvd']}")
    assert (stats["tcp_syn_evicted"] > 1000) == never
    assert (stats["tcp_syncookies_sent"] > 10000) == (not never)
    assert stats["tcp_syncookies_rcvd"] > 0 or never
    assert stats["tcp_syncookies_failed"] == 0


def test_syn_cookie_options(net, start):
    """Goal: a connection of Linux's that comes out of a cookie has agreed on the same as any other.
    Method: what its TCP_INFO says of options, window scales and segment sizes, and a page, with and without cookies; each
    with timestamps and without, which leaves nothing but the segment size."""
    def agreed(cookies, timestamps):
        server = start("--tcp-syncookies", cookies)
        net.sysctl("net.ipv4.tcp_timestamps", timestamps)
        s = net.connect()
        s.sendall(GET)
        assert b"It runs." in s.makefile("rb").read()
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        s.close()
        assert server.stop()["tcp_syncookies_rcvd"] == (cookies == "always")
        return info[5], info[6], *struct.unpack("II", info[16:24])      # options, scales, snd_mss, rcv_mss

    try:
        options, scales, snd_mss, rcv_mss = agreed("never", 1)
        assert agreed("always", 1) == (options, scales, snd_mss, rcv_mss)
        assert options & 5 == 5 and scales      # timestamps and window scales
        assert agreed("always", 0)[0] == 0
        assert agreed("always", 0)[2] == agreed("never", 0)[2] == snd_mss + 12
    finally:
        net.sysctl("net.ipv4.tcp_timestamps", 1)


def test_shuffled_protocol(world_):
    """Goal: no order of honest segments is too strange.
    Method: 20,000 segments with random flags, and sequence and acknowledgment numbers near the right ones, on 50
    connections that are opened anew when they are gone."""
    w = world_()
    rnd, conns = random.Random(1), []
    for i in range(50):
        conns.append(w.host.connect(14000 + i, seq=rnd.randrange(1 << 32)))
    for i in range(20000):
        k = rnd.randrange(50)
        if rnd.random() < 0.02:
            conns[k] = w.host.connect(15000 + i, seq=rnd.randrange(1 << 32)) or conns[k]
        c = conns[k]
        flags = rnd.choice((ACK, ACK, ACK, PSH | ACK, FIN | ACK, SYN, SYN | ACK, RST, RST | ACK, 0, URG | ACK, FIN, 255))
        kept = c.ack
        c.ack += rnd.choice((0, 0, 0, 1, -1, 500, -500, 100000, 1 << 31))
        c.say(flags, at=rnd.choice((0, 0, 0, 1, -1, 10, 1000, 262144, -1000, 1 << 31)), window=rnd.choice((0, 1, 65535)),
              data=GET[:rnd.randrange(len(GET))] if rnd.random() < 0.5 else b"")
        c.ack = kept
    w.end(["tcp_seq", "tcp_future_ack", "tcp_no_ack", "tcp_syn_in_conn"])
