# SPDX-License-Identifier: MIT
"""`millrace c10m`: small herds, in each of its forms."""
import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MILLRACE = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"), "millrace")

CONNS, MSG, BEAT = 2000, 100, 16
KINDS = ["connections", "half_open", "time_wait", "queues", "sockets", "flows", "packets"]


def start(*argv):
    return subprocess.Popen([MILLRACE, "c10m", "--json", "--hold", "0", "--log", "warn", *argv],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return json.loads(out)


def run(*argv):
    return result(start(*argv))


def holds_nothing(end):
    assert {k: end[k] for k in KINDS} == {k: 0 for k in KINDS}


def went_well(r, conns):
    assert r["connections"] == r["closed"] == conns
    assert r["wrong"] == 0 and r["frames_lost"] == 0 and not r["failed"]


@pytest.mark.parametrize("client", ["sockets", "sparse"])
@pytest.mark.parametrize("msg", [1, MSG, 5000])
def test_both_ends(client, msg):
    r = run("--conns", str(CONNS), "--client", client, "--msg", str(msg))
    went_well(r, CONNS)
    assert r["ends"] == "both" and r["client"] == client
    assert r["messages"] == r["heartbeats"] == CONNS and r["message_octets"] == msg
    holds_nothing(r["server_left"])
    holds_nothing(r["client_left"])
    sent, got = r["client_left"]["tx_frames"], r["server_left"]["rx_frames"]
    assert got == sent >= 6 * CONNS             # SYN, ACK, message, heartbeat, FIN, ACK at the least


@pytest.mark.parametrize("client", ["sockets", "sparse"])
def test_two_processes(client, tmp_path):
    dev = ["--dev", f"shm:c10m-{os.getpid()}-{client}", "--conns", str(CONNS)]
    server = start("--ends", "server", *dev)
    try:
        r = run("--ends", "client", "--client", client, *dev)
        s = result(server)
    finally:
        server.kill()
    went_well(r, CONNS)
    went_well(s, CONNS)
    assert r["ends"] == "client" and s["ends"] == "server"
    assert r["messages"] == r["heartbeats"] == CONNS
    holds_nothing(s["server_left"])
    holds_nothing(r["client_left"])
    assert "client_left" not in s and "server_left" not in r


def test_rates_are_kept():
    r = run("--conns", "500", "--rate", "1000", "--heartbeat", "1000")
    went_well(r, 500)
    assert r["connect_s"] >= 0.45
    assert r["heartbeats"] == 500 and r["heartbeats_per_s"] <= 1100


def test_without_heartbeat():
    r = run("--conns", "100", "--heartbeat", "0")
    went_well(r, 100)
    assert r["heartbeats"] == 0 and r["messages"] == 100


@pytest.mark.parametrize("client", ["sockets", "sparse"])
def test_loss_is_made_good(client):
    """Frames lost in both directions: all is said again until it is right; and the lost ones are told."""
    r = run("--conns", "300", "--client", client, "--dev", "fault:loss=2%,seed=7,loop:lossy")
    went_well(r, 300)
    assert r["messages"] == r["heartbeats"] == 300
    lost = r["client_left"]["tx_frames"] - r["server_left"]["rx_frames"]
    assert 0 < lost <= r["client_left"]["dropped"] + r["server_left"]["dropped"]


def test_the_table():
    r = subprocess.run([MILLRACE, "c10m", "--conns", "1k", "--hold", "0"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert "left at the server                   nothing" in r.stdout
    assert "wrong, of all octets compared        0" in r.stdout
    assert "1,000 of 1,000" in r.stderr
