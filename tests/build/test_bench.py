# SPDX-License-Identifier: MIT
"""Every benchmark runs and says what it should.  How fast is not looked at: machines are noisy."""
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MILLRACE = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"), "millrace")


def run(*argv):
    return subprocess.run([MILLRACE, "bench", *argv], capture_output=True, text=True, timeout=120)


def results(*argv):
    r = run(*argv, "--json")
    assert r.returncode == 0, r.stderr
    out = json.loads(r.stdout)
    assert out["benchmark"] == argv[0] and out["tsc_mhz"] > 100 and out["cores"] > 0
    return out["results"]


def numbers(row, *keys):
    for key in keys:
        assert row[key] > 0, (key, row)


def test_rxpath():
    rows = results("rxpath", "--flows", "1,2k", "--seconds", "0.1")
    assert [row["flows"] for row in rows] == [1, 2000]
    for row in rows:
        numbers(row, "cycles_median", "cycles_p99", "cycles_mean", "ns", "reach", "then")
        assert row["cycles_median"] <= row["cycles_p99"]


def test_rxpath_with_checksums():
    numbers(results("rxpath", "--flows", "10", "--csum", "--seconds", "0.05")[0], "cycles_median")


@pytest.mark.parametrize("client", ["sparse", "sockets"])
@pytest.mark.parametrize("over", ["loop", "shm"])
def test_pps(client, over):
    # 3,000 is more than the window: some at a time, in random order.
    rows = results("pps", "--conns", "8,3k", "--client", client, "--over", over, "--seconds", "0.2")
    assert [row["conns"] for row in rows] == [8, 3000]
    for row in rows:
        numbers(row, "echoes_s", "packets_s", "cycles_echo", "server_busy__", "reach", "then")
        assert row["packets_s"] >= 1.9 * row["echoes_s"]
        assert row["kernel_echoes_s"] is None and row["ratio"] is None


@pytest.mark.parametrize("client", ["sparse", "sockets"])
def test_cps(client):
    row = results("cps", "--client", client, "--seconds", "0.2")[0]
    numbers(row, "conns_s", "cycles_conn", "packets_conn", "reach", "then")
    assert row["packets_conn"] >= 6


@pytest.mark.parametrize("argv, cycles", [(["pps", "--conns", "8,3k"], "cycles_echo"), (["cps"], "cycles_conn")])
def test_both_ends_in_one_thread(argv, cycles):
    for row in results(*argv, "--one-thread", "--seconds", "0.1"):
        numbers(row, cycles, "if_all_busy_s")
        assert row["server_busy__"] is None


def test_rtt():
    rows = results("rtt", "--seconds", "0.2")
    assert [(row["over"], row["figure"]) for row in rows] == [(o, f) for o in ("shm", "loop")
                                                             for f in ("p50", "p99", "p99.9", "max")]
    for four in rows[:4], rows[4:]:
        us = [row["us"] for row in four]
        assert us[0] > 0 and us == sorted(us)


def test_bulk():
    rows = results("bulk", "--flows", "1,4", "--seconds", "0.1")
    assert len(rows) == 8 and {row["flows"] for row in rows} == {1, 4}
    assert sum("64 KB" in row["frames"] for row in rows) == 4
    for row in rows:
        numbers(row, "gbit_s", "cycles_kb")


@pytest.mark.parametrize("argv, ours, kernels", [
    (["pps", "--conns", "8"], "echoes_s", "kernel_echoes_s"),
    (["cps", "--window", "8"], "conns_s", "kernel_conns_s"),
    (["rtt", "--over", "loop"], "us", "kernel_us"),
    (["bulk", "--flows", "1", "--over", "shm"], "gbit_s", "kernel_gbit_s"),
])
def test_beside_the_kernel(argv, ours, kernels):
    for row in results(*argv, "--vs-kernel", "--seconds", "0.6"):
        numbers(row, ours, kernels)
        assert row["ratio"] is not None         # where one of the two was held up it may be printed as 0


def test_bytes():
    row = results("bytes", "--conns", "2k")[0]
    assert row["connections"] == 2000 and 0 < row["bytes"] < 10000


def test_table_for_people():
    r = run("rxpath", "--flows", "5", "--seconds", "0.05")
    assert r.returncode == 0 and r.stderr == ""
    head = next(line for line in r.stdout.splitlines() if "median" in line)
    assert re.search(r"flows +cycles median .*reach +then", head)


def test_list_and_help():
    listed = run()
    assert listed.returncode == 0
    names = re.findall(r"^  (\w+) +\S", listed.stdout, re.M)
    assert {"rxpath", "pps", "cps", "rtt", "bulk", "bytes"} <= set(names)
    for name in names:
        if name != "millrace":
            asked = run(name, "--help")
            assert asked.returncode == 0 and f"millrace bench {name}" in asked.stdout and "--json" in asked.stdout


@pytest.mark.parametrize("argv, said", [
    (["rxpth"], "bench rxpth: no such benchmark; did you mean rxpath?"),
    (["xyzzy"], "`millrace bench` lists them"),
    (["rxpath", "--flows", "0"], "--flows 0: give up to 16 numbers from 1 to"),
    (["rxpath", "--flows", "1,"], "--flows 1,: give up to 16 numbers from 1 to"),
    (["pps", "--seconds", "soon"], "--seconds soon: not a number of seconds"),
    (["pps", "--over", "tap"], "--over tap: no such way; give loop or shm"),
    (["cps", "--client", "none"], "--client none: no such client; give sparse or sockets"),
    (["rxpath", "--dev", "null:", "--addr", "10.0.0.1/24"], "rxpath brings its own device"),
    (["rtt", "--dev", "null:", "--addr", "10.0.0.1/24"], "brings its own devices"),
])
def test_mistake_is_one_line(argv, said):
    r = run(*argv)
    assert r.returncode == 1 and r.stdout == ""
    assert r.stderr.count("\n") == 1 and r.stderr.startswith("millrace: ")
    assert said in r.stderr
