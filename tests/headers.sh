#!/bin/bash
# SPDX-License-Identifier: MIT
#
# headers - each public header compiles alone, twice in one file, in C11 and C++17,
# with every compiler that is there, without a warning.

set -u
cd "$RG_ROOT" || exit 1
status=0
runs=0

# try COMPILER LANGUAGE STANDARD HEADER
try() {
	local out
	runs=$((runs + 1))
	out=$(printf '#include <%s>\n#include <%s>\nint dummy_;\n' "$4" "$4" |
		"$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wshadow -Wundef \
			-Werror -Iinclude -fsyntax-only - 2>&1) || {
		printf 'headers: <%s> with %s -std=%s:\n%s\n' "$4" "$1" "$3" "$out"
		status=1
	}
}

for header in ringgo.h $(cd include && ls ringgo/*.h); do
	for cc in gcc clang; do
		command -v $cc >/dev/null || continue
		try $cc c c11 "$header"
		try $cc c gnu17 "$header"
	done
	for cxx in g++ clang++; do
		command -v $cxx >/dev/null || continue
		try $cxx c++ c++17 "$header"
	done
done
if [ $runs = 0 ]; then
	echo "neither gcc nor clang"
	exit 77
fi
[ $status = 0 ] && echo "headers: $runs compilations, no complaint"
exit $status
