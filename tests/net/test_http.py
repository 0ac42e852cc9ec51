# SPDX-License-Identifier: MIT
"""curl, wrk and raw sockets of Linux against `millrace httpd`."""
import http.client
import os
import re
import socket

import pytest

from world import OURS, make_file, need, recv_all, sha256

URL = f"http://{OURS}"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def status_of(answer):
    """Of the first answer in @answer; 0: there is none."""
    m = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(m.group(1)) if m else 0


def ask(net, request, half_close=True):
    """Everything that the server says to @request until it closes; a reset ends it as well."""
    s = net.connect()
    try:
        s.sendall(request)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        return recv_all(s)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        s.close()


def connection(net):
    """http.client in the namespace: one connection, kept."""
    c = http.client.HTTPConnection(OURS, timeout=20)
    c.sock = net.connect()
    return c


def test_page(net, start):
    """Goal: the first run: curl gets a page.
    Method: curl of the welcome page, with its head."""
    start()
    out = net.curl("-i", URL + "/").stdout
    assert out.startswith("HTTP/1.1 200 OK") and "It runs." in out


def test_files_of_many_sizes(net, start, tmp_path):
    """Goal: files arrive as they are, whatever their size.
    Method: sizes around segment, buffer, cache and window sizes; SHA-256 of each on one kept connection."""
    root = tmp_path / "root"
    root.mkdir()
    sizes = [0, 1, 2, 535, 536, 1447, 1448, 1449, 1460, 2896, 4095, 4096, 16383, 16384, 65535, 65536, 65537,
             262143, 262144, 262145, 1000000, 10 << 20]
    digests = {n: make_file(root / str(n), n, seed=n) for n in sizes}
    server = start("--root", root)
    c = connection(net)
    for n in sizes:
        c.request("GET", f"/{n}")
        body = c.getresponse().read()
        assert (len(body), sha256(body)) == (n, digests[n])
    c.request("GET", "/1000000", headers={"Range": "bytes=999000-999999"})
    r = c.getresponse()
    assert r.status == 206 and r.read() == (root / "1000000").read_bytes()[999000:]
    c.close()
    assert server.stop()["tcp_passive_opens"] == 1


def test_keep_alive(net, start):
    """Goal: a connection serves many requests.
    Method: 2,000 requests one after the other on one connection; the server has seen one connection."""
    server = start()
    c = connection(net)
    for _ in range(2000):
        c.request("GET", "/")
        r = c.getresponse()
        assert r.status == 200 and b"It runs." in r.read()
    c.close()
    stats = server.stop()
    assert stats["tcp_passive_opens"] == 1
    assert stats["tcp_segs_retrans"] == 0


def test_pipelining(net, start):
    """Goal: requests that come together are answered together, in order; octets that come apart are one request.
    Method: 3,000 requests in one write, of three kinds in turn; then a request octet by octet."""
    start()
    kinds = [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200), (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
             (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200)]
    s = net.connect()
    s.setblocking(True)
    want = [kinds[i % 3][1] for i in range(3000)]
    s.sendall(b"".join(kinds[i % 3][0] for i in range(3000)) + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answers = recv_all(s)
    assert [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)] == want + [200]
    s.close()

    s = net.connect()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in GET:
        s.send(bytes([octet]))
    assert status_of(s.recv(65536)) == 200
    s.close()


def test_head(net, start, tmp_path):
    """Goal: HEAD says what GET would, without the body.
    Method: HEAD and GET of a page and of a large file on one connection; the lengths are equal."""
    make_file(tmp_path / "big", 3000000)
    start("--root", tmp_path)
    c = connection(net)
    for _ in range(2):
        c.request("HEAD", "/big")
        head = c.getresponse()
        assert head.read() == b""
        c.request("GET", "/big")
        got = c.getresponse()
        assert len(got.read()) == 3000000 == int(head.headers["Content-Length"])
    c.close()


