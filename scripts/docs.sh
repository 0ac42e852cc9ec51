#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts the table of options into docs/configuration.md, between its two marks.
#   docs.sh BUILD_DIR
set -eu
cd "$(dirname "$0")/.."
doc=docs/configuration.md
"$1"/millrace --help-options >"$1/options.md"
sed -i -e "/<!-- options: begin -->/r $1/options.md" -e '/<!-- options: begin -->/,/<!-- options: end -->/{/<!-- options: /!d}' $doc
