# SPDX-License-Identifier: MIT
"""Sockets behave as Linux's do: the same program on both, and the outputs must be equal.

Goal:   return values, errno, epoll events and options are those of the kernel this runs on.
Method: tests/api/parity*.c is built twice; each section of its output is one test here.
        MILLRACE_BUILD names the build directory.
"""
import difflib
import functools
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"))
SECONDS_MAX = 60


@functools.cache
def sections(program):
    """{name of the section: its lines}, as the program printed them."""
    done = subprocess.run([os.path.join(BUILD, program)], capture_output=True, text=True, timeout=SECONDS_MAX,
                          check=False)
    found, name = {}, "(before the first section)"
    for line in done.stdout.splitlines():
        if line.startswith("## "):
            name = line[3:]
        found.setdefault(name, []).append(line)
    found["(exit)"] = [f"status {done.returncode}", *done.stderr.splitlines()]
    return found


@pytest.mark.parametrize("name", list(sections("parity_kernel")))
def test_as_the_kernel(name):
    kernel, ours = sections("parity_kernel"), sections("parity_millrace")
    diff = "\n".join(difflib.unified_diff(kernel[name], ours.get(name, []), "kernel", "millrace", lineterm="", n=4))
    assert not diff, f"\n{diff}"


def test_both_ran_to_the_end():
    assert sections("parity_kernel")["(exit)"] == ["status 0"]
    assert list(sections("parity_kernel")) == list(sections("parity_millrace"))
