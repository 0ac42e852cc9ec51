# SPDX-License-Identifier: MIT
"""Many octets, over good networks and bad ones.

The retransmission timer's minimum is 200 ms, as Linux's; our sender has no
SACK yet, and so Linux's has none towards us.  With 1 % loss such a pair often
has to wait for the timer: 1 GB then takes minutes, nearly all of it silence.
So the lossy tests set the minimum to 5 ms at both ends, as one would in a data
centre; MILLRACE_FULL=1 leaves it as it is.
"""
import re

import pytest

from world import FULL, OURS, Download, Server, Upload, make_file, need, veth

GB = 1000 * 1000 * 1000
URL = f"http://{OURS}"
RTO_MIN = [] if FULL else ["--tcp-rto-min", "5ms"]
TIMEOUT = 1200 if FULL else 150


@pytest.fixture(scope="module")
def giga(tmp_path_factory):
    """A directory with a file of 1 GB, and the file's digest."""
    root = tmp_path_factory.mktemp("giga")
    yield root, make_file(root / "1g", GB)
    (root / "1g").unlink()


def rto_min(ns, route):
    if not FULL:
        ns.ip(f"route replace {route} rto_min 5ms")


def both_ways(ns, giga, note, how):
    root, digest = giga
    down = Download(ns, URL + "/1g", timeout=TIMEOUT)
    assert down.sha256() == digest
    note(f"1 GB down, {how}", f"{down.seconds:.1f} s")
    up = Upload(ns, URL + "/upload/1g", root / "1g", timeout=TIMEOUT)
    assert up.sha256() == digest
    note(f"1 GB up, {how}", f"{up.seconds:.1f} s")


def test_1gb_clean(net, start, giga, note):
    """Goal: 1 GB arrives as it was, each way, and nothing of it has to be sent twice.
    Method: curl of a file, and PUT of it; SHA-256 at the receiver."""
    server = start("--root", giga[0])
    both_ways(net, giga, note, "clean")
    stats = server.stop()
    assert stats["tcp_segs_retrans"] == stats["tcp_rto"] == 0
    assert stats["tcp_bytes_rcvd"] > GB and stats["tcp_bytes_sent"] > GB


def test_1gb_fault_loss(net, start, giga, note):
    """Goal: the same when 1 % of all frames is lost, each way.
    Method: the fault: device in front of the TAP, which also takes the offloads away: frames as on a wire."""
    server = start(*RTO_MIN, "--root", giga[0], devs=[("fault:loss=1%,tap:mr0", "10.77.0.2/24", "10.77.0.1/24")])
    rto_min(net, "10.77.0.0/24 dev mr0 src 10.77.0.1")
    both_ways(net, giga, note, "1 % loss by fault:")
    stats = server.stop()
    note("seen", {k: stats[k] for k in ("drop_fault_loss", "tcp_segs_retrans", "tcp_fast_retrans", "tcp_rto")})
    assert stats["drop_fault_loss"] > 10000 and stats["tcp_segs_retrans"] > 1000


def test_1gb_nftables_loss(netns, giga, note):
    """Goal: the same when a router on the way loses 1 % each way: of frames of up to 64 KB, many segments at once.
    Method: client -- veth -- router with nftables -- TAP -- stack."""
    need("nft")
    client, router = netns(), netns()
    veth(client, "v0", router, "v1")
    client.ip("addr add 10.88.0.9/24 dev v0")
    router.ip("addr add 10.88.0.1/24 dev v1")
    client.ip("route add default via 10.88.0.1")
    rto_min(client, "default via 10.88.0.1")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.nft("""table ip lossy {
        chain forward {
            type filter hook forward priority 0
            numgen random mod 100 < 1 counter drop
        }
    }""")
    server = Server(router, *RTO_MIN, "--gateway", "10.77.0.1", "--root", giga[0])
    both_ways(client, giga, note, "1 % loss by nftables")
    lost = int(re.search(r"packets (\d+)", router.run("nft", "list", "ruleset").stdout).group(1))
    stats = server.stop()
    note("seen", {"lost": lost, **{k: stats[k] for k in ("tcp_segs_retrans", "tcp_fast_retrans", "tcp_rto")}})
    assert lost > 100 and stats["tcp_segs_retrans"] > 100


@pytest.mark.parametrize("faults", ["reorder=5%", "dup=5%", "corrupt=1%", "delay=5ms,jitter=5ms", "rate=200mbit"])
def test_other_faults(net, start, tmp_path, note, faults):
    """Goal: reordered, doubled, damaged, late and queued frames do no harm.
    Method: 10 MB each way with equal digests."""
    digest = make_file(tmp_path / "10m", 10 << 20)
    server = start(*RTO_MIN, "--root", tmp_path, devs=[(f"fault:{faults},tap:mr0", "10.77.0.2/24", "10.77.0.1/24")])
    rto_min(net, "10.77.0.0/24 dev mr0 src 10.77.0.1")
    down = Download(net, URL + "/10m", timeout=TIMEOUT)
    assert down.sha256() == digest
    up = Upload(net, URL + "/upload/x", tmp_path / "10m", timeout=TIMEOUT)
    assert up.sha256() == digest
    note(f"10 MB with {faults}", f"{down.seconds:.2f} s down, {up.seconds:.2f} s up")
    server.stop()
