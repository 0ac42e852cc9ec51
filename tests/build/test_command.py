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
    (["httpd", "--dev", "null:", *ADDR, "--max-conns", "0"], "out of range; give 1 to"),
    (["httpd", "--dev", "null:", *ADDR, "--port", "http"], "--port http: not a number"),
    (["httpd", "--dev", "null:", *ADDR, "--root", "/nonexistent"], "--root /nonexistent: No such file"),
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
