#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 120
#
# kvtools - examples/kv with the programs people use Redis with: redis-cli, one command,
# many by --pipe, --scan and --bigkeys; redis-benchmark with and without pipelining.

set -u
export LC_ALL=C
server=$RG_BUILD/examples/kv/kv_server
tmp=$(mktemp -d) || exit 1
pid=

cleanup() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT

fail() {
	printf 'kvtools: %s\n' "$*"
	cat "$tmp/server"
	exit 1
}

command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null || {
	echo "neither redis-cli nor redis-benchmark: install redis-tools"
	exit 77
}

: >"$tmp/server"
RINGGO_DEBUG=leak=1 "$server" -a 127.0.0.1:0 -s "$tmp/snapshot" >"$tmp/server" 2>&1 &
pid=$!
for _ in {1..200}; do
	port=$(sed -n 's/^kv: listening on 127.0.0.1://p' "$tmp/server")
	[ -z "$port" ] || break
	kill -0 $pid 2>/dev/null || fail "it does not start"
	sleep 0.05
done

cli() {
	redis-cli -p "$port" "$@" 2>&1
}

# says WANT COMMAND...
says() {
	local want=$1 got
	shift
	got=$(cli "$@")
	[ "$got" = "$want" ] || fail "$*: says '$got', not '$want'"
}

says PONG ping
says OK set greeting "hello world" ex 100
says "hello world" get greeting
says 1 del greeting
says "" get greeting
says "ERR unknown command 'frob', with args beginning with: 'x' " frob x
says "Unrecognized option or bad number of args for: '--frob'" --frob
[ "$(cli info server | grep -c '^redis_version:7')" = 1 ] || fail "no version"
cli command docs set | grep -qx summary || fail "no COMMAND DOCS"
[ "$(cli command count)" = "$(cli command list | wc -l)" ] ||
	fail "COMMAND COUNT and LIST differ"

# As people load data in bulk: 20,000 requests, their replies counted.
for ((i = 0; i < 20000; i++)); do
	printf 'SET key:%d value-%d\r\n' $i $i
done >"$tmp/bulk"
cli --pipe <"$tmp/bulk" >"$tmp/out"
grep -q '^errors: 0, replies: 20000$' "$tmp/out" || fail "--pipe: $(cat "$tmp/out")"
says 20000 dbsize
says value-19999 get key:19999
n=$(cli --scan --pattern 'key:1999?' | sort | uniq | wc -l)
[ "$n" = 10 ] || fail "--scan finds $n keys of 10"
cli --bigkeys >"$tmp/out"
grep -q '^Sampled 20000 keys' "$tmp/out" || fail "--bigkeys: $(cat "$tmp/out")"

# bench ARGUMENT... - five rows without errors
bench() {
	redis-benchmark -p "$port" -c 50 -q -t ping,set,get,incr,mset "$@" \
		>"$tmp/out" 2>&1 || fail "redis-benchmark $*: $(cat "$tmp/out")"
	tr '\r' '\n' <"$tmp/out" >"$tmp/lines"
	n=$(grep -c 'requests per second, p50' "$tmp/lines")
	[ "$n" = 6 ] || fail "redis-benchmark $*: $(cat "$tmp/lines")"
	if grep -iE 'error|warning' "$tmp/lines"; then
		fail "redis-benchmark $* complains"
	fi
}

bench -n 5000
bench -n 50000 -P 16 -r 1000
says 1 exists key:__rand_int__
[ "$(cli info stats | tr -d '\r' | sed -n 's/^keyspace_hits://p')" -gt 1000 ] ||
	fail "no hits are counted"
keys=$(cli dbsize)
says "" shutdown
wait $pid || fail "exit status $?"
pid=
grep -q "^kv: $keys keys to " "$tmp/server" || fail "not $keys keys were saved"
if grep -q 'ringgo:\|Sanitizer' "$tmp/server"; then
	fail "it complains"
fi
echo "kvtools: redis-cli and redis-benchmark are content"
