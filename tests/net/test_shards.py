# SPDX-License-Identifier: MIT
"""Several shards behind one TAP device: the kernel's queues, or one that is spread by software."""
import os
import selectors
import time

import pytest

from world import MILLRACE, OURS, Download, make_file, need, sha256, until

TAP = (OURS + "/24", "10.77.0.1/24")
WAYS = pytest.mark.parametrize("dev", ["tap:mr0", "steer:tap:mr0", "steer:pcap:{tmp}/x.pcapng,tap:mr0"])


def begin(start, net, dev, shards, *args, command="echo"):
    return start("--shards", str(shards), *args, command=command, devs=[(dev.format(tmp=net.tmp), *TAP)])


def echo_many(net, cnt, octets):
    """Each of @cnt connections open at once sends its own octets and gets them back."""
    socks = [net.connect(port=7) for _ in range(cnt)]
    selector = selectors.DefaultSelector()
    for i, s in enumerate(socks):
        want = b"%d " % i * (octets // len(b"%d " % i))
        s.sendall(want)
        selector.register(s, selectors.EVENT_READ, [want, b""])
    left = cnt
    while left:
        ready = selector.select(10)
        assert ready, f"{left} of {cnt} have no answer"
        for key, _ in ready:
            want, got = key.data
            got += key.fileobj.recv(65536)
            key.data[1] = got
            if len(got) >= len(want):
                assert got == want
                selector.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1


@pytest.mark.parametrize("shards", [2, 4])
@WAYS
def test_echo(net, start, dev, shards):
    """Goal: connections of Linux's TCP are served whichever shard they come to, and no frame is lost between shards.
    Method: 300 connections at once, twice; the counters of all shards together."""
    server = begin(start, net, dev, shards)
    for octets in (100, 5000):
        echo_many(net, 300, octets)
    stats = server.stop()
    assert stats["tcp_passive_opens"] == 600
    assert stats["drop_steer_full"] == stats["tcp_segs_retrans"] == 0


@WAYS
def test_threads_share_the_work(net, start, dev):
    """Goal: each shard's thread does its part.
    Method: the time that each thread of the server has used, while connections come and go."""
    server = begin(start, net, dev, 2)
    for _ in range(5):
        echo_many(net, 200, 1000)
    used = []
    for tid in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{tid}/schedstat") as f:
            used.append(int(f.read().split()[0]))
    assert len(used) == 2 and min(used) > 2_000_000, used


def test_bound_to_cores(net, start):
    """Goal: the thread of shard i runs on the i-th of cpus, and nowhere else.
    Method: the masks that the kernel has for them."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    server = begin(start, net, "tap:mr0", 2, "--cpus", f"{cores[1]},{cores[0]}")
    threads = sorted(int(t) for t in os.listdir(f"/proc/{server.pid}/task"))
    assert until(lambda: [os.sched_getaffinity(t) for t in threads] == [{cores[1]}, {cores[0]}])


def test_core_that_is_not_there(net):
    """Goal: one line, when a shard's core does not exist.
    Method: cpus of a machine that is larger than any."""
    p = net.run(MILLRACE, "echo", "--dev", "tap:mr0", "--addr", TAP[0], "--shards", "2", "--cpus", "0,60000", check=False)
    assert p.returncode == 1 and "cpus" in p.stderr


@pytest.mark.parametrize("dev", ["tap:mr0", "steer:tap:mr0"])
def test_files(net, start, dev, tmp_path):
    """Goal: super-segments and checksums pass from shard to shard as they are.
    Method: eight downloads of 20 MB at once from httpd with three shards; their checksums."""
    make_file(tmp_path / "f", 20_000_000)
    begin(start, net, dev, 3, "--root", str(tmp_path), command="httpd")
    loads = [Download(net, f"http://{OURS}/f") for _ in range(8)]
    want = sha256((tmp_path / "f").read_bytes())
    for load in loads:
        assert load.sha256() == want


@pytest.mark.parametrize("dev", ["tap:mr0", "steer:tap:mr0"])
def test_idle(net, start, note, dev):
    """Goal: shards with nothing to do sleep, and wake for the next connection.
    Method: CPU time over two idle seconds of four shards; then 50 connections."""
    server = begin(start, net, dev, 4)
    echo_many(net, 50, 100)
    time.sleep(1.5)
    before = server.cpu_s()
    time.sleep(2)
    used = server.cpu_s() - before
    note("CPU when idle, four shards", f"{used / 2:.2%} of a core")
    assert used < 0.1
    echo_many(net, 50, 100)


def test_existing_tap_with_one_queue(net, start):
    """Goal: an interface that root made for one queue serves several shards.
    Method: ip tuntap add without multi_queue."""
    net.ip("tuntap add mr0 mode tap")
    begin(start, net, "tap:mr0", 2)
    echo_many(net, 100, 100)


def test_errors_find_their_shard(net, start):
    """Goal: ping is answered, once, and connections to a port where nobody listens are refused on every shard.
    Method: ping; 50 connections to port 9."""
    need("ping")
    server = begin(start, net, "steer:tap:mr0", 4)
    assert " 0% packet loss" in net.run("ping", "-c", "3", "-i", "0.2", OURS).stdout
    for _ in range(50):
        with pytest.raises(ConnectionRefusedError):
            net.connect(port=9)
    assert server.stop()["icmp_echoes"] == 3


@pytest.mark.parametrize("link, dev", [("multi_queue", "tap:mr0"), ("multi_queue", "steer:tap:mr0"), ("", "tap:mr0")])
def test_address_in_use(net, link, dev):
    """Goal: the answer of the host that has our address is heard, by whichever queue it comes.
    Method: --arp-dad with eight shards; the kernel has the address on the very link, three times over."""
    for mac in ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"):
        net.ip(f"tuntap add dev mr0 mode tap vnet_hdr {link}")
        net.ip(f"link set mr0 address {mac} up")
        net.ip(f"addr add {OURS}/24 dev mr0")
        p = net.run(MILLRACE, "echo", "--dev", dev, "--addr", OURS + "/24", "--arp-dad", "yes", "--shards", "8", check=False)
        assert p.returncode == 1 and "in use" in p.stderr.splitlines()[-1]
        net.ip("link del mr0")
