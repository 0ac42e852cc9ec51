# SPDX-License-Identifier: MIT
"""A small network to try the stack in: namespaces, a server on our stack, clients on Linux's.

A namespace has no name: it lives as long as this process holds its descriptor
or something runs in it.  So nothing is left behind, however a test ends, and
no address in it can be reached from outside.  To look into one while a test
waits:  nsenter --net=/proc/PID/fd/N  (Netns.path()).
"""
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"))
MILLRACE = os.environ.get("MILLRACE") or os.path.join(BUILD, "millrace")
FULL = os.environ.get("MILLRACE_FULL", "0") not in ("", "0")

OURS, THEIRS = "10.77.0.2", "10.77.0.1"         # the stack's address, and the kernel's
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def need(*programs):
    """Skip the test where a program is missing."""
    for p in programs:
        if not shutil.which(p):
            pytest.skip(f"{p} is not installed")


def child_env():
    """The environment without MILLRACE_*, which are options of the stack."""
    return {k: v for k, v in os.environ.items() if not k.startswith("MILLRACE")}


def until(condition, seconds=5, every=0.01):
    """Wait for @condition.  False: it did not come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


# ---- namespaces ----

def this_netns():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Netns:
    """A network namespace.  `with ns:` takes the calling thread into it, and back."""

    def __init__(self):
        home = this_netns()
        if libc.unshare(CLONE_NEWNET) != 0:
            os.close(home)
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.fd = this_netns()
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        self.homes = threading.local()
        self.children = []
        self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.ip("link set lo up")

    def __enter__(self):
        self.homes.__dict__.setdefault("stack", []).append(this_netns())
        assert libc.setns(self.fd, CLONE_NEWNET) == 0
        return self

    def __exit__(self, *_):
        home = self.homes.stack.pop()
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)

    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, *argv, check=True, timeout=60, stdin=""):
        with self:
            p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", input=stdin,
                               timeout=timeout, env=child_env())
        assert not check or p.returncode == 0, f"{' '.join(p.args)}: status {p.returncode}\n{p.stdout}{p.stderr}"
        return p

    def popen(self, *argv, **kw):
        """A process that ends with this one, at the latest with the namespace."""
        with self:
            p = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)], env=child_env(),
                                 stdin=subprocess.DEVNULL, **kw)
        self.children.append(p)
        return p

    def ip(self, command):
        return self.run("ip", *command.split()).stdout

    def sysctl(self, name, value):
        with self, open("/proc/sys/" + name.replace(".", "/"), "w") as f:
            f.write(str(value))

    def nft(self, rules):
        self.run("nft", "-f", "-", stdin=rules)

    def socket(self, *args, **kw):
        """A socket belongs to the namespace that it was made in, whoever uses it."""
        with self:
            return socket.socket(*args, **kw)

    def connect(self, port=80, addr=OURS, timeout=20, rcvbuf=None, source=None):
        s = self.socket()
        s.settimeout(timeout)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            s.bind((source, 0))
        s.connect((addr, port))
        return s

    def curl(self, *argv, check=True, timeout=60):
        return self.run("curl", "-sS", "--max-time", timeout, *argv, check=check, timeout=timeout + 5)

    def page(self, addr=OURS):
        """The welcome page, as a sign of life."""
        out = self.curl(f"http://{addr}/", timeout=10).stdout
        assert "It runs." in out
        return out

    def close(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
            p.wait()
        os.close(self.fd)


def veth(a, name_a, b, name_b):
    """A wire between two namespaces."""
    a.ip(f"link add {name_a} type veth peer name {name_b} netns {b.path()}")
    a.ip(f"link set {name_a} up")
    b.ip(f"link set {name_b} up")


# ---- the program under test ----

class Server:
    """`millrace httpd` (or another program on our stack) in @ns, with the kernel at the other end of its TAP.

    @devs: (device, the stack's address, the kernel's address) each.  @stderr, @stats: what it said, after stop().
    """
    DEV = ("tap:mr0", OURS + "/24", THEIRS + "/24")

    def __init__(self, ns, *args, command="httpd", devs=(DEV,), program=None, mark=None):
        self.ns, self.stats, self.stdout = ns, {}, ""
        argv = [program] if program else [MILLRACE, command]
        for dev, ours, _ in devs:
            argv += ["--dev", dev, *(["--addr", ours] if ours else [])]
        if not program:
            argv += ["--stats", "json"]
            mark = f"millrace: {command} on port"
        self.err_path = os.path.join(ns.tmp, f"stderr{len(ns.children)}")
        with open(self.err_path, "w") as err:
            self.process = ns.popen(*argv, *args, stdout=subprocess.PIPE, stderr=err, text=True)
        self.pid = self.process.pid
        links = [dev.rsplit("tap:", 1)[1] for dev, _, _ in devs if "tap:" in dev]
        ready = until(lambda: self.process.poll() is not None or
                      (mark in self.stderr if mark else all(self.has_link(link) for link in links)), 10)
        assert ready and self.process.poll() is None, f"{' '.join(map(str, argv))}: {self.stderr}"
        for (_, _, theirs), link in zip(devs, links):
            if theirs:
                ns.ip(f"addr add {theirs} dev {link}")
            ns.ip(f"link set {link} up")

    def has_link(self, link):
        return "UP" in self.ns.run("ip", "link", "show", "dev", link, check=False).stdout

    @property
    def stderr(self):
        with open(self.err_path) as f:
            return f.read()

    def rss(self):
        """Resident memory in octets."""
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self):
        """Seconds of a core used so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def alive(self):
        return self.process.poll() is None

    def stop(self, sig=signal.SIGINT):
        """End it, which must succeed at once.  Returns its counters."""
        assert self.alive(), f"the server has ended with {self.process.returncode}: {self.stderr}"
        self.process.send_signal(sig)
        try:
            self.stdout, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            pytest.fail(f"signal {sig} did not end the server within 10 s")
        assert self.process.returncode == 0, f"status {self.process.returncode}: {self.stderr}"
        if self.stdout:
            self.stats = json.loads(self.stdout)
        return self.stats


