#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 400
#
# race - the race detector of users' programs, both ways: each case of tests/race is
# silent where it is ordered and reported where it is not, and a report names the go
# statements. In any configuration: the library is built as `make install` does it.
# RACE_CC=... picks the compiler; a missing one is the way to test the skip.

set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

fail() {
	printf 'race: %s\n' "$*"
	exit 1
}

cc=${RACE_CC:-clang}
if ! "$cc" --version 2>/dev/null | grep -q clang; then
	echo "no clang ($cc)"
	exit 77
fi
if ! echo 'int main(void) { return 0; }' |
	"$cc" -fsanitize=thread -x c -o "$tmp/probe" - 2>/dev/null; then
	echo "$cc has no runtime of ThreadSanitizer"
	exit 77
fi

# The skip itself: said with its reason.
if [ -z "${RACE_CC:-}" ]; then
	said=$(RACE_CC=/no/such/clang "$0") && fail "no skip without a clang"
	[ "$said" = "no clang (/no/such/clang)" ] || fail "the skip said: $said"
fi

# What the configuration under test set is not for this one. tests/install.sh may be
# building the same files.
cd "$RG_ROOT" || exit 1
run_make() {
	env -u MAKEFLAGS -u CFLAGS -u CPPFLAGS -u LDFLAGS -u LDLIBS -u ALLOC \
		flock "${O:-build}/.race-lock" make --no-print-directory \
		SAN=thread CC="$cc" "$@"
}
run_make libs >"$tmp/out" 2>&1 || {
	cat "$tmp/out"
	fail "the library cannot be built"
}
build=$(run_make -s where) || fail "make where"
export LD_LIBRARY_PATH=$build TSAN_OPTIONS=halt_on_error=1

for f in "$RG_ROOT"/tests/race/*.c "$RG_ROOT"/examples/race_*.c; do
	"$cc" -std=gnu11 -Wall -Wextra -Werror -O1 -g -fno-omit-frame-pointer \
		-fsanitize=thread -D_GNU_SOURCE -I"$RG_ROOT" -I"$RG_ROOT/include" \
		-o "$tmp/$(basename "$f" .c)" "$f" -L"$build" -lringgo -pthread ||
		fail "build of $f"
done

# silent COMMAND... - exit code 0, not a word from the detector
silent() {
	local code=0
	timeout 60 "$@" >"$tmp/out" 2>&1 || code=$?
	[ $code = 0 ] && ! grep -q ThreadSanitizer "$tmp/out" || {
		cat "$tmp/out"
		fail "${*##*/}: exit code $code, expected: silence"
	}
}

# reported COMMAND... - a race, with both accesses
reported() {
	local code=0
	timeout 60 "$@" >"$tmp/out" 2>&1 || code=$?
	[ $code = 66 ] && grep -q "WARNING: ThreadSanitizer: data race" "$tmp/out" &&
		grep -q "^  Previous " "$tmp/out" || {
		cat "$tmp/out"
		fail "${*##*/}: exit code $code, expected: a report of a race"
	}
}

silent "$tmp/race_fixed"
reported "$tmp/race_counter"
[ "$(grep -c '#0 add ' "$tmp/out")" -ge 2 ] || fail "not both stacks"
grep -q "'goroutine [0-9]*'.*created by" "$tmp/out" || fail "no goroutine's name"
# Created by: the line with rg_go in it.
line=$(grep -n 'rg_waitgroup_go(' "$RG_ROOT/examples/race_counter.c" | head -n 1)
grep -q "#1 .*race_counter.c:${line%%:*}:" "$tmp/out" || {
	cat "$tmp/out"
	fail "the report does not name the go statement at ${line%%:*}"
}

n=0
for program in edges apart meet; do
	for name in $("$tmp/$program"); do
		silent "$tmp/$program" "$name"
		reported "$tmp/$program" "$name" racy
		n=$((n + 1))
	done
done
[ $n -ge 48 ] || fail "only $n cases"
# ---- the number of goroutines: refused, said once, nothing else lost ----
limited() { # LIMIT ASKED MADE COMMAND...
	local limit=$1 asked=$2 made=$3 code=0
	shift 3
	timeout 120 "$@" "$asked" >"$tmp/out" 2>&1 || code=$?
	[ $code = 0 ] && grep -qx "made $made, then -11" "$tmp/out" &&
		[ "$(grep -c "carries $limit goroutines" "$tmp/out")" = 1 ] || {
		cat "$tmp/out"
		fail "limit $limit: exit code $code, expected $made made"
	}
}
# Among them the main goroutine.
limited 100 200 99 env RINGGO_RACE_GOROUTINES=100 "$tmp/manygo"
silent "$tmp/manygo" 20000

# gcc's runtime, which would end the program at 8,128; there, one costs 835 KB.
if echo 'int main(void) { return 0; }' |
	gcc -fsanitize=thread -x c -o "$tmp/probe" - 2>/dev/null &&
	ldd "$tmp/probe" | grep -q libtsan; then
	gcc -std=gnu11 -O1 -fsanitize=thread -D_GNU_SOURCE -I"$RG_ROOT" \
		-I"$RG_ROOT/include" -o "$tmp/manygcc" "$RG_ROOT/tests/race/manygo.c" \
		-L"$build" -lringgo -pthread || fail "build with gcc"
	limited 300 400 299 env RINGGO_RACE_GOROUTINES=300 "$tmp/manygcc"
	grep -q "with gcc's runtime" "$tmp/out" || fail "gcc's is not named"
fi
echo "race: $n cases, silent and reported"
