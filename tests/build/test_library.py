# SPDX-License-Identifier: MIT
"""The library as its users get it: what it shows, and whether it can be installed and linked."""
import glob
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"))

PROGRAM = r"""
#include <millrace/epoll.h>
#include <millrace/millrace.h>
#include <millrace/socket.h>
#include <millrace/stats.h>
#include <string.h>

/* Names that the library has inside: a program may have its own. */
int tcp_input(void) { return 42; }
int pkt_take(void) { return 43; }

int main(void)
{
        static struct mr_conf conf;
        char err[256];

        mr_conf_default(&conf);
        if (mr_conf_set(&conf, "dev", "null:", err, sizeof err) < 0 ||
            mr_conf_set(&conf, "addr", "10.77.0.2/24", err, sizeof err) < 0 ||
            mr_conf_set(&conf, "max_conns", "1000", err, sizeof err) < 0 || mr_start(&conf, err, sizeof err) < 0) {
                puts(err);
                return 1;
        }
        int fd = mr_socket(AF_INET, SOCK_STREAM, 0);
        mr_close(fd);
        mr_stop();
        printf("%s %d %d\n", mr_version(), fd >= 0, tcp_input() + pkt_take());
        return 0;
}
"""


def sh(*argv, **kw):
    return subprocess.run(argv, check=True, text=True, capture_output=True, **kw).stdout


def defined(lines):
    """Names of defined global symbols in nm's output."""
    return [m.group(1) for m in re.finditer(r"^[0-9a-f]+ [A-TV-Zu] (\S+)$", lines, re.M)]


def test_shared_library_shows_only_mr_names():
    names = defined(sh("nm", "-D", "--defined-only", os.path.join(BUILD, "libmillrace.so")))
    assert len(names) > 40
    assert [n for n in names if not n.startswith("mr_")] == []


def test_static_library_shows_only_mr_names():
    names = defined(sh("nm", "-g", "--defined-only", os.path.join(BUILD, "libmillrace.a")))
    assert len(names) > 40
    assert [n for n in names if not n.startswith("mr_")] == []


@pytest.mark.parametrize("header", sorted(os.path.basename(h) for h in glob.glob(ROOT + "/include/millrace/*.h")))
@pytest.mark.parametrize("lang", ["c", "c++"])
def test_public_header_compiles_alone(header, lang, tmp_path):
    compiler = {"c": "gcc", "c++": "g++"}[lang]
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    source = tmp_path / "x.c"
    source.write_text(f"#include <millrace/{header}>\n")
    sh(compiler, "-x", lang, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", ROOT + "/include", str(source))


def test_every_declared_function_is_in_the_library():
    text = "".join(open(h).read() for h in glob.glob(ROOT + "/include/millrace/*.h"))
    declared = set(re.findall(r"^MR_API [^;]*?\b(mr_\w+)\(", text, re.M))
    names = set(defined(sh("nm", "-D", "--defined-only", os.path.join(BUILD, "libmillrace.so"))))
    assert len(declared) > 40
    assert declared - names == set()
    assert names - declared == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    where = tmp_path_factory.mktemp("install")
    sh("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", str(where))
    return str(where)


def flags(installed, *more):
    pc = glob.glob(installed + "/usr/local/lib/**/millrace.pc", recursive=True)
    assert len(pc) == 1
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(pc[0]), "PKG_CONFIG_SYSROOT_DIR": installed}
    return sh("pkg-config", "--cflags", "--libs", *more, "millrace", env=env).split()


def test_installed_shared_library_can_be_used(installed, tmp_path):
    (tmp_path / "x.c").write_text(PROGRAM)
    sh("gcc", "-o", str(tmp_path / "x"), str(tmp_path / "x.c"), *flags(installed))
    lib = os.path.dirname(glob.glob(installed + "/usr/local/lib/**/libmillrace.so", recursive=True)[0])
    out = sh(str(tmp_path / "x"), env={**os.environ, "LD_LIBRARY_PATH": lib})
    assert re.fullmatch(r"\d+\.\d+\.\d+ 1 85\n", out)


def test_installed_static_library_lives_beside_the_programs_own_names(installed, tmp_path):
    (tmp_path / "x.c").write_text(PROGRAM)
    static = [f for f in flags(installed, "--static")]
    sh("gcc", "-o", str(tmp_path / "x"), str(tmp_path / "x.c"), "-Wl,-Bstatic",
       *[f for f in static if f != "-linih"], "-Wl,-Bdynamic", "-linih")
    out = sh(str(tmp_path / "x"))
    assert re.fullmatch(r"\d+\.\d+\.\d+ 1 85\n", out)
    assert "libmillrace" not in sh("ldd", str(tmp_path / "x"))
