#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 300
#
# install - what a user does after `make install`: a program built with the flags
# of pkg-config alone runs on the shared library, on libringgo.a, and wholly
# static; `make uninstall` leaves no file behind.

set -u
if [ -n "${RG_SAN:-}" ]; then
	echo "a sanitizer's library needs the sanitizer's flags in every program"
	exit 77
fi
command -v pkg-config >/dev/null || {
	echo "no pkg-config"
	exit 77
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
prefix=/opt/ringgo
dest=$tmp/root
root=$dest$prefix

fail() {
	printf 'install: %s\n' "$*"
	exit 1
}

# run WHAT COMMAND... - its output only when it fails
run() {
	local what=$1 code=0
	shift
	"$@" >"$tmp/out" 2>&1 || code=$?
	[ $code = 0 ] || {
		cat "$tmp/out"
		fail "$what: exit code $code"
	}
}

# tests/race.sh may be building the same files.
cd "$RG_ROOT" || exit 1
run "make install" flock "${O:-build}/.race-lock" make --no-print-directory install \
	DESTDIR="$dest" PREFIX="$prefix"

for f in include/ringgo.h include/ringgo/base.h lib/libringgo.so \
	lib/libringgo.so.0 lib/libringgo.a lib/pkgconfig/ringgo.pc \
	bin/ringgo-doctor; do
	[ -s "$root/$f" ] || fail "not installed: $f"
done
"$root/bin/ringgo-doctor" --json | grep -q '"verdict":"' ||
	fail "the installed ringgo-doctor says nothing"
grep -rIl -- "$dest\|$RG_ROOT" "$root/lib/pkgconfig" "$root/include" &&
	fail "an installed file names the folder it was built in"

cat >"$tmp/hello.c" <<'EOF'
#include <ringgo.h>
#include <stdio.h>

#define N 100

struct hello {
	rg_waitgroup wg;
	rg_mutex lock;
	int greeted;
};

static void greet(void *arg)
{
	struct hello *h = arg;

	(void)rg_sleep(RG_MILLISECOND);
	rg_mutex_lock(&h->lock);
	h->greeted++;
	rg_mutex_unlock(&h->lock);
	rg_waitgroup_done(&h->wg);
}

static int app(void *arg)
{
	struct hello *h = arg;

	for (int i = 0; i < N; i++) {
		rg_waitgroup_add(&h->wg, 1);
		if (rg_go(greet, h) != 0)
			return 1;
	}
	rg_waitgroup_wait(&h->wg);
	printf("hello from %d goroutines\n", h->greeted);
	return h->greeted == N ? 0 : 2;
}

int main(void)
{
	static struct hello h;

	return rg_run(NULL, app, &h);
}
EOF

pkg() {
	PKG_CONFIG_PATH=$root/lib/pkgconfig \
		pkg-config --define-variable=prefix="$root" "$@" ringgo
}

[ "$(pkg --modversion)" ] || fail "pkg-config does not know ringgo"
case " $(pkg --cflags) " in
*" -fstack-clash-protection "*) ;;
*) fail "cflags without -fstack-clash-protection: $(pkg --cflags)" ;;
esac
cc=${CC:-gcc}

# build OUT FLAGS... - in the order a user types them
build() {
	local out=$1
	shift
	# CC and the flags of pkg-config are several words each.
	# shellcheck disable=SC2046,SC2086
	run "build of $out" $cc -O2 $(pkg --cflags) -o "$tmp/$out" \
		"$tmp/hello.c" "$@"
}

# expect_hello NAME COMMAND...
expect_hello() {
	local name=$1
	shift
	run "$name" "$@"
	[ "$(grep -v "$allowed" "$tmp/out")" = "hello from 100 goroutines" ] ||
		fail "$name printed: $(cat "$tmp/out")"
}
allowed='^$'

# shellcheck disable=SC2046
build shared $(pkg --libs)
expect_hello shared env LD_LIBRARY_PATH="$root/lib" "$tmp/shared"
# Not preempted by another copy that the machine has.
LD_LIBRARY_PATH=$root/lib ldd "$tmp/shared" | grep -q "$root/lib/libringgo.so.0" ||
	fail "the shared program loads another libringgo"

# shellcheck disable=SC2046
build archive $(pkg --static --libs | sed 's/-lringgo/-l:libringgo.a/')
expect_hello "program with libringgo.a" "$tmp/archive"

# shellcheck disable=SC2046
build static -static $(pkg --static --libs)
# Its malloc lies among its own code, which is said.
allowed='^ringgo: malloc is linked into the executable'
expect_hello "static program" "$tmp/static"
grep -q "$allowed" "$tmp/out" || fail "the static program was told nothing"
allowed='^$'
ldd "$tmp/static" >/dev/null 2>&1 && fail "-static gave a dynamic program"

if command -v g++ >/dev/null; then
	sed 's/struct hello \*h = arg/struct hello *h = (struct hello *)arg/' \
		"$tmp/hello.c" >"$tmp/hello.cc"
	# shellcheck disable=SC2046
	run "build in C++" g++ -std=c++17 -O2 $(pkg --cflags) -o "$tmp/cxx" \
		"$tmp/hello.cc" $(pkg --libs)
	expect_hello "program in C++" env LD_LIBRARY_PATH="$root/lib" "$tmp/cxx"
fi

# ---- the race detector, with the flags of its .pc; tests/race.sh has the cases ----
race_cc=${RACE_CC:-clang}
if [ -e "$root/lib/libringgo_race.so" ]; then
	race_pkg() {
		PKG_CONFIG_PATH=$root/lib/pkgconfig \
			pkg-config --define-variable=prefix="$root" "$@" ringgo-race
	}
	for f in "$RG_ROOT"/examples/race_*.c; do
		# shellcheck disable=SC2046
		run "race build of $f" "$race_cc" -std=gnu11 -O1 -o "$tmp/$(basename "$f" .c)" \
			"$f" $(race_pkg --cflags) $(race_pkg --libs)
	done
	export LD_LIBRARY_PATH=$root/lib TSAN_OPTIONS=halt_on_error=1
	# expect_race COMMAND... - reported, with both stacks
	expect_race() {
		local code=0
		timeout 60 "$@" >"$tmp/out" 2>&1 || code=$?
		[ $code = 66 ] && grep -q "WARNING: ThreadSanitizer: data race" "$tmp/out" &&
			grep -q "^  Previous " "$tmp/out" || {
			cat "$tmp/out"
			fail "${*##*/}: exit code $code, no report of a race"
		}
	}
	expect_race "$tmp/race_counter"
	[ "$(grep -c '#0 add ' "$tmp/out")" -ge 2 ] || fail "not both stacks"
	run "race_fixed" timeout 60 "$tmp/race_fixed"
	unset LD_LIBRARY_PATH TSAN_OPTIONS
	race="; races are reported"
else
	race="; no libringgo_race, for there is no clang with ThreadSanitizer"
fi

run "make uninstall" make -C "$RG_ROOT" --no-print-directory uninstall \
	DESTDIR="$dest" PREFIX="$prefix"
left=$(find "$dest" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
[ ! -e "$root/include/ringgo" ] || fail "left behind: include/ringgo/"
echo "install: shared, archive, static and C++ programs say hello$race"
