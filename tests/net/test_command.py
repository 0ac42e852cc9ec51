# SPDX-License-Identifier: MIT
"""The program as an operator meets it: mistakes, signals, idleness, captures.

Mistakes that need no device are in tests/build/test_command.py.
"""
import re
import signal
import subprocess
import time

import pytest

from world import MILLRACE, OURS, child_env, need

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ADDR = ["--addr", "10.77.0.2/24"]


def mistake(net, *argv, user=()):
    """Run it, expect status 1 and one line; the line."""
    with net:
        p = subprocess.run([*user, MILLRACE, "httpd", *argv], capture_output=True, text=True, timeout=20, env=child_env())
    assert p.returncode == 1 and p.stdout == ""
    assert p.stderr.startswith("millrace: ") and p.stderr.count("\n") == 1 and len(p.stderr) < 300, p.stderr
    return p.stderr


# ---- mistakes ----

def test_device_in_use(net, start):
    """Goal: one line that says what to do, when another process has the TAP device.
    Method: the second server on the same one; the first goes on."""
    start()
    assert "tap:mr0: another process uses this interface: stop it, or use another name" in mistake(net, "--dev", "tap:mr0", *ADDR)
    net.page()


def test_device_is_something_else(net):
    """Goal: the same when the name belongs to an interface of another kind.
    Method: a veth of that name, and `lo`."""
    net.ip("link add mr0 type veth peer name mr1")
    assert "tap:mr0: an interface of this name exists and is not a TAP" in mistake(net, "--dev", "tap:mr0", *ADDR)
    assert "tap:lo: an interface of this name exists" in mistake(net, "--dev", "tap:lo", *ADDR)


@pytest.mark.parametrize("argv, said", [
    (["--dev", "tap:", *ADDR], "tap:"),
    (["--dev", "tap:a name", *ADDR], "tap:a name"),
    (["--dev", "tap:a-name-that-is-too-long", *ADDR], "tap:a-name-that-is-too-long"),
    (["--dev", "tap:a/b", *ADDR], "tap:a/b"),
    (["--dev", "tap:mr0", *ADDR, "--mtu", "10"], "mtu"),
    (["--dev", "tap:mr0", *ADDR, "--mtu", "70000"], "mtu"),
    (["--dev", "tap:mr0", *ADDR, "--vlan", "4095"], "vlan"),
    (["--dev", "tap:mr0", "--addr", "10.77.0.2/33"], "10.77.0.2/33"),
    (["--dev", "tap:mr0", "--addr", "10.77.0.300/24"], "10.77.0.300/24"),
    (["--dev", "tap:mr0", *ADDR, "--dev", "tap:mr1", *ADDR], "10.77.0.2"),
    (["--dev", "tap:mr0", *ADDR, "--dev", "tap:mr0", "--addr", "10.78.0.2/24"], "mr0"),
    (["--dev", "tap:mr0", *ADDR, "--local", "10.64.0.0/16", "--local", "10.64.0.0/16"], "10.64.0.0/16"),
    (["--dev", "tap:mr0", *ADDR, "--gateway", "10.99.0.1"], "10.99.0.1"),
    (["--dev", "tap:mr0", *ADDR, "--route", "10.99.0.0/24"], "10.99.0.0/24"),
    (["--dev", "tap:mr0", *ADDR, "--tcp-rto-min", "200"], "unit is missing"),
    (["--dev", "tap:mr0", *ADDR, "--tcp-rto-min", "50s", "--tcp-rto-max", "1s"], "tcp_rto_min"),
    (["--dev", "tap:mr0", *ADDR, "--port", "0"], "--port 0"),
    (["--dev", "tap:mr0", *ADDR, "--stats", "xml"], "xml"),
    (["--dev", "fault:loss=200%,tap:mr0", *ADDR], "200%"),
    (["--dev", "fault:los=1%,tap:mr0", *ADDR], "los"),
    (["--dev", "fault:loss=1%", *ADDR], "names no device"),
    (["--dev", "pcap:/nonexistent/x.pcapng,tap:mr0", *ADDR], "/nonexistent/x.pcapng"),
    (["--dev", "tap:mr0", *ADDR, "surplus"], "surplus"),
], ids=lambda a: " ".join(a[2:]) or a[1] if isinstance(a, list) else "")
def test_mistakes(net, argv, said):
    """Goal: one clear line for each, status 1, and nothing left behind.
    Method: the line names the input; there is no interface afterwards."""
    assert said in mistake(net, *argv)
    assert "mr0" not in net.ip("link show")


def test_no_permission(net):
    """Goal: without the right to make TAP devices, one line that says how to get it.
    Method: as nobody, without capabilities."""
    line = mistake(net, "--dev", "tap:mr0", *ADDR, user=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                                         "--bounding-set=-all", "--inh-caps=-all"])
    assert "no permission" in line and "run as root" in line


# ---- beginning and end ----

