#!/bin/bash
# SPDX-License-Identifier: MIT
#
# symbols - what the libraries let the outside see: rg_*, nothing else.
#
#   the shared library exports rg_* only, each with the version RINGGO_0
#   the static library defines no other global symbol
#   both offer the same names, and these are the ones the public headers declare
#   the static library imports no lock of threads: its imports become the program's,
#   which preemption looks through (kernel-iface/lockimports.h)
#   soname, stack flags and text relocations are as they should be

set -u
export LC_ALL=C
so=$RG_BUILD/libringgo.so
a=$RG_BUILD/libringgo.a
status=0

fail() {
	printf 'symbols: %s\n' "$*"
	status=1
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

for tool in nm readelf; do
	command -v $tool >/dev/null || {
		echo "no $tool"
		exit 77
	}
done
for f in "$so" "$a"; do
	[ -s "$f" ] || {
		echo "symbols: $f is not there"
		exit 1
	}
done

# "T rg_go@@RINGGO_0"; A is the version node itself.
nm -D --defined-only "$so" | awk '$2 != "A" { print $NF }' >"$tmp/so.versioned"
[ -s "$tmp/so.versioned" ] || fail "$so exports nothing"
grep -v '^rg_[a-z0-9_]*@@RINGGO_0$' "$tmp/so.versioned" >"$tmp/odd" &&
	fail "exported by the shared library:" "$(head -n 20 "$tmp/odd" | tr "\n" " ")"
sed 's/@.*//' "$tmp/so.versioned" | sort -u >"$tmp/so"

# Sanitizers add symbols of their own to every object.
nm --defined-only --extern-only "$a" 2>/dev/null |
	awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' |
	grep -v '^_*[atul]san\|^__sanitizer\|^__odr_asan' | sort -u >"$tmp/a"
grep -v '^rg_' "$tmp/a" >"$tmp/odd" &&
	fail "global in the static library:" "$(head -n 20 "$tmp/odd" | tr "\n" " ")"

nm --undefined-only "$a" 2>/dev/null | awk 'NF == 2 { print $2 }' |
	grep -v '^_*[atul]san\|^__sanitizer\|^rg_' | sort -u >"$tmp/imports"
grep -q '^clock_gettime$' "$tmp/imports" || fail "found no imports of $a"
sed 's/[cb]lock//g' "$tmp/imports" |
	grep -iE 'lock|mutex|once|^pthread_cond|^sem_|barrier|guard' >"$tmp/odd" &&
	fail "imported by the static library:" "$(tr "\n" " " <"$tmp/odd")"

diff "$tmp/so" "$tmp/a" >"$tmp/diff" ||
	fail "shared and static library differ:" "$(head -n 20 "$tmp/diff")"

# Every function that a public header declares is there, and no other one. The
# first name followed by a bracket in each declaration is the function's.
visible='__attribute__ *((visibility("default")))'
cat "$RG_ROOT"/include/ringgo/*.h >"$tmp/all.h"
${CC:-gcc} -E -P -I"$RG_ROOT/include" -x c "$tmp/all.h" | tr '\n' ' ' |
	sed "s/$visible/\\n@/g" | grep '^@' |
	sed 's/;.*//; s/__attribute__ *(([a-z_]*\(([^()]*)\)\{0,1\}))//g' |
	sed -n 's/^[^(]*[ *]\(rg_[a-z0-9_]*\) *(.*/\1/p' | sort -u >"$tmp/headers"
[ -s "$tmp/headers" ] || fail "found no declaration in include/ringgo/*.h"
missing=$(comm -23 "$tmp/headers" "$tmp/so")
[ -z "$missing" ] || fail "declared, not exported: ${missing//$'\n'/ }"
hidden=$(comm -13 "$tmp/headers" "$tmp/so")
[ -z "$hidden" ] || fail "exported, not declared: ${hidden//$'\n'/ }"

readelf -dW "$so" >"$tmp/dynamic"
grep -q 'SONAME.*\[libringgo\.so\.0\]' "$tmp/dynamic" || fail "wrong soname"
grep -q 'TEXTREL' "$tmp/dynamic" && fail "has text relocations"
readelf -lW "$so" | grep -q 'GNU_STACK.*RWE' && fail "asks for an executable stack"

[ $status = 0 ] && echo "symbols: $(wc -l <"$tmp/so") names, all rg_*"
exit $status
