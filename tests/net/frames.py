# SPDX-License-Identifier: MIT
"""Frames made by hand, and a packet socket to send and hear them: the kernel's end of the wire, without the kernel.

A Peer has addresses of its own that the kernel knows nothing of, so the kernel
does not meddle in what it says.
"""
import socket
import struct
import time

ETH_ARP, ETH_IP4, ETH_VLAN, ETH_ALL = 0x0806, 0x0800, 0x8100, 3
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ARP_REQUEST, ARP_REPLY = 1, 2
BROADCAST = b"\xff" * 6
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TP_STATUS_VLAN_VALID = 263, 8, 4, 16      # linux/if_packet.h


def addr(text):
    return socket.inet_aton(text)


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def eth(dst, src, ethertype, payload, vlan=None):
    tag = struct.pack("!HH", ETH_VLAN, vlan) if vlan is not None else b""
    return dst + src + tag + struct.pack("!H", ethertype) + payload


def arp(op, sha, spa, tha, tpa):
    return struct.pack("!HHBBH", 1, ETH_IP4, 6, 4, op) + sha + addr(spa) + tha + addr(tpa)


def ip4(src, dst, proto, payload, ttl=64, ident=1, frag=0, ihl=None, total=None, version=4, options=b"", csum=None):
    """@ihl, @total, @csum: lies.  @frag: flags and offset as one number."""
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(payload) if total is None else total
    head = struct.pack("!BBHHHBBH", version << 4 | ihl, 0, total, ident, frag, ttl, proto, 0) + addr(src) + addr(dst) + options
    csum = checksum(head) if csum is None else csum
    return head[:10] + struct.pack("!H", csum) + head[12:] + payload


def transport_checksum(src, dst, proto, data):
    return checksum(addr(src) + addr(dst) + struct.pack("!HH", proto, len(data)) + data)


def tcp(src, dst, sport, dport, seq=0, ack=0, flags=SYN, window=65535, options=b"", data=b"", doff=None, csum=None):
    doff = 5 + len(options) // 4 if doff is None else doff
    seg = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, doff << 4, flags, window, 0, 0) + options + data
    csum = transport_checksum(src, dst, TCP, seg) if csum is None else csum
    return seg[:16] + struct.pack("!H", csum) + seg[18:]


def udp(src, dst, sport, dport, data=b"", length=None, csum=None):
    length = 8 + len(data) if length is None else length
    dgram = struct.pack("!HHHH", sport, dport, length, 0) + data
    csum = transport_checksum(src, dst, UDP, dgram) if csum is None else csum
    return dgram[:6] + struct.pack("!H", csum) + dgram[8:]


def icmp(kind, code=0, rest=b"\0\0\0\0", data=b"", csum=None):
    msg = struct.pack("!BBH", kind, code, 0) + rest + data
    csum = checksum(msg) if csum is None else csum
    return msg[:2] + struct.pack("!H", csum) + msg[4:]


class Segment:
    """A TCP segment that was heard."""

    def __init__(self, packet):
        ihl, total = (packet[0] & 15) * 4, struct.unpack("!H", packet[2:4])[0]
        seg = packet[ihl:total]
        self.sport, self.dport, self.seq, self.ack, off, self.flags, self.window = struct.unpack("!HHIIBBH", seg[:16])
        self.options, self.data = seg[20:(off >> 4) * 4], seg[(off >> 4) * 4:]


