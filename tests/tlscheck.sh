#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tlscheck - tools/ringgo-tlscheck finds, in what gcc and clang make of a small program,
# the functions that keep a thread's address across a call that parks, and only those;
# the examples have none.

set -u
export LC_ALL=C
cd "$RG_ROOT" || exit 1
tool=tools/ringgo-tlscheck
status=0
runs=0

[ "$(uname -m)" = x86_64 ] || {
	echo "not an x86-64 machine"
	exit 77
}
command -v objdump >/dev/null || {
	echo "no objdump"
	exit 77
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

fail() {
	printf 'tlscheck: %s\n' "$*"
	status=1
}

# Whose compiled code keeps something depends on the compiler and its flags; what each
# function does in the source does not.
cat >"$tmp/bad.c" <<'END'
#include <errno.h>
#include <stdint.h>
int rg_sleep(int64_t d);
int64_t rg_now(void);
int sometimes(int);
__thread int counter;
extern __thread int elsewhere;
int bad_errno(void) { errno = 0; rg_sleep(1); return errno; }
__attribute__((noinline)) static int helper(int n) { rg_sleep(n); return n * sometimes(n); }
int bad_helper(void) { int a = errno; a += helper(a); return errno + a; }
int bad_loop(void)
{
	int n = 0;
	for (int i = 0; i < 100; i++) {
		counter++;
		rg_sleep(i);
		n += ++counter;
	}
	return n;
}
int bad_variable(int *p)
{
	int *q = &elsewhere;
	*q += *p;
	rg_sleep(1);
	*q += 1;
	return *q;
}
int bad_branch(int x)
{
	switch (x) {
	case 0: errno = 4; break;
	case 1: errno = 5; rg_sleep(1); errno++; break;
	case 2: errno = 7; break;
	case 3: errno = sometimes(4); break;
	case 4: return sometimes(5);
	default: return errno;
	}
	sometimes(x);
	return errno;
}
int bad_pointer(int (*f)(void)) { errno = 0; f(); return errno; }
int good_before(void) { errno = 3; int e = errno; rg_sleep(1); return e; }
int good_after(void) { rg_sleep(1); return errno + counter; }
int good_no_park(void) { errno = 3; rg_now(); sometimes(1); return errno; }
int good_sides(int x)
{
	if (x) {
		errno = 0;
		return sometimes(errno);
	}
	rg_sleep(1);
	return 0;
}
END

# found FILE OPTION... - the functions that the tool names; its exit code must agree
found() {
	local code out file=$1
	shift
	out=$($tool "$@" "$file" 2>&1)
	code=$?
	if [ -n "$out" ]; then
		[ $code = 1 ] || fail "exit code $code with something found: $out"
	else
		[ $code = 0 ] || fail "exit code $code with nothing found"
	fi
	printf '%s\n' "$out" | sed 's/:.*//' | sort -u | tr '\n' ' '
}

# expect WHAT FILE NAMES OPTION... - exactly these are named
expect() {
	local what=$1 file=$2 wanted=$3 got
	shift 3
	runs=$((runs + 1))
	got=$(found "$file" "$@")
	[ "${got% }" = "$wanted" ] ||
		fail "$what: found '${got% }', expected '$wanted'"
}

try() {
	local cc=$1
	shift
	"$cc" "$@" -c -o "$tmp/bad.o" "$tmp/bad.c" || {
		fail "$cc $* does not compile"
		return
	}
	names=$expected
	expect "$cc $*" "$tmp/bad.o" "$names"
}

for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	# Without -fPIC thread-locals are found through the thread pointer each time.
	expected='bad_branch bad_errno bad_helper'
	try $cc -O2
	expected='bad_branch bad_errno bad_helper bad_loop bad_variable'
	try $cc -O2 -fPIC
	try $cc -O3 -fPIC -fomit-frame-pointer
	# A shared object: symbols are resolved, calls go through stubs.
	$cc -O2 -fPIC -shared -nostdlib -o "$tmp/bad.so" "$tmp/bad.c" || fail "$cc -shared"
	expect "$cc -shared" "$tmp/bad.so" "$expected"
	# Calls by pointer, and functions that the user names.
	$cc -O2 -fPIC -c -o "$tmp/bad.o" "$tmp/bad.c"
	expect "$cc, -a" "$tmp/bad.o" \
		'bad_branch bad_errno bad_helper bad_loop bad_pointer bad_variable' -a
	expect "$cc, -p" "$tmp/bad.o" \
		'bad_branch bad_errno bad_helper bad_loop bad_variable good_no_park' -p sometimes
	# The header's errno is fetched anew each time, wherever <errno.h> is included.
	base='#include <ringgo\/base.h>'
	for order in "$base" "$base\n#include <errno.h>" "#include <errno.h>\n$base"; do
		sed "s/#include <errno.h>/$order/" "$tmp/bad.c" >"$tmp/safe.c"
		$cc -O2 -Iinclude -c -o "$tmp/safe.o" "$tmp/safe.c" ||
			fail "$cc with the header"
		expect "$cc, $order" "$tmp/safe.o" ''
	done
done
command -v gcc >/dev/null && {
	expected='bad_branch bad_errno bad_helper bad_loop bad_variable'
	try gcc -O2 -fPIC -fno-plt
	try gcc -O2 -fPIC -mtls-dialect=gnu2
}
[ $runs -gt 0 ] || {
	echo "neither gcc nor clang"
	exit 77
}

# The report says what, where and why.
if command -v gcc >/dev/null; then
	gcc -O2 -c -o "$tmp/bad.o" "$tmp/bad.c"
	$tool "$tmp/bad.o" | grep -Eq "^bad_errno: the address of errno, taken at [0-9a-f]+, \
is used at [0-9a-f]+ after rg_sleep \(call at [0-9a-f]+\)$" || fail "the report's form"
	$tool "$tmp/bad.o" "$tmp/safe.o" | grep -q "^$tmp/bad.o: bad_errno: " ||
		fail "the file is not named when there are several"
fi

# Nothing to be looked at.
for args in "$tmp/none" "$tmp/bad.c" ""; do
	# shellcheck disable=SC2086 # an empty one is no argument
	$tool $args >/dev/null 2>&1
	[ $? = 2 ] || fail "exit code of '$args' is not 2"
done

# Names that the tool takes for harmless are there.
for name in $($tool --never); do
	grep -qw "$name" include/ringgo/*.h || fail "$name is in no header"
done

# Our own programs. Under a sanitizer they have calls of its in between.
if [ -z "${RG_SAN:-}" ]; then
	for f in "$RG_BUILD"/examples/* "$RG_BUILD"/examples/*/*; do
		[ -f "$f" ] && [ -x "$f" ] || continue
		out=$($tool "$f") || fail "${f##*/}: $out"
	done
fi

[ $status = 0 ] && echo "tlscheck: $runs programs"
exit $status
