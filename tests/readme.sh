#!/bin/bash
# SPDX-License-Identifier: MIT
#
# readme - what README.md and docs/api-status.md say is so.
#
#   the first C block of README.md is examples/readme_echo.c; every C block compiles
#   without a warning; the first one echoes on two connections at once
#   names of functions, make targets, variables and features exist; links lead
#   somewhere
#   docs/api-status.md lists what the headers declare, and nothing of what it calls
#   missing is declared

# shellcheck disable=SC2016 # backticks are Markdown's here
set -u
export LC_ALL=C
cd "$RG_ROOT" || exit 1
status=0
server=

fail() {
	printf 'readme: %s\n' "$*"
	status=1
}

tmp=$(mktemp -d) || exit 1
stop_server() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
}
trap 'stop_server; rm -rf "$tmp"' EXIT

# ---- words -------------------------------------------------------------------------

# words PATTERN FILE... - what matches, once each
words() {
	local pattern=$1
	shift
	grep -oh -- "$pattern" "$@" | sort -u
}

# section TITLE - a section of docs/api-status.md
section() {
	awk -v title="## $1" '/^## / { on = $0 == title } on' docs/api-status.md
}

# all WHAT FILE_WITH_NAMES FILE_WITH_EXISTING_ONES
all() {
	local missing
	[ -s "$2" ] || fail "found no $1"
	missing=$(comm -23 "$2" "$3" | tr '\n' ' ')
	[ -z "$missing" ] || fail "$1 not there: $missing"
}

words '\brg_[a-z0-9_]*[a-z0-9]\b' include/ringgo/*.h >"$tmp/declared"
words '\brg_[a-z0-9_]*[a-z0-9]\b' README.md >"$tmp/names"
all "functions of README.md" "$tmp/names" "$tmp/declared"

sed -n 's/^## \([a-z][a-z-]*\): .*/\1/p' Makefile mk/*.mk | sort >"$tmp/targets"
words '[`(]make [a-z][a-z-]*\|^make [a-z][a-z-]*' README.md |
	sed 's/.*make //' | sort -u >"$tmp/names"
all "make targets of README.md" "$tmp/names" "$tmp/targets"

grep -rhoE '(getenv|env_number)\("RINGGO_[A-Z_]+' kernel-iface sched sync net |
	sed 's/.*"//' | sort -u >"$tmp/read"
words '\bRINGGO_[A-Z]*\b' README.md >"$tmp/names"
all "variables of README.md" "$tmp/names" "$tmp/read"

sed -n 's/^[[:space:]]*X([A-Z_]*, "\([a-z_]*\)".*/\1/p' kernel-iface/probe.h |
	sort >"$tmp/features"
sed -n '/^## Requirements/,/^Where io_uring/p' README.md |
	grep -o '`[a-z_]*`' | tr -d '`' | sort -u >"$tmp/in_table"
all "features of README.md" "$tmp/features" "$tmp/in_table"

for page in README.md docs/*.md; do
	grep -o '](\([^):]*\))' "$page" | sed 's/^](//; s/)$//; s/#.*//' |
		sort -u >"$tmp/links"
	while read -r link; do
		[ -z "$link" ] || [ -e "$(dirname "$page")/$link" ] ||
			fail "$page: nothing at $link"
	done <"$tmp/links"
done

# ---- docs/api-status.md ------------------------------------------------------------

nm -D --defined-only "$RG_BUILD/libringgo.so" 2>/dev/null |
	awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/exported"
section "In this version" | grep -o '`rg_[a-z0-9_]*`' | tr -d '`' | sort -u |
	grep -vx 'rg_send\|rg_recv\|rg_make\|rg_range\|rg_chan_sender\|rg_chan_receiver\|rg_sender_close' >"$tmp/listed"
section "Not in this version" | grep -o '`rg_[a-z0-9_]*`' | tr -d '`' |
	sort -u >"$tmp/absent"
all "functions that docs/api-status.md lists" "$tmp/listed" "$tmp/exported"
missing=$(comm -13 "$tmp/listed" "$tmp/exported" | tr '\n' ' ')
[ -z "$missing" ] || fail "exported, but not in docs/api-status.md: $missing"
[ -s "$tmp/absent" ] || fail "docs/api-status.md says that nothing is missing"
there=$(comm -12 "$tmp/absent" "$tmp/declared" | tr '\n' ' ')
[ -z "$there" ] || fail "docs/api-status.md calls missing what is there: $there"

# ---- the C blocks ------------------------------------------------------------------

awk -v out="$tmp/block" '
	/^```c$/ { n++; on = 1; next }
	/^```/ { on = 0 }
	on { print >(out n ".c") }' README.md
[ -s "$tmp/block1.c" ] || fail "README.md has no C block"
sed -n '/^#include/,$p' examples/readme_echo.c |
	diff - "$tmp/block1.c" >"$tmp/diff" ||
	fail "README.md's first block is not examples/readme_echo.c: $(cat "$tmp/diff")"

flags=(-O2 -Wall -Wextra -Werror -fstack-clash-protection -pthread
	-I"$RG_ROOT/include")
blocks=0
for block in "$tmp"/block*.c; do
	blocks=$((blocks + 1))
	${CC:-gcc} "${flags[@]}" -c -o "$tmp/block.o" "$block" >"$tmp/out" 2>&1 ||
		fail "a C block of README.md does not compile: $(cat "$tmp/out")"
done

if [ -n "${RG_SAN:-}" ]; then
	# A sanitizer's library needs the sanitizer's flags in every program.
	[ $status = 0 ] && echo "readme: true (not run under a sanitizer)"
	exit $status
fi
${CC:-gcc} "${flags[@]}" -o "$tmp/echo" "$tmp/block1.c" -L"$RG_BUILD" \
	-Wl,-rpath,"$RG_BUILD" -lringgo >"$tmp/out" 2>&1 || {
	fail "the echo server does not link: $(cat "$tmp/out")"
	exit 1
}

# start - on some port that is free; false: this one was not
start() {
	"$tmp/echo" "127.0.0.1:$1" 2>"$tmp/log" &
	server=$!
	while ! grep -q . "$tmp/log"; do
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.02
	done
	grep -q Success "$tmp/log"
}

for _ in 1 2 3 4 5 6 7 8 9 10; do
	port=$((20000 + RANDOM % 12000))
	start $port && break
	stop_server
	server=
done
[ -n "$server" ] || {
	fail "the echo server does not start: $(cat "$tmp/log")"
	exit 1
}
# A server that breaks off must not end this script.
trap '' PIPE
if exec 3<>"/dev/tcp/127.0.0.1/$port" 4<>"/dev/tcp/127.0.0.1/$port"; then
	printf 'first, and ' >&3
	printf 'hello\n' >&4
	read -r -t 10 line <&4
	[ "${line:-}" = hello ] || fail "echoed '${line:-}' for 'hello'"
	printf 'last\n' >&3
	read -r -t 10 line <&3
	[ "${line:-}" = "first, and last" ] ||
		fail "echoed '${line:-}' for 'first, and last'"
else
	fail "cannot connect to the echo server"
fi
"$tmp/echo" nonsense >"$tmp/out" 2>&1 && fail "a wrong address is no failure"
grep -q 'nonsense: Invalid argument' "$tmp/out" ||
	fail "a wrong address is reported as: $(cat "$tmp/out")"

[ $status = 0 ] && echo "readme: $blocks C blocks compile, the echo server echoes"
exit $status
