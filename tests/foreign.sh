#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 120
#
# foreign - examples/hiredis: goroutines on hiredis' asynchronous interface, against
# redis-server where it is installed, and against examples/kv; when there is no server;
# when it dies in the middle. And docs/foreign-libraries.md quotes the example as it is.

# shellcheck disable=SC2016 # backticks are Markdown's here
set -u
export LC_ALL=C
cd "$RG_ROOT" || exit 1
program=$RG_BUILD/examples/hiredis/redis_counter
tmp=$(mktemp -d) || exit 1
server=

cleanup() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT

fail() {
	printf 'foreign: %s\n' "$*"
	exit 1
}

# ---- the page ------------------------------------------------------------------------

page=docs/foreign-libraries.md
cat examples/hiredis/*.[ch] >"$tmp/source"
awk -v out="$tmp/block" '
	/^```c$/ { n++; on = 1; next }
	/^```/ { on = 0 }
	on { print >(out n) }' $page
source=$(cat "$tmp/source")
blocks=0
for block in "$tmp"/block*; do
	blocks=$((blocks + 1))
	[[ $source == *"$(cat "$block")"* ]] ||
		fail "$page: block $blocks is not in examples/hiredis"
done
[ $blocks -ge 3 ] || fail "$page has $blocks blocks of C"

# ---- the program ---------------------------------------------------------------------

[ -x "$program" ] || {
	echo "examples/hiredis is not built: no libhiredis-dev (pkg-config hiredis)"
	exit 77
}

# started FILE COMMAND... - the server runs, and FILE says on which port
started() {
	local out=$1
	shift
	: >"$out"
	"$@" >"$out" 2>&1 &
	server=$!
	for _ in {1..200}; do
		port=$(sed -n 's/^kv: listening on 127.0.0.1://p' "$out")
		grep -q 'Ready to accept connections' "$out" && port=$redis_port
		[ -z "$port" ] || return 0
		kill -0 $server 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

stop() {
	kill "$server" && wait "$server"
	server=
}

# counts GOROUTINES TIMES
counts() {
	RINGGO_DEBUG=leak=1 "$program" 127.0.0.1 "$port" "$1" "$2" \
		>"$tmp/out" 2>&1 || fail "$what, $1 x $2: $(cat "$tmp/out")"
	grep -q "counter $(($1 * $2)), 0 failures" "$tmp/out" ||
		fail "$what, $1 x $2: $(cat "$tmp/out")"
	if grep -q 'ringgo:' "$tmp/out"; then
		fail "$what: $(cat "$tmp/out")"
	fi
}

what="examples/kv"
started "$tmp/kv" "$RG_BUILD/examples/kv/kv_server" -a 127.0.0.1:0 ||
	fail "kv_server does not start: $(cat "$tmp/kv")"
counts 1 200
counts 100 100
RINGGO_MAXPROCS=1 counts 100 10

# ask COMMAND - the last line of the answer
ask() {
	local lines=1 line
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf '%s\r\n' "$1" >&3
	[ "${1%% *}" != GET ] || lines=2
	while [ $lines -gt 0 ] && read -r -t 10 line <&3; do
		lines=$((lines - 1))
		[ "${line%?}" != '$-1' ] || break
	done
	echo "${line%?}"
}

# The server dies while they count: an end with failures, and no goroutine waits for ever.
ask 'SET counter 0' >/dev/null
"$program" 127.0.0.1 "$port" 50 1000000 >"$tmp/out" 2>&1 &
client=$!
for _ in {1..500}; do
	n=$(ask 'GET counter')
	[ "$n" -gt 100 ] 2>/dev/null && break
	sleep 0.02
done
kill -KILL "$server"
wait "$server" 2>/dev/null
server=
wait $client && fail "a server that died goes unnoticed"
grep -q 'counter Broken pipe, [0-9]* failures' \
	"$tmp/out" || fail "after the server died: $(cat "$tmp/out")"
"$program" 127.0.0.1 "$port" >"$tmp/out" 2>&1 && fail "no server goes unnoticed"
grep -q 'Connection refused' "$tmp/out" || fail "without a server: $(cat "$tmp/out")"

ran="examples/kv"
if command -v redis-server >/dev/null; then
	what="redis-server"
	for _ in 1 2 3 4 5; do
		redis_port=$((20000 + RANDOM % 12000))
		started "$tmp/redis" redis-server --port $redis_port \
			--bind 127.0.0.1 --save '' --appendonly no --dir "$tmp" &&
			break
		server=
	done
	[ -n "$server" ] || fail "redis-server does not start: $(cat "$tmp/redis")"
	counts 1 200
	counts 100 100
	stop
	ran="$ran and redis-server"
else
	ran="$ran (no redis-server here)"
fi
echo "foreign: $blocks blocks quoted; counted in $ran"
