#!/bin/bash
# SPDX-License-Identifier: MIT
#
# preemptflags - code of all shapes is preempted, whatever it was compiled with: results,
# frames and exceptions stay what they are. In the suite a few kinds of flags, with
# RG_PREEMPTIONS (make stress) all of them and that many signals for each victim.
# RG-TIMEOUT: 1800

set -u
cd "$RG_ROOT" || exit 1
if [ -n "${RG_SAN:-}" ]; then
	echo "not under a sanitizer"
	exit 77
fi
[ "$(uname -m)" = x86_64 ] || {
	echo "not on this CPU"
	exit 77
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

few=("gcc g++|-O0" "gcc g++|-O3 -fomit-frame-pointer -march=native"
	"clang clang++|-O2 -fstack-protector-strong -fcf-protection")
all=("gcc g++|-O2" "gcc g++|-O3 -fcf-protection"
	"gcc g++|-O2 -fno-omit-frame-pointer" "gcc g++|-O2 -fstack-protector-strong"
	"gcc g++|-O2 -flto" "gcc g++|-O2 -fno-plt -no-pie" "gcc g++|-Os"
	"clang clang++|-O0" "clang clang++|-O3 -fomit-frame-pointer"
	"clang clang++|-O2 -fno-omit-frame-pointer" "clang clang++|-O3 -march=native"
	"${few[@]}")
kinds=("${few[@]}")
[ -n "${RG_PREEMPTIONS:-}" ] && kinds=("${all[@]}")
export RG_PREEMPTIONS=${RG_PREEMPTIONS:-400}

libs=(-luring)
[ "${RG_ALLOC:-}" = jemalloc ] && libs+=(-ljemalloc)
libs+=(-lpthread -lm)
warn=(-Wall -Wextra -Werror -Wno-unused-function -I. -Iinclude -D_GNU_SOURCE -pthread)
status=0
runs=0

fail() {
	echo "preemptflags: $*"
	status=1
}

# run WHAT PROGRAM ARGUMENT...
run() {
	what=$1
	shift
	runs=$((runs + 1))
	timeout 300 "$@" >"$tmp/out" 2>&1
	rc=$?
	[ $rc = 77 ] && {
		cat "$tmp/out"
		exit 77
	}
	[ $rc = 0 ] || {
		cat "$tmp/out"
		fail "$what: ends with $rc"
	}
}

gcc -std=gnu11 -O2 -g "${warn[@]}" -c -o "$tmp/driver.o" \
	tests/preemptflags/driver.c || exit 1
for kind in "${kinds[@]}"; do
	read -r cc cxx <<<"${kind%%|*}"
	read -r -a flags <<<"${kind##*|}"
	command -v "$cc" "$cxx" >/dev/null || continue
	v=tests/preemptflags/victims.c
	t=tests/preemptflags/throwers.cpp
	"$cc" -std=gnu11 "${flags[@]}" "${warn[@]}" -o "$tmp/c" "$tmp/driver.o" $v \
		"$RG_BUILD/libringgo-internal.o" "${libs[@]}" &&
		run "$kind" "$tmp/c" || fail "$kind: C is not built"
	"$cxx" -std=c++17 "${flags[@]}" "${warn[@]}" -c -o "$tmp/t.o" $t &&
		"$cxx" "${flags[@]}" -pthread -o "$tmp/cxx" "$tmp/driver.o" \
			"$tmp/t.o" "$RG_BUILD/libringgo-internal.o" "${libs[@]}" &&
		run "$kind, C++" "$tmp/cxx" || fail "$kind: C++ is not built"
done

# Objects that come by dlopen.
gcc -std=gnu11 -O2 "${warn[@]}" -o "$tmp/loads" "$tmp/driver.o" \
	"$RG_BUILD/libringgo-internal.o" "${libs[@]}" &&
	gcc -std=gnu11 -O2 "${warn[@]}" -shared -fPIC -o "$tmp/v.so" \
		tests/preemptflags/victims.c -lm &&
	run "a loaded object" "$tmp/loads" "$tmp/v.so" ||
	fail "the loaded object is not built"

# Everything in one object, malloc, too. Where there are no static libraries: nothing.
static=(-std=gnu11 -O2 -fPIE -static-pie)
echo 'int main(void) { return 0; }' >"$tmp/probe.c"
if gcc "${static[@]}" -o "$tmp/probe" "$tmp/probe.c" "${libs[@]}" 2>/dev/null; then
	# The linker's warning: dlopen in a static program, which is not called here.
	if gcc "${static[@]}" "${warn[@]}" -o "$tmp/static" tests/preemptflags/driver.c \
		tests/preemptflags/victims.c "$RG_BUILD/libringgo-internal.o" \
		"${libs[@]}" 2>"$tmp/out"; then
		run "-static-pie" "$tmp/static" refused
	else
		cat "$tmp/out"
		fail "-static-pie is not built"
	fi
fi

[ $status = 0 ] && echo "preemptflags: $runs programs, $RG_PREEMPTIONS signals a victim"
exit $status
