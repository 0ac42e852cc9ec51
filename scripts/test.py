#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs every test and ends with one line: N passed, N failed, N skipped.

    test.py BUILD ASAN_BUILD

What is run, each with a line of progress:
  1. the self-registering programs of both builds: unit, dev_contract, sim
  2. tsan: the tests of several threads, under the thread sanitizer
  3. pytest in tests/build (library, documents), tests/api (one program on the kernel's sockets and on
     ours, outputs compared) and tests/net (Linux's TCP in network namespaces)
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ["unit", "dev_contract", "sim"]
PYTESTS = ["tests/build", "tests/api", "tests/net"]
STEP_SECONDS_MAX = 500
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)


class Total:
    passed = failed = skipped = 0


def count(name, seconds, passed, failed, skipped, output=""):
    Total.passed += passed
    Total.failed += failed
    Total.skipped += skipped
    if failed:
        print(output.rstrip(), flush=True)
    print(f"{name:40s} {passed:5d} passed {failed:3d} failed {skipped:3d} skipped   {seconds:6.1f} s", flush=True)


def run(argv, **env):
    """Output and exit status; a step that takes too long is killed with all it started."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        p = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             env={**os.environ, **env}, start_new_session=True)
        try:
            status = p.wait(STEP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            p.wait()
            status = "took too long"
        out.seek(0)
        return out.read(), status


def program(path):
    """A program whose last line is its summary.  Without one, it is one failure."""
    began = time.monotonic()
    output, status = run([path], ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    found = SUMMARY.findall(output)
    if found:
        passed, failed, skipped = (int(n or 0) for n in found[-1])
    else:
        passed, failed, skipped = 0, 1, 0
    if not failed and status != 0:
        failed = 1
        output += f"\n{path}: ended with {status}, though no test failed"
    count(path, time.monotonic() - began, passed, failed, skipped, output)


def races(build):
    """What several threads touch, under the thread sanitizer; it is built here, for nobody else needs it."""
    began = time.monotonic()
    _, unknown = run(["ninja", "-C", build, "-t", "query", "tsan"])
    if unknown:
        print("tsan: skipped: this compiler has no thread sanitizer, or the build has another", flush=True)
        return
    output, status = run(["ninja", "-C", build, "--quiet", "tsan"])
    if status != 0:
        count(os.path.join(build, "tsan"), time.monotonic() - began, 0, 1, 0, output)
    else:
        program(os.path.join(build, "tsan"))


def pytest(path, build):
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        output, status = run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                              f"--junitxml={report.name}", path], MILLRACE_BUILD=build)
        try:
            suite = xml.parse(report.name).getroot().find("testsuite")
            tests, skipped = int(suite.get("tests")), int(suite.get("skipped"))
            failed = int(suite.get("failures")) + int(suite.get("errors"))
        except (xml.ParseError, AttributeError):
            tests, skipped, failed = 1, 0, 1
    if not failed and status not in (0, 5):
        failed, tests = failed + 1, tests + 1
    count(path, time.monotonic() - began, max(tests - failed - skipped, 0), failed, skipped, output)


def drop_reasons():
    """The names in the one list of reasons to drop a packet."""
    with open(os.path.join(ROOT, "src/base/drops.def")) as f:
        return set(re.findall(r"^DROP\((\w+),", f.read(), re.M))


def tell_unseen(path):
    """Every drop reason is also a coverage mark: which ones has no test produced?"""
    with open(path) as f:
        unseen = sorted(drop_reasons() - set(f.read().split()))
    print("drop reasons that no test produces: " + (" ".join(unseen) or "none"))


def has_tests(path):
    return any(re.match(r"test_.*\.py$", f) for _, _, files in os.walk(os.path.join(ROOT, path)) for f in files)


def become_root():
    """Network namespaces and devices need it; where it can't be had, those tests say so and are skipped."""
    if os.geteuid() != 0 and shutil.which("sudo"):
        if subprocess.run(["sudo", *([] if sys.stdin.isatty() else ["-n"]), "-v"], check=False).returncode == 0:
            os.execvp("sudo", ["sudo", "-E", sys.executable, *sys.argv])


def main():
    become_root()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    build, asan = sys.argv[1], sys.argv[2]
    seen = tempfile.NamedTemporaryFile(suffix=".drops")
    os.environ["DROPS_SEEN"] = seen.name
    for directory in (build, asan):
        for name in PROGRAMS:
            if os.path.exists(os.path.join(ROOT, directory, name)):
                program(os.path.join(directory, name))
    races(build)
    for path in PYTESTS:
        if has_tests(path):
            pytest(path, build)
    tell_unseen(seen.name)
    print(f"{Total.passed} passed, {Total.failed} failed, {Total.skipped} skipped")
    return 1 if Total.failed or not Total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