# ---- data ----

def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_file(path, size, seed=1):
    """A file without repetition that a shift or a lost piece could hide in.  Returns its SHA-256."""
    import random
    block = random.Random(seed).randbytes(1 << 20)
    digest = hashlib.sha256()
    with open(path, "wb", buffering=0) as f:
        for i in range(0, size, len(block)):
            turn = (i >> 20) * 7919 % len(block)
            piece = (block[turn:] + block[:turn])[:size - i]
            digest.update(piece)
            f.write(piece)
    return digest.hexdigest()


def read_sha256(f, size=1 << 20):
    """Digest and length of what comes out of @f until its end."""
    digest, length = hashlib.sha256(), 0
    while piece := f.read(size):
        digest.update(piece)
        length += len(piece)
    return digest.hexdigest(), length


def recv_all(s, most=1 << 30):
    """What comes out of a socket until the peer has said all."""
    pieces, length = [], 0
    while length < most and (piece := s.recv(min(1 << 18, most - length))):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


class Transfer:
    """curl at work in the background: down(), or up(), then done()."""

    def __init__(self, ns, *argv, timeout=120):
        self.process = ns.popen("curl", "-sS", "--max-time", timeout, *argv, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.result = None
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.began = time.monotonic()
        self.thread.start()

    def work(self):
        self.result = read_sha256(self.process.stdout)
        self.error = self.process.stderr.read().decode()
        self.status = self.process.wait()
        self.seconds = time.monotonic() - self.began

    def wait(self):
        self.thread.join()
        assert self.status == 0, f"curl: status {self.status} after {self.seconds:.1f} s: {self.error}"


class Download(Transfer):
    def __init__(self, ns, url, *argv, **kw):
        super().__init__(ns, *argv, url, **kw)

    def sha256(self):
        self.wait()
        return self.result[0]


class Upload(Transfer):
    """PUT to /upload/: the server answers with the length and the digest of what it got."""

    def __init__(self, ns, url, path, *argv, **kw):
        super().__init__(ns, *argv, "-T", path, url, **kw)

    def work(self):
        self.answer = self.process.stdout.read().decode()
        self.error = self.process.stderr.read().decode()
        self.status = self.process.wait()
        self.seconds = time.monotonic() - self.began

    def sha256(self):
        self.wait()
        return self.answer.split("sha256:")[1].strip()


@contextlib.contextmanager
def timed(record, what):
    began = time.monotonic()
    yield
    record(what, f"{time.monotonic() - began:.2f} s")
