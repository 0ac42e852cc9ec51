# SPDX-License-Identifier: MIT
"""A wrong configuration is one clear line and exit status 1."""
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MILLRACE = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"), "millrace")

ADDR = ["--addr", "10.77.0.2/24"]


def run(*argv, **env):
    return subprocess.run([MILLRACE, *argv], capture_output=True, text=True, timeout=20, env={**os.environ, **env})


@pytest.mark.parametrize("argv, said", [
    (["htpd"], "htpd: no such command"),
    (["htpd"], "did you mean httpd?"),
    (["xyzzy"], "`millrace --help` lists them"),
    ([], "which command?"),
    (["httpd"], "no device; name one, like --dev tap:mr0 --addr 10.77.0.2/24"),
    (["httpd", "--dev", "null:"], "null: has no address; give it one"),
    (["httpd", "--dev", "nul:", *ADDR], "nul:"),
    (["httpd", "--dev", "mr0", *ADDR], "--dev mr0: a device is named SCHEME:REST"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.2"], "the length is missing"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.0/24"], "is a network, not a host"),
    (["httpd", "--dev", "null:", *ADDR, *ADDR], "is given twice"),
    (["httpd", "--dev", "null:", *ADDR, "--gateway", "10.9.9.9"], "gateway 10.9.9.9 is on no network of ours"),
    (["httpd", "--dev", "null:", *ADDR, "--max-con", "5"], "did you mean --max-conns?"),
    (["httpd", "--dev", "null:", *ADDR, "--max-listeners", "0"], "out of range; give 1 to"),
    (["httpd", "--dev", "null:", *ADDR, "--port", "http"], "--port http: not a number"),
    (["httpd", "--dev", "null:", *ADDR, "--root", "/nonexistent"], "--root /nonexistent: No such file"),
    (["echo", "--dev", "null:", *ADDR, "--prot", "7"], "--prot: no such option; did you mean --port?"),
    (["httpd", "--idle-timout=5s"], "--idle-timout: no such option; did you mean --idle-timeout?"),
    (["bench", "bytes", "--conn", "5"], "--conn: no such option; did you mean --conns?"),
    (["httpd", "--xyzzy"], "--xyzzy: no such option; `millrace httpd --help` lists them"),
    (["httpd", "extra"], "extra: not an option; httpd takes options only"),
    (["httpd", *ADDR, "--dev", "null:"], "name one first, like --dev tap:mr0"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.2/24,"], "24,: an item of the list is empty"),
    (["httpd", "--dev", "null:", "--addr", ""], "an item of the list is empty"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.2"], "--addr 10.77.0.2: the length is missing"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.2/33"], "--addr 10.77.0.2/33: is not an address with a length"),
    (["httpd", "--dev", "null:", "--addr", "10.77.0.2/24,10.78.0.2"], "24,10.78.0.2: 10.78.0.2: the length is missing"),
    (["httpd", "--dev", "null:", *ADDR, "--stats", "foo"], "--stats foo: no such form; give one of text, json, none"),
    (["httpd", "--dev", "null:", *ADDR, "--idle-timeout", "5"], "--idle-timeout 5: unit is missing; write it like 75s"),
    (["httpd", "--dev", "null:", *ADDR, "--idle-timeout", "5m"], "not a number of seconds; write it like 75s"),
    (["httpd", "--dev", "tap:mrtest9", *ADDR, "--dev", "tap:mrtest9", "--addr", "10.78.0.2/24"],
     "device tap:mrtest9 is given twice"),
    (["httpd", "--dev", "tap:mrtest9", *ADDR, "--dev", "fault:loss=1%,tap:mrtest9", "--addr", "10.78.0.2/24"],
     "device tap:mrtest9 is given twice"),
    (["c10m", "--conns", "-5"], "--conns -5: not a number from 1 to 100000000"),
    (["c10m", "--dev", "tap:mrtest9", *ADDR], "device tap:mrtest9: both ends are here, so it must have two"),
    (["c10m", "--dev", "loop:"], "device loop:: both ends are here, so it must have two"),
    (["c10m", "--ends", "server"], "--ends server: name the device that leads to the other end, --dev shm:NAME"),
    (["c10m", "--ends", "client", "--dev", "loop:x"], "device loop:x: the other end is in another process"),
    (["c10m", "--ends", "none"], "--ends none: give both, server or client"),
    (["c10m", "--shards", "2"], "--shards 2: each end of c10m is one shard"),
    (["c10m", "--client", "thin"], "--client thin: give sockets or sparse"),
    (["bench", "bytes", "--dev", "fault:loss=1%,null:", *ADDR], "it must reflect; name none, or loop:"),
    (["bench", "bytes", "--conns", "10", "--dev", "loop:"], "loop: has no address"),
    (["bench", "bytes", "--conns", "10", "--log", "warn", "--dev", "loop:", *ADDR],
     "give loop: --addr 10.64.0.1/10 --local 10.64.0.0/10"),
    (["httpd", "--conf", "/nonexistent"], "/nonexistent: No such file"),
])
def test_mistake_is_one_line(argv, said):
    r = run(*argv)
    assert r.returncode == 1
    assert r.stdout == ""
    assert r.stderr.count("\n") == 1 and r.stderr.startswith("millrace: ")
    assert said in r.stderr


def test_mistake_in_the_environment_names_the_variable():
    r = run("httpd", MILLRACE_MAX_CONNS="many")
    assert r.returncode == 1
    assert r.stderr.startswith("millrace: MILLRACE_MAX_CONNS=many: not a number")


def test_address_without_a_device_in_the_environment():
    r = run("httpd", MILLRACE_ADDR="10.77.0.2/24")
    assert r.returncode == 1
    assert "name one first, like MILLRACE_DEV=tap:mr0" in r.stderr


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_measure_over_a_device_of_the_users(form):
    r = run("bench", "bytes", "--conns", "100", "--dev", "fault:loss=0%,loop:", "--addr", "10.64.0.1/10",
            "--local", "10.64.0.0/10", *form)
    assert r.returncode == 0, r.stderr
    assert ('"connections": 100,' if form else "bytes  reach") in r.stdout


@pytest.mark.parametrize("name", ["echo_blocking", "echo_epoll"])
def test_examples_say_how_they_are_used(name):
    program = os.path.join(os.path.dirname(MILLRACE), name)
    asked = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20)
    assert asked.returncode == 0 and asked.stdout.startswith(f"usage: {name} ") and asked.stderr == ""
    wrong = subprocess.run([program, "--prot", "7"], capture_output=True, text=True, timeout=20)
    assert wrong.returncode == 1 and wrong.stdout == ""
    assert wrong.stderr.startswith(f"--prot: no such option; usage: {name} ") and wrong.stderr.count("\n") == 1


def test_no_permission_for_a_tap():
    if os.geteuid() != 0:
        pytest.skip("needs root, to give it up")
    r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                        "--inh-caps=-all", MILLRACE, "httpd", "--dev", "tap:mrtest9", *ADDR],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 1
    assert r.stderr.count("\n") == 1
    assert "mrtest9" in r.stderr or "/dev/net/tun" in r.stderr


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["--help-options"], ["httpd", "--help"], ["echo", "--help"]])
def test_help(argv):
    r = run(*argv)
    assert r.returncode == 0
    assert r.stdout and r.stderr == ""