class Peer:
    """A host on the wire of @link in @ns: @ip, @mac.  VLAN tags are put on what is sent, if @vlan."""

    def __init__(self, ns, ip="10.77.0.99", mac=b"\x02\0\0\0\0\x63", theirs="10.77.0.2", link="mr0", vlan=None):
        self.ip, self.mac, self.theirs, self.vlan = ip, mac, theirs, vlan
        self.sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)        # VLAN tags are cut off and told apart
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.sock.bind((link, ETH_ALL))
        self.their_mac = None

    def close(self):
        self.sock.close()

    def send(self, frame):
        """A full transmit queue is waited for."""
        while True:
            try:
                return self.sock.send(frame)
            except OSError as e:
                if e.errno != 105:              # ENOBUFS
                    raise
                time.sleep(0.001)

    def frames(self, seconds=1.0):
        """(tag or None, frame) of what the stack sends, until @seconds are over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                frame, aux, _, come = self.sock.recvmsg(70000, 256)
            except TimeoutError:
                return
            if come[2] == PACKET_OUTGOING:      # what the kernel or we ourselves have sent
                continue
            tag = None
            for _, _, data in aux:
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])     # struct tpacket_auxdata
                if status & TP_STATUS_VLAN_VALID:
                    tag = tci
            yield tag, frame

    def packets(self, seconds=1.0):
        """(protocol, IP packet) for this host."""
        for tag, frame in self.frames(seconds):
            if frame[12:14] == b"\x08\0" and frame[30:34] == addr(self.ip) and tag == self.vlan:
                yield frame[23], frame[14:]

    def resolve(self):
        """Ask for the stack's MAC address by ARP, which also tells it ours."""
        self.send(eth(BROADCAST, self.mac, ETH_ARP, arp(ARP_REQUEST, self.mac, self.ip, bytes(6), self.theirs), self.vlan))
        for tag, frame in self.frames():
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == addr(self.theirs):
                assert tag == self.vlan
                self.their_mac = frame[22:28]
                return self.their_mac
        return None

    def frame(self, payload, ethertype=ETH_IP4):
        return eth(self.their_mac or self.resolve(), self.mac, ethertype, payload, self.vlan)

    def ip4(self, proto, payload, **lies):
        return self.frame(ip4(self.ip, self.theirs, proto, payload, **lies))

    def tcp(self, sport, dport=80, **kw):
        return self.ip4(TCP, tcp(self.ip, self.theirs, sport, dport, **kw))

    def segments(self, sport, seconds=1.0):
        for proto, packet in self.packets(seconds):
            if proto == TCP:
                seg = Segment(packet)
                if seg.dport == sport:
                    yield seg

    def ping(self, seconds=1.0):
        """True: an echo came back."""
        self.send(self.ip4(ICMP, icmp(8, data=b"are you there?")))
        return any(proto == ICMP and packet[20] == 0 for proto, packet in self.packets(seconds))

    def connect(self, sport, dport=80, seq=1000):
        """A connection by hand, or None.  It takes no options."""
        self.send(self.tcp(sport, dport, seq=seq, flags=SYN, options=b"\x02\x04\x05\xb4"))
        for seg in self.segments(sport):
            if seg.flags & (SYN | ACK) == SYN | ACK:
                c = Connection(self, sport, dport, seq + 1, seg.seq + 1)
                c.say(ACK)
                return c
        return None


class Connection:
    """@seq: the next octet that we send; @ack: the next that we expect."""

    def __init__(self, peer, sport, dport, seq, ack):
        self.peer, self.sport, self.dport, self.seq, self.ack = peer, sport, dport, seq, ack

    def frame(self, flags=ACK, at=0, data=b"", **kw):
        """A segment @at octets from where we are."""
        return self.peer.tcp(self.sport, self.dport, seq=self.seq + at, ack=self.ack, flags=flags, data=data, **kw)

    def say(self, flags=ACK, at=0, data=b"", **kw):
        self.peer.send(self.frame(flags, at, data, **kw))

    def hear(self, seconds=1.0, enough=None):
        """The octets that come in order, acknowledged; until @enough of them, a FIN, or @seconds of silence."""
        got = b""
        for seg in self.peer.segments(self.sport, seconds):
            if seg.flags & RST:
                return None
            if seg.seq == self.ack % 2**32 and (seg.data or seg.flags & FIN):
                got += seg.data
                self.ack += len(seg.data) + (seg.flags & FIN)
                self.say(ACK)
                if seg.flags & FIN or (enough and len(got) >= enough):
                    break
        return got

    def reset(self):
        self.say(RST | ACK)