def test_only_what_is_below_the_root(net, start, tmp_path):
    """Goal: nothing outside --root can be had.
    Method: a secret beside the root, asked for by every way out that paths and links know."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("a secret")
    (root / "inside").write_text("no secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "links").symlink_to(tmp_path)
    (root / "absolute").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    start("--root", root)
    assert b"no secret" in ask(net, b"GET /sub/../inside HTTP/1.1\r\nHost: x\r\n\r\n")
    outside = ["/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret", "//../secret",
               "/sub/%2e%2e/%2e%2e/secret", "/./../secret", "/link", "/links/secret", "/absolute", "/fifo",
               "/../../../../../../../../etc/passwd", "//etc/passwd", "/..\\secret", "/inside%00/../../secret", "/%",
               "/%zz", "http://x/../secret", "../secret", f"/..{tmp_path}/secret", "/" + "../" * 300 + "etc/passwd"]
    for path in outside:
        answer = ask(net, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"a secret" not in answer and b"root:" not in answer, path
        assert status_of(answer) in (400, 403, 404, 414), (path, answer[:80])


MALFORMED = [
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, {400, 501}),
    ("no method", b" / HTTP/1.1\r\nHost: x\r\n\r\n", {400, 501}),
    ("unknown method", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", {400, 405, 501}),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", {400}),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", {400, 505}),
    ("HTTP/9", b"GET / HTTP/999999.1\r\nHost: x\r\n\r\n", {400, 505}),
    ("blank in the name", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", {400}),
    ("NUL in a field", b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", {400}),
    ("long target", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431}),
    ("long head", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100000 + b"\r\n\r\n", {431}),
    ("many fields", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n", {431}),
    ("length no number", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", {400}),
    ("length too large", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", {400}),
    ("length negative", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
    ("two lengths", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400}),
    ("bad chunk", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {400}),
    ("huge chunk", b"PUT /upload/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40, {400, 413}),
    ("body nobody asked for", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"a" * 900000, {413}),
]


@pytest.mark.parametrize("what, request_, want", MALFORMED, ids=[m[0].replace(" ", "-") for m in MALFORMED])
def test_malformed_request(net, start, what, request_, want):
    """Goal: what is no request is refused with a status, and costs nobody else anything.
    Method: the request, then an orderly one on a new connection."""
    start()
    assert status_of(ask(net, request_, half_close=False)) in want
    assert status_of(ask(net, GET)) == 200


def test_requests_that_end_early(net, start):
    """Goal: a request cut off anywhere is not answered as a whole one, and leaves nothing behind.
    Method: every proper prefix of a request, then the end; the connection is closed by the server each time."""
    server = start("--max-conns", 64, "--tcp-time-wait", "10ms")
    for n in range(len(GET)):
        assert status_of(ask(net, GET[:n])) in (0, 400), n
    net.page()
    assert server.stop()["drop_tcp_no_conn"] == 0


def test_uploads(net, start, tmp_path):
    """Goal: what is sent to /upload/ arrives as it was, with and without a length announced.
    Method: PUT of many sizes by curl, with Content-Length, chunked, and after 100-continue; digests compared."""
    start("--upload-max", "5M")
    for n in (0, 1, 1448, 65536, 1000001, 5 << 20):
        want = f"length: {n}\nsha256: {make_file(tmp_path / 'up', n)}\n"
        chunked = [["-H", "Transfer-Encoding: chunked"]] if n else []    # curl 7.88 forgets the last chunk of nothing
        for how in ([], ["-H", "Expect: 100-continue"], *chunked):
            assert net.curl("-T", tmp_path / "up", *how, URL + "/upload/x").stdout == want
    make_file(tmp_path / "up", (5 << 20) + 1)
    for how in ([], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]):
        out = net.curl("-T", tmp_path / "up", *how, "-w", "%{http_code}", "-o", "/dev/null", URL + "/upload/x", check=False)
        assert out.stdout == "413"


def test_wrk(net, start, note):
    """Goal: under load nothing goes wrong.
    Method: wrk with 64 connections for 3 s (and one that it tries before); no socket errors, only 200s, every answer
    counted on both sides."""
    need("wrk")
    server = start()
    out = net.run("wrk", "-t1", "-c64", "-d3", URL + "/").stdout
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    note("requests/s, 64 connections", f"{rate:,.0f}")
    assert rate > 1000
    cpu_s = server.cpu_s()
    stats = server.stop()
    done = int(re.search(r"(\d+) requests in", out).group(1))
    answered = int(re.search(r"answered (\d+) requests", server.stderr).group(1))
    note("server CPU a request", f"{cpu_s / answered * 1e6:.2f} us")
    assert done <= answered <= done + 64
    assert stats["tcp_passive_opens"] == 65 and stats["tcp_segs_retrans"] == 0


def test_wrk_connection_a_request(net, start, note):
    """Goal: the same when each request has a connection of its own, closed by the server.
    Method: wrk with `Connection: close` for 2 s; no errors; every connection went through TIME-WAIT here."""
    need("wrk")
    server = start("--tcp-time-wait", "10ms")
    out = net.run("wrk", "-t1", "-c64", "-d2", "-H", "Connection: close", URL + "/").stdout
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    note("connections/s", re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    stats = server.stop()
    done = int(re.search(r"(\d+) requests in", out).group(1))
    assert stats["tcp_passive_opens"] >= done > 100
    assert done <= stats["tcp_tw_started"] <= stats["tcp_passive_opens"]
