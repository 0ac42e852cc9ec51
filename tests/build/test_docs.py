# SPDX-License-Identifier: MIT
"""What the documents say about the program is what the program does."""
import glob
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MILLRACE_BUILD", "build"))


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def test_table_of_options_is_the_programs_own():
    table = subprocess.run([BUILD + "/millrace", "--help-options"], check=True, capture_output=True, text=True).stdout
    assert table.count("\n") > 30
    in_doc = re.search(r"<!-- options: begin -->\n(.*)<!-- options: end -->", read("docs/configuration.md"), re.S)
    assert in_doc.group(1) == table, "run `make docs`"


def test_dependencies_of_the_script_are_explained():
    script = read("scripts/deps.sh")
    packages = set(" ".join(re.findall(r'^(?:build|test|demo)="(.*)"', script, re.M)).split())
    explained = set(re.findall(r"^\| `([^`]+)`", read("docs/dependencies.md"), re.M))
    assert packages == explained


def test_files_named_in_documents_exist():
    missing = []
    for doc in glob.glob(ROOT + "/*.md") + glob.glob(ROOT + "/docs/*.md"):
        for path in re.findall(r"`((?:src|include|tests|tools|examples|scripts|docs)/[\w./-]+)`", open(doc).read()):
            if "MODULE" not in path and not os.path.exists(os.path.join(ROOT, path)):
                missing.append(f"{os.path.relpath(doc, ROOT)}: {path}")
    assert missing == []


def test_every_source_file_begins_with_its_licence():
    files = [f for d in ("src", "include", "tests", "tools", "examples", "scripts") for e in ("c", "h", "def", "py", "sh")
             for f in glob.glob(f"{d}/**/*.{e}", root_dir=ROOT, recursive=True)]
    assert len(files) > 100
    bare = [f for f in files if "SPDX-License-Identifier: MIT" not in "".join(read(f).splitlines(True)[:2])]
    assert bare == []
