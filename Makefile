# SPDX-License-Identifier: MIT
# In front of Meson, because a fresh machine has make.  All that is typed:
#   make demo      build, and see it run
#   make test      build, and run every test
.POSIX:
.PHONY: all demo test asan fmt tidy docs install clean

all:
	scripts/deps.sh build
	scripts/build.sh build

demo:
	scripts/deps.sh build demo
	scripts/build.sh build
	scripts/demo.sh build

test:
	scripts/deps.sh build test
	scripts/build.sh build
	scripts/build.sh build-asan -Db_sanitize=address,undefined
	python3 scripts/test.py build build-asan

asan:
	scripts/deps.sh build
	scripts/build.sh build-asan -Db_sanitize=address,undefined

# Only lines that were changed: tables and comments aligned by hand stay as they are.
fmt:
	git clang-format --force --extensions c,h

tidy:
	scripts/build.sh build
	clang-tidy --quiet -p build $$(git ls-files 'src/*.c' 'tools/*.c' 'examples/*.c')

# The tables of docs/ that are made from the source.
docs:
	scripts/build.sh build
	scripts/docs.sh build

install: all
	meson install -C build

clean:
	rm -rf build build-asan
