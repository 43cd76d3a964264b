#!/bin/bash
# SPDX-License-Identifier: MIT
#
# seccomp - docs/seccomp.json lists all system calls that the library needs: a program that
# uses a bit of everything runs with these alone, on both engines, and one call less is
# noticed.

set -u
export LC_ALL=C
cd "$RG_ROOT" || exit 1
if [ -n "${RG_SAN:-}" ]; then
	echo "a sanitizer has system calls of its own"
	exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0

fail() {
	printf 'seccomp: %s\n' "$*"
	status=1
}

# make_confine LIST-OF-NAMES - compiles $tmp/confine that allows these. A call that this
# machine does not have (open, vfork, ... elsewhere) is left out.
make_confine() {
	printf '#include <sys/syscall.h>\n' |
		${CC:-gcc} -dM -E - | awk '$2 ~ /^__NR_/ { print substr($2, 6) }' |
		sort >"$tmp/known"
	sort -u "$1" | comm -12 - "$tmp/known" |
		sed 's/.*/SYS_&,/' >"$tmp/allowed.inc"
	${CC:-gcc} -O1 -Wall -Werror -I"$tmp" -o "$tmp/confine" \
		tests/seccomp/confine.c
}

# The names, one a line.
awk '/"names"/ { sub(/.*\[/, ""); sub(/\].*/, ""); gsub(/[", \t]+/, "\n"); print }' \
	docs/seccomp.json | grep . >"$tmp/names"
[ "$(wc -l <"$tmp/names")" -gt 100 ] || fail "docs/seccomp.json is not understood"
[ -z "$(sort "$tmp/names" | uniq -d)" ] ||
	fail "twice in docs/seccomp.json: $(sort "$tmp/names" | uniq -d)"
if command -v python3 >/dev/null; then
	python3 -c 'import json; json.load(open("docs/seccomp.json"))' ||
		fail "docs/seccomp.json is no JSON"
fi

${CC:-gcc} -O2 -g -Wall -Werror -fstack-clash-protection -D_GNU_SOURCE \
	-I"$RG_ROOT/include" -o "$tmp/everything" tests/seccomp/everything.c \
	-L"$RG_BUILD" -Wl,-rpath,"$RG_BUILD" -lringgo || fail "everything.c"
make_confine "$tmp/names" || fail "confine.c"
[ $status = 0 ] || exit 1

# confined ENGINE - exit code; what was said in $tmp/out
confined() {
	rm -rf "$tmp/folder"
	mkdir "$tmp/folder"
	RINGGO_ENGINE=$1 timeout 60 "$tmp/confine" "$tmp/everything" \
		"$tmp/folder" >"$tmp/out" 2>&1
}

engines='io_uring epoll'
RINGGO_ENGINE=io_uring "$RG_BUILD/tools/ringgo-doctor" >/dev/null 2>&1
[ $? -lt 2 ] || engines=epoll
for engine in $engines; do
	confined "$engine"
	code=$?
	if [ $code = 77 ]; then
		echo "nobody may listen to a filter here"
		exit 77
	fi
	[ $code = 0 ] || fail "$engine: exit code $code: $(sort "$tmp/out" | uniq -c)"
done

# The test would see it.
for name in fdatasync getsockname; do
	grep -vx "$name" "$tmp/names" >"$tmp/fewer"
	make_confine "$tmp/fewer" || fail "confine.c without $name"
	if confined epoll; then
		fail "without $name it runs as well"
	fi
done
exit $status
