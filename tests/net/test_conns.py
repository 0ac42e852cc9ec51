# SPDX-License-Identifier: MIT
"""Connections: many, idle, slow, cut, killed."""
import os
import random
import resource
import selectors
import signal
import socket
import struct
import threading
import time

import pytest

from world import BUILD, MILLRACE, OURS, Download, Server, Upload, make_file, need, recv_all, sha256, until

URL = f"http://{OURS}"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def reset_on_close(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---- many ----

class Crowd:
    """Non-blocking clients, @width at a time, of three manners:
    the server closes first, the client closes first, the client resets."""
    MANNERS = ("server", "client", "reset")

    def __init__(self, ns, cnt, width, sources):
        self.cnt, self.width, self.sources = cnt, width, sources
        self.selector, self.opened, self.errors = selectors.DefaultSelector(), 0, []
        self.open_at_once = 0
        with ns:                                # sockets are made in the namespace
            self.work()

    def begin(self):
        i = self.opened
        self.opened += 1
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen by connect()
        s.bind((self.sources[i % len(self.sources)], 0))
        s.connect_ex((OURS, 80))
        self.selector.register(s, selectors.EVENT_WRITE, [self.MANNERS[i % 3], b"", time.monotonic() + 20])
        self.open_at_once += 1

    def end(self, s, error=None):
        self.selector.unregister(s)
        s.close()
        self.open_at_once -= 1
        if error:
            self.errors.append(error)

    def step(self, s, data):
        manner, got, _ = data
        if not got and self.selector.get_key(s).events == selectors.EVENT_WRITE:
            error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                return self.end(s, os.strerror(error))
            s.send(GET_CLOSE if manner == "server" else GET)
            return self.selector.modify(s, selectors.EVENT_READ, data)
        piece = s.recv(65536)
        data[1] = got + piece
        whole = data[1].endswith(b"</html>\n")
        if manner == "server" and not piece:
            self.end(s, None if whole else f"cut short: {got[:40]}")
        elif manner != "server" and (whole or not piece):
            if manner == "reset":
                reset_on_close(s)
            self.end(s, None if whole else f"cut short: {got[:40]}")

    def work(self):
        while self.open_at_once or self.opened < self.cnt:
            while self.opened < self.cnt and self.open_at_once < self.width:
                self.begin()
            for key, _ in self.selector.select(1):
                try:
                    self.step(key.fileobj, key.data)
                except OSError as e:
                    self.end(key.fileobj, str(e))
            if self.opened == self.cnt:
                for key in list(self.selector.get_map().values()):
                    if time.monotonic() > key.data[2]:
                        self.end(key.fileobj, "timed out")


def test_20000_connections(net, start, note):
    """Goal: 20,000 connections are opened and closed without an error, and nothing of them stays.
    Method: clients of four addresses, 100 at a time; a third is closed by the server, a third by the client, a third
    reset.  The server has records for 300 connections only: if each left a little behind, it would soon refuse.
    Its resident memory after the second half is that after the first."""
    need_files(1000)
    server = start("--tcp-time-wait", "20ms", "--max-conns", 300, "--max-wait", 20000)
    for i in range(3, 6):
        net.ip(f"addr add 10.77.0.{i}/24 dev mr0")
    sources = ["10.77.0.1", "10.77.0.3", "10.77.0.4", "10.77.0.5"]
    began = time.monotonic()
    first = Crowd(net, 9999, 100, sources)
    rss = server.rss()
    second = Crowd(net, 10001, 100, sources)
    note("20,000 connections", f"{time.monotonic() - began:.1f} s")
    assert first.errors + second.errors == []
    time.sleep(0.1)                             # TIME-WAIT
    grown = server.rss() - rss
    note("memory", f"{rss / 1e6:.1f} MB, grown by {grown / 1e3:.0f} KB in the second half")
    assert grown < 1 << 20
    stats = server.stop()
    assert stats["tcp_passive_opens"] == 20000
    assert stats["tcp_tw_started"] == 6667
    assert stats["tcp_estab_resets"] == 6666
    for name in ("tcp_open_fails", "tcp_timeouts", "tcp_rto", "drop_tcp_no_conn", "drop_tcp_no_flow", "drop_no_pkt"):
        assert stats[name] == 0, name


def need_files(cnt):
    """Allow this process @cnt open files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < cnt + 200:
        if hard != resource.RLIM_INFINITY and hard < cnt + 200:
            pytest.skip(f"only {hard} open files are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (cnt + 200, hard))


def test_many_idle_connections(net, start, note):
    """Goal: idle connections are kept, cost little, and still work.
    Method: 5,000 connections; the server's memory for each; a second of silence at under 1 % of a core; a request on
    each; then all of them closed at once."""
    need_files(5000)
    server = start("--max-conns", 5002)         # few, or the hash table of finding them is mostly air
    net.page()
    before = server.rss()
    conns = [net.connect() for _ in range(5000)]
    for s in conns:
        s.sendall(GET)
        assert s.recv(65536).endswith(b"</html>\n")
    note("resident octets a connection, httpd's part included", (server.rss() - before) // len(conns))
    cpu_s = server.cpu_s()
    time.sleep(1)
    note("CPU with 5,000 idle connections", f"{(server.cpu_s() - cpu_s) * 100:.0f} %")
    assert server.cpu_s() - cpu_s <= 0.02       # a tick of the clock is 10 ms
    for s in conns:
        s.sendall(GET)
    for s in conns:
        assert s.recv(65536).endswith(b"</html>\n")
    for s in conns:
        s.close()
    net.page()
    stats = server.stop()
    assert stats["tcp_passive_opens"] == 5002 and stats["tcp_rsts_sent"] == 0


def test_too_many_connections(net, start):
    """Goal: when records run out, those who have one are served and the rest have to wait or fail; afterwards all is
    as before.
    Method: 50 records, 80 clients."""
    server = start("--max-conns", 50)
    held, refused = [], 0
    for _ in range(80):
        try:
            s = net.connect(timeout=0.05)       # SYNs are ignored then
            s.sendall(GET)
            assert s.recv(65536).endswith(b"</html>\n")
            held.append(s)
        except (TimeoutError, ConnectionError):
            refused += 1
    assert len(held) >= 49 and refused >= 29
    for s in held:
        s.sendall(GET)
        s.settimeout(2)
        assert s.recv(65536).endswith(b"</html>\n")
        s.close()
    assert until(lambda: net.run("curl", "-s", "--max-time", 1, URL + "/", check=False).returncode == 0, 10)
    assert server.stop()["drop_tcp_no_conn"] > 0


# ---- echo, and the examples ----

def echo_client(ns, data, results, port=7):
    """Sends @data while it reads it back."""
    try:
        s = ns.connect(port)
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        sender.start()
        results.append(recv_all(s) == data)
        sender.join()
        s.close()
    except OSError as e:
        results.append(str(e))


def echo_crowd(ns, cnt, size=1 << 20):
    results = []
    threads = [threading.Thread(target=echo_client, args=(ns, random.Random(i).randbytes(size), results))
               for i in range(cnt)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [True] * cnt


def test_echo(net, start):
    """Goal: `millrace echo` sends back what it gets.
    Method: 50 Linux clients at once with 1 MB each of different octets."""
    server = start(command="echo")
    echo_crowd(net, 50)
    stats = server.stop()
    assert stats["tcp_bytes_rcvd"] == stats["tcp_bytes_sent"] == 50 << 20


@pytest.mark.parametrize("example, cnt", [("echo_epoll", 50), ("echo_blocking", 8)])
def test_examples(net, example, cnt):
    """Goal: the examples do what they say; echo_blocking serves one after the other, the others wait.
    Method: clients at once with 1 MB each; the program is still there afterwards."""
    program = os.path.join(os.path.dirname(MILLRACE), example)
    if not os.path.exists(program):
        program = os.path.join(BUILD, example)
    if not os.path.exists(program):
        pytest.skip(f"{program} is not built")
    server = Server(net, program=program)
    time.sleep(0.1)
    echo_crowd(net, cnt)
    echo_crowd(net, 1, 1)
    assert server.alive()


# ---- trouble ----

def test_peer_killed(net, start, tmp_path, note):
    """Goal: a peer that dies in the middle of a transfer is noticed, and leaves nothing behind.
    Method: 40 times a curl down and a curl up, killed with SIGKILL; 20 records are enough for the server."""
    make_file(tmp_path / "100m", 100 << 20)
    server = start("--root", tmp_path, "--max-conns", 20)
    for i in range(40):
        down = Download(net, URL + "/100m", "--limit-rate", "20M")
        up = Upload(net, URL + "/upload/x", tmp_path / "100m", "--limit-rate", "20M")
        time.sleep(0.02 + 0.001 * i)
        for t in (down, up):
            t.process.send_signal(signal.SIGKILL)
        down.thread.join()
        up.thread.join()
    assert net.curl(URL + "/100m", "-o", tmp_path / "got") and (tmp_path / "got").stat().st_size == 100 << 20
    stats = server.stop()
    note("resets seen", stats["tcp_estab_resets"])
    assert stats["tcp_estab_resets"] >= 30 and stats["drop_tcp_no_conn"] == 0


@pytest.mark.parametrize("cut", ["link", "drop"])
def test_cable_cut(net, start, tmp_path, note, cut):
    """Goal: a transfer outlives a cut of some seconds.
    Method: a download and an upload of 30 MB, 20 MB/s each; after 0.5 s for 2 s the interface down, or all packets
    dropped by nftables; both go on and arrive whole."""
    digest = make_file(tmp_path / "30m", 30 << 20)
    server = start("--root", tmp_path)
    down = Download(net, URL + "/30m", "--limit-rate", "20M")
    up = Upload(net, URL + "/upload/x", tmp_path / "30m", "--limit-rate", "20M")
    time.sleep(0.5)
    if cut == "link":
        net.ip("link set mr0 down")
        time.sleep(2)
        net.ip("link set mr0 up")
    else:
        need("nft")
        net.nft("""table ip cut {
            chain in { type filter hook input priority 0; policy drop; }
            chain out { type filter hook output priority 0; policy drop; }
        }""")
        time.sleep(2)
        net.run("nft", "flush", "ruleset")
    assert down.sha256() == digest and up.sha256() == digest
    note("both done after", f"{max(down.seconds, up.seconds):.1f} s")
    assert server.stop()["tcp_rto"] > 0


def test_slow_reader(net, start, tmp_path, note):
    """Goal: a reader that does not read closes its window; we probe it, hold little, and go on when it opens.
    Method: a client with a small buffer asks for 20 MB and sleeps 3 s; then reads all of it."""
    digest = make_file(tmp_path / "20m", 20 << 20)
    server = start("--root", tmp_path)
    net.curl(URL + "/20m", "-o", "/dev/null")
    before = server.rss()
    s = net.connect(rcvbuf=4096)
    s.sendall(b"GET /20m HTTP/1.0\r\n\r\n")
    time.sleep(3)
    note("memory for the slow one", f"{(server.rss() - before) / 1e3:.0f} KB")
    assert server.rss() - before < 4 << 20
    assert sha256(recv_all(s).split(b"\r\n\r\n", 1)[1]) == digest
    s.close()
    stats = server.stop()
    note("window probes", stats["tcp_zero_wnd_probes"])
    assert stats["tcp_zero_wnd_probes"] >= 2


def test_writer_that_does_not_read(net, start):
    """Goal: who only sends to the echo server is stopped by our window; nothing is lost.
    Method: send until the kernel takes no more for 2 s; what was taken is bounded, the kernel probes our window; then
    read all of it back."""
    server = start(command="echo")
    s = net.connect(7)
    s.settimeout(2)
    sent, data = 0, random.Random(1).randbytes(32 << 20)
    with pytest.raises(TimeoutError):
        while sent < len(data):
            sent += s.send(data[sent:sent + 65536])
    assert sent < 24 << 20
    if net.run("ss", "-V", check=False).returncode == 0:
        assert "timer:(persist" in net.run("ss", "-tino", "dport", "=", 7).stdout
    s.settimeout(10)
    got = recv_all(s, sent)
    assert got == data[:sent]
    s.close()
    server.stop()


def test_half_close(net, start, tmp_path):
    """Goal: a client that has said all still gets all.
    Method: 20 requests for 2 MB, shutdown(SHUT_WR), and only then read; the server closes at the end."""
    make_file(tmp_path / "2m", 2 << 20)
    server = start("--root", tmp_path)
    s = net.connect()
    s.sendall(b"GET /2m HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    s.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    got = recv_all(s)
    assert got.count(b"HTTP/1.1 200") == 20 and len(got) > 40 << 20
    s.close()
    assert server.stop()["tcp_rsts_sent"] == 0


def test_client_resets(net, start, tmp_path):
    """Goal: resets at any moment of a connection end it and nothing else.
    Method: 2,000 connections closed with RST: after connect(), after the request, amid the answer, amid an upload;
    there are records for 50."""
    make_file(tmp_path / "1m", 1 << 20)
    server = start("--root", tmp_path, "--max-conns", 50)
    asks = [b"", b"GET /1m HTTP/1.1\r\n", b"GET /1m HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(50000)]
    for i in range(2000):
        s = net.connect()
        reset_on_close(s)
        s.sendall(asks[i % 4])
        if i % 4 == 2:
            s.recv(1 + i)
        s.close()
    assert len(net.curl(URL + "/1m", "-o", tmp_path / "got", "-w", "%{size_download}").stdout) == 7
    stats = server.stop()
    assert stats["tcp_passive_opens"] >= 2000 and stats["drop_tcp_no_conn"] == 0


def test_idle_timeout(net, start):
    """Goal: silent connections are closed by the server after --idle-timeout, others are not.
    Method: 1 s; one silent connection, one that asks every 0.3 s; one that stopped in the middle of a request."""
    start("--idle-timeout", "1s")
    silent, stopped, busy = net.connect(), net.connect(), net.connect()
    stopped.sendall(GET[:10])
    for _ in range(12):
        busy.sendall(GET)
        assert b"It runs." in busy.recv(65536)
        time.sleep(0.3)
    for s in (silent, stopped):
        s.settimeout(0.1)
        assert s.recv(1) == b""
    for s in (silent, stopped, busy):
        s.close()


# ---- Linux without this or that ----

TCPI_OPT = {"timestamps": 1, "sack": 2, "window_scaling": 4}    # tcp_info.tcpi_options


@pytest.mark.parametrize("off", ["timestamps", "window_scaling", "sack", "timestamps window_scaling sack"])
def test_linux_without(net, start, tmp_path, off):
    """Goal: peers that know less than we do are served as well.
    Method: the option switched off in the namespace; it is not agreed on; 50 MB each way with equal digests."""
    digest = make_file(tmp_path / "50m", 50 << 20)
    for option in off.split():
        net.sysctl(f"net.ipv4.tcp_{option}", 0)
    start("--root", tmp_path)
    s = net.connect()
    agreed = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 16)[5]
    for option in ("timestamps", "window_scaling"):
        assert bool(agreed & TCPI_OPT[option]) == (option not in off), option
    s.close()
    assert Download(net, URL + "/50m").sha256() == digest
    assert Upload(net, URL + "/upload/x", tmp_path / "50m").sha256() == digest


@pytest.mark.parametrize("off", [["--tcp-timestamps", "no"], ["--tcp-window-scaling", "no"],
                                 ["--tcp-timestamps", "no", "--tcp-window-scaling", "no"], ["--tcp-maxseg", "100"],
                                 ["--tcp-rcvbuf", "4k", "--tcp-sndbuf", "4k"]], ids=" ".join)
def test_stack_without(net, start, tmp_path, off):
    """Goal: the stack with less than it can do.
    Method: options of the stack; 5 MB each way with equal digests."""
    digest = make_file(tmp_path / "5m", 5 << 20)
    start("--root", tmp_path, *off)
    assert Download(net, URL + "/5m").sha256() == digest
    assert Upload(net, URL + "/upload/x", tmp_path / "5m").sha256() == digest


def test_explicit_congestion(net, start, tmp_path):
    """Goal: a Linux that asks for ECN is served, without.
    Method: tcp_ecn=1; 5 MB each way."""
    digest = make_file(tmp_path / "5m", 5 << 20)
    net.sysctl("net.ipv4.tcp_ecn", 1)
    start("--root", tmp_path)
    assert Download(net, URL + "/5m").sha256() == digest
    assert Upload(net, URL + "/upload/x", tmp_path / "5m").sha256() == digest