@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_ended_by_signal(net, start, sig):
    """Goal: SIGINT and SIGTERM end it promptly with status 0; peers are told.
    Method: idle connections and one in a transfer; all are reset; the interface is gone."""
    server = start()
    conns = [net.connect() for _ in range(20)]
    for s in conns[:10]:
        s.sendall(GET)
        assert b"It runs." in s.recv(65536)
    began = time.monotonic()
    server.stop(sig)
    assert time.monotonic() - began < 0.5
    for s in conns:
        s.settimeout(1)
        with pytest.raises(ConnectionResetError):
            s.recv(1)
        s.close()
    assert "mr0" not in net.ip("link show")


def test_ended_under_load(net, start):
    """Goal: a signal in the middle of work ends it promptly, too.
    Method: wrk runs; SIGTERM, five times."""
    need("wrk")
    for _ in range(5):
        server = start()
        load = net.popen("wrk", "-t1", "-c16", "-d20", f"http://{OURS}/", stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        began = time.monotonic()
        server.stop(signal.SIGTERM)
        assert time.monotonic() - began < 0.5
        load.kill()
        load.wait()


def test_killed_and_started_again(net, start):
    """Goal: after a crash nothing stands in the way of a new start, and old connections learn that they are over.
    Method: SIGKILL; start; the old connection is reset when it speaks, a new one works."""
    server = start()
    s = net.connect()
    s.sendall(GET)
    s.recv(65536)
    server.process.kill()
    server.process.wait()
    start()
    net.page()
    s.sendall(GET)
    with pytest.raises(ConnectionResetError):
        s.recv(1)
    s.close()


def test_idle(net, start, note):
    """Goal: an idle server uses under 1 % of a core.
    Method: 100 connections that have said something; the CPU time of 5 s of silence."""
    server = start()
    conns = [net.connect() for _ in range(100)]
    for s in conns:
        s.sendall(GET)
        s.recv(65536)
    time.sleep(2.2)                             # the announcements are over
    cpu_s, began = server.cpu_s(), time.monotonic()
    time.sleep(5)
    share = (server.cpu_s() - cpu_s) / (time.monotonic() - began)
    note("CPU when idle", f"{share:.2%} of a core")
    assert share < 0.01
    for s in conns:
        s.sendall(GET)
        assert b"It runs." in s.recv(65536)
        s.close()
    sleeps = server.stop()["sleeps"]
    assert sleeps < 2000


def test_stats_as_text(net):
    """Goal: --stats text prints what was counted, one line each with its meaning.
    Method: the lines after a short life."""
    p = net.popen(MILLRACE, "httpd", "--dev", "tap:mr0", *ADDR, "--stats", "text", stdout=subprocess.PIPE,
                  stderr=subprocess.DEVNULL, text=True)
    time.sleep(0.3)
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate(timeout=5)
    assert p.returncode == 0 and re.search(r"^ +\d+ +turns \(.+\)$", out, re.M)


def test_settings_from_file_and_environment(net, start, tmp_path):
    """Goal: the same names in a file, in the environment and as flags; flags win, then the environment.
    Method: the address from a file; --mtu from the environment; and a flag against both."""
    (tmp_path / "conf").write_text("[iface tap:mr0]\naddr = 10.77.0.2/24\nmtu = 1000\n")

    def mtu(argv, **env):
        with net:
            p = subprocess.Popen([MILLRACE, "httpd", *argv], env={**child_env(), **env}, stderr=subprocess.PIPE, text=True)
        try:
            while "httpd on port" not in (line := p.stderr.readline()):
                assert line, "it has ended"
            return int(re.search(r"mtu (\d+)", net.ip("link show dev mr0")).group(1))
        finally:
            p.terminate()
            p.communicate(timeout=5)

    conf = ["--conf", str(tmp_path / "conf")]
    assert mtu(conf) == 1000
    assert mtu(conf, MILLRACE_MTU="1100") == 1100
    assert mtu([*conf, "--mtu", "1200"], MILLRACE_MTU="1100") == 1200


# ---- captures ----

def test_pcap(net, start, tmp_path):
    """Goal: what pcap: writes is read by Wireshark's own tool, and no packet of ours is malformed in its eyes.
    Method: pages, an upload and a ping through `pcap:FILE,tap:mr0`; tshark finds nothing bad but what offloads explain."""
    need("tshark", "ping")
    server = start(devs=[(f"pcap:{tmp_path}/x.pcapng,tap:mr0", "10.77.0.2/24", "10.77.0.1/24")])
    net.page()
    net.curl("-T", MILLRACE, f"http://{OURS}/upload/x")
    net.run("ping", "-q", "-n", "-c", 1, OURS)
    with pytest.raises(ConnectionRefusedError):
        net.connect(81)
    server.stop()

    def tshark(*argv):
        return subprocess.run(["tshark", "-n", "-r", tmp_path / "x.pcapng", *argv], check=True, capture_output=True,
                              text=True).stdout
    assert len(tshark().splitlines()) > 20
    assert tshark("-Y", "_ws.malformed || _ws.short") == ""
    assert tshark("-Y", f"ip.src == {OURS} && (tcp.analysis.retransmission || tcp.analysis.ack_lost_segment)") == ""
    assert len(tshark("-Y", "http.response.code == 200").splitlines()) == 2
