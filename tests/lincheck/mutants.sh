#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 700
#
# mutants - the check of recorded histories finds broken channels.
#
#   control   test_linruns, linked by this script with the channels as they are,
#             finds nothing
#   mutants   with each mutants/NAME.patch it finds a violation, of a kind that the
#             patch's line "Caught:" names (crash: the process may die of a signal
#             or panic instead)
#
# A patch that does not apply any more, or does not compile, is a failure: mutants
# are to be kept current. Only chan.c and select.c are compiled anew; the other
# objects of the library are those of this build.
#
#   MUTANTS=word    only those with "word" in their names
#   LIN_SECONDS=150  how long to look for each

set -u
export LC_ALL=C
status=0
seconds=${LIN_SECONDS:-150}
here=$RG_ROOT/tests/lincheck

fail() {
	printf 'mutants: %s\n' "$*"
	status=1
}

[ -z "${RG_SAN:-}" ] || {
	echo "the mutants' faults are not a sanitizer's matter"
	exit 77
}
command -v patch >/dev/null || {
	echo "no patch(1)"
	exit 77
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cc=${CC:-gcc}
read -ra ldflags <<<"${LDFLAGS:-}"
read -ra ldlibs <<<"${LDLIBS:-}"
read -ra cppflags <<<"${CPPFLAGS:-}"
libs=(-luring -lpthread)
alloc=0
if [ "${RG_ALLOC:-libc}" = jemalloc ]; then
	libs+=(-ljemalloc)
	alloc=1
fi

# rename_text OBJECT - its code goes where the library's is (kernel-iface/textmap.h)
rename_text() {
	local args
	read -ra args < <("${OBJDUMP:-objdump}" -h "$1" | awk '$2 ~ /^\.text/ {
		printf "--rename-section %s=rgtext ", $2 } END { print "" }')
	"${OBJCOPY:-objcopy}" "${args[@]}" "$1"
}

# All but the two, in one object.
rest=()
while IFS= read -r o; do
	rest+=("$o")
done < <(sed -n 's|^obj/|&|p' "$RG_BUILD/config" |
	grep -v -e '^obj/sync/chan\.c\.o$' -e '^obj/sync/select\.c\.o$' |
	sed "s|^|$RG_BUILD/|")
[ ${#rest[@]} -gt 10 ] || {
	echo "mutants: no list of objects in $RG_BUILD/config"
	exit 1
}
$cc -nostdlib -r -o "$tmp/rest.o" "${rest[@]}" && rename_text "$tmp/rest.o" ||
	exit 1

# compile DIR FILE - from DIR if it has the file, else from the library; or the
# object of the build, where the patch changes nothing
compile() {
	local dir=$1 file=$2
	if [ ! -f "$dir/sync/chan.h" ] && [ ! -f "$dir/sync/$file" ]; then
		cp "$RG_BUILD/obj/sync/$file.o" "$dir/$file.o"
		return
	fi
	[ -f "$dir/sync/$file" ] || cp "$RG_ROOT/sync/$file" "$dir/sync/$file"
	$cc -std=gnu11 -pthread -O1 -fno-omit-frame-pointer -fPIC -Wall -Werror \
		-fvisibility=hidden -ftls-model=initial-exec -fstack-clash-protection \
		-D_GNU_SOURCE -DRG_ALLOC_JEMALLOC=$alloc -I"$dir" -I"$RG_ROOT" \
		-I"$RG_ROOT/include" "${cppflags[@]}" -c -o "$dir/$file.o" \
		"$dir/sync/$file"
}

# build DIR - DIR/prog
build() {
	compile "$1" chan.c && compile "$1" select.c &&
		rename_text "$1/chan.c.o" && rename_text "$1/select.c.o" &&
		$cc -pthread "${ldflags[@]}" -o "$1/prog" \
			"$RG_BUILD/tests/lincheck/test_linruns.o" \
			"$RG_BUILD/tests/support.a" "$tmp/rest.o" \
			"$1/chan.c.o" "$1/select.c.o" -lcmocka "${libs[@]}" "${ldlibs[@]}"
}

# apply PATCH DIR - copies what the patch touches, and patches it
apply() {
	local file
	mkdir -p "$2/sync"
	for file in $(sed -n 's|^+++ b/||p' "$1"); do
		cp "$RG_ROOT/$file" "$2/$file" || return 1
	done
	patch -d "$2" -p1 -F0 -s --no-backup-if-mismatch <"$1"
}

# run DIR LIMIT ARGUMENTS - output to DIR/out. The outer redirection is for what
# the shell says of a signal.
run() {
	local dir=$1 limit=$2
	shift 2
	{ (
		ulimit -c 0
		exec timeout -s KILL "$limit" "$dir/prog" "$@"
	) >"$dir/out" 2>&1; } 2>/dev/null
}

# what DIR CODE - the kind of what was found, or nothing. 137 is the time-out.
what() {
	local kind
	kind=$(sed -n 's/^violation: \([a-z]*\):.*/\1/p' "$1/out" | head -n 1)
	if [ -z "$kind" ] && [ "$2" -gt 128 ] && [ "$2" != 137 ]; then
		kind=crash
	fi
	echo "$kind"
}

# hunt PATCH - in a process of its own; the last line of its output is the result
hunt() {
	local name dir kinds kind code start try
	name=$(basename "$1" .patch)
	dir=$tmp/$name
	kinds=$(sed -n 's/^Caught: //p' "$1")
	[ -n "$kinds" ] || {
		echo "$name: no line \"Caught: kind|kind\""
		return 1
	}
	apply "$1" "$dir" || {
		echo "$name: does not apply to the sources any more"
		return 1
	}
	build "$dir" || {
		echo "$name: does not build"
		return 1
	}
	start=$(date +%s%N)
	# A fault that needs two CPUs at the same instant may hide from a busy
	# machine: other seeds, and longer, then.
	for try in 1 2 3; do
		run "$dir" $((try * seconds + 30)) $((try * 1000000 - 999999)) \
			1000000 $((try * seconds))
		code=$?
		kind=$(what "$dir" "$code")
		[ -z "$kind" ] || break
	done
	if [ -z "$kind" ]; then
		echo "$name: not caught (exit code $code): $(tail -n 1 "$dir/out")"
		return 1
	fi
	if ! grep -qx -e "$kind" <<<"${kinds//|/$'\n'}"; then
		echo "$name: caught as $kind, expected $kinds:"
		grep -a -m 1 -e violation -e panic "$dir/out"
		return 1
	fi
	printf '%-22s %5d ms  %s\n' "$name" $((($(date +%s%N) - start) / 1000000)) \
		"$(grep -am 1 '^violation' "$dir/out" || echo "died of a signal")"
}

mkdir "$tmp/control"
if ! build "$tmp/control" ||
	! run "$tmp/control" 100 1 600 60; then
	tail -n 40 "$tmp/control/out"
	fail "the control, which is not broken, does not pass"
fi
cat "$tmp/control/out"

caught=0
patches=("$here"/mutants/*"${MUTANTS:-}"*.patch)
for ((i = 0; i < ${#patches[@]}; i++)); do
	hunt "${patches[i]}" >"$tmp/result" 2>&1 && caught=$((caught + 1)) || status=1
	cat "$tmp/result"
done
echo "mutants: $caught of ${#patches[@]} caught"
exit $status
