# SPDX-License-Identifier: MIT
"""Fixtures of the tests against Linux's TCP: /usr/bin/python3 -m pytest tests/net

MILLRACE=PATH        the program to test (build/millrace)
MILLRACE_BUILD=DIR   the build directory, for the examples too (build)
MILLRACE_FULL=1      the long form of the tests that have one (many minutes)
"""
import os
import shutil
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import world                                                    # noqa: E402


def why_not():
    """Why no network can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root: network namespaces and TAP devices"
    if not os.path.exists("/dev/net/tun"):
        return "this system has no /dev/net/tun"
    for program, package in (("ip", "iproute2"), ("setpriv", "util-linux"), ("curl", "curl")):
        if not shutil.which(program):
            return f"{program} is not installed (Debian: {package})"
    if not os.access(world.MILLRACE, os.X_OK):
        return f"{world.MILLRACE} is not built"
    try:
        world.Netns().close()
    except OSError as e:
        return f"network namespaces are not allowed here: {e}"
    return None


def pytest_collection_modifyitems(items):
    reason = why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


def interrupt(*_):
    raise KeyboardInterrupt


def pytest_sessionstart():
    signal.signal(signal.SIGTERM, interrupt)                    # ends the session, and fixtures are torn down


@pytest.fixture
def tmp_path(tmp_path):
    """As pytest's, but what is in it is gone with the test: these files are large."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def netns(tmp_path):
    """Makes namespaces; ends what runs in them."""
    made = []

    def make():
        ns = world.Netns()
        ns.tmp = str(tmp_path)
        made.append(ns)
        return ns

    yield make
    for ns in reversed(made):
        ns.close()


@pytest.fixture
def net(netns):
    """One namespace: where the server runs, and at the other end of its TAP device Linux's TCP."""
    return netns()


@pytest.fixture
def start(net):
    """Starts `millrace httpd` in `net` (or another namespace).  What the test did not stop must stop well, too."""
    servers = []

    def begin(*args, ns=None, **kw):
        server = world.Server(ns or net, *args, **kw)
        servers.append(server)
        return server

    yield begin
    for server in servers:
        if server.process.returncode is None:
            server.stop(signal.SIGTERM)


figures = []


@pytest.fixture
def note(request):
    """note(what, value): a figure that was seen, for the end of the report."""
    return lambda what, value: figures.append((request.node.name, what, value))


def pytest_terminal_summary(terminalreporter):
    if figures:
        terminalreporter.section("figures")
    for test, what, value in figures:
        terminalreporter.write_line(f"{test:45s} {what}: {value}")
