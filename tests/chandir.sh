#!/bin/bash
# SPDX-License-Identifier: MIT
#
# chandir - the one direction of a channel: misuse does not compile, right use does,
# in C11 and C++17, with every compiler that is there. Each wrong statement is
# compiled alone, beside a right one, so that nothing else can be what is refused.

set -u
cd "$RG_ROOT" || exit 1
status=0
runs=0

# compiles COMPILER LANGUAGE STANDARD STATEMENTS
compiles() {
	runs=$((runs + 1))
	printf '%s\n' '#include <ringgo.h>' \
		'void f(rg_chan *c, rg_sender s, rg_receiver r, int v);' \
		'void f(rg_chan *c, rg_sender s, rg_receiver r, int v)' \
		'{ (void)c; (void)s; (void)r; (void)v;' "$4" '}' |
		"$1" -x "$2" -std="$3" -Wall -Wextra -Wshadow -Werror -Iinclude \
			-fsyntax-only - >/dev/null 2>&1
}

right=(
	'rg_send(c, 1); (void)rg_recv(c, &v);'
	'rg_send(s, 1); rg_send(s, v);'
	'(void)rg_recv(r, &v);'
	'rg_range(c, &v) { if (v) break; }'
	$'rg_range(r, &v) {\nrg_range(c, &v) continue; }'
	'rg_case k[] = {RG_SEND(c, &v), RG_RECV(c, &v), RG_RECV(NULL, NULL)}; (void)rg_select(k, 3);'
	'rg_case k[] = {RG_SEND(s, &v), RG_RECV(r, &v)}; (void)rg_select(k, 2);'
	's = rg_chan_sender(c); r = rg_chan_receiver(c); rg_sender_close(s);'
)
wrong=(
	'(void)rg_recv(s, &v);'
	'rg_send(r, 1);'
	'rg_range(s, &v) { }'
	'rg_case k[] = {RG_RECV(s, &v)}; (void)rg_select(k, 1);'
	'rg_case k[] = {RG_SEND(r, &v)}; (void)rg_select(k, 1);'
	'rg_sender_close(r);'
	'rg_chan_close(r);'
	's = r;'
	'r = s;'
	'c = s;'
	's = c;'
)

# check COMPILER LANGUAGE STANDARD
check() {
	local text
	for text in "${right[@]}"; do
		compiles "$@" "$text" || {
			echo "chandir: $1 -std=$3 refuses: $text"
			status=1
		}
	done
	for text in "${wrong[@]}"; do
		compiles "$@" "rg_send(s, 1); (void)rg_recv(r, &v); $text" && {
			echo "chandir: $1 -std=$3 accepts: $text"
			status=1
		}
	done
}

for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	check $cc c c11
	check $cc c gnu17
done
for cxx in g++ clang++; do
	command -v $cxx >/dev/null || continue
	check $cxx c++ c++17
done
if [ $runs = 0 ]; then
	echo "neither gcc nor clang"
	exit 77
fi
[ $status = 0 ] && echo "chandir: $runs compilations, as they should be"
exit $status
