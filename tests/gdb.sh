#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 120
#
# gdb - debuggers and profilers see goroutines as what they are.
#
#   gdb's own bt in a thread that runs a goroutine shows the user's functions and
#   ends at coro_entry without a complaint
#   tools/ringgo-gdb.py lists goroutines and shows the stack of a parked one, seen
#   from any thread, and the program goes on afterwards as if nothing had been
#   perf record --call-graph dwarf finds the user's function under g_main
#
# What is missing here (gdb, its Python, ptrace, perf) is left out and said.

set -u
export LC_ALL=C
status=0

skip() {
	echo "$*"
	exit 77
}

fail() {
	printf 'gdb: %s\n' "$*"
	status=1
}

[ -z "${RG_SAN:-}" ] ||
	skip "a sanitizer's library needs the sanitizer's flags in every program"
command -v gdb >/dev/null || skip "no gdb"
[ "$(gdb -nx -batch -ex 'python print(6 * 7)' 2>/dev/null)" = 42 ] ||
	skip "this gdb has no Python"

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/tea.c" <<'EOF'
#include <ringgo.h>
#include <stdio.h>
#include <stdlib.h>

#define STAYS	 __attribute__((noinline))
#define NO_TAIL() __asm__ volatile("")

static rg_chan *kettle;
static rg_waitgroup wg;
static volatile long sum;

STAYS static void waits_for_tea(int cups)
{
	int64_t v;

	if (rg_chan_recv(kettle, &v))
		printf("%d cups?\n", cups);
	NO_TAIL();
}

static void guest(void *arg)
{
	waits_for_tea(40 + (int)(intptr_t)arg);
	rg_waitgroup_done(&wg);
}

STAYS static void naps(void)
{
	rg_sleep(200 * RG_MILLISECOND);
	NO_TAIL();
}

static void dormouse(void *arg)
{
	(void)arg;
	rg_set_name("the dormouse");
	naps();
	rg_waitgroup_done(&wg);
}

STAYS void tea_time(void)
{
	NO_TAIL();
}

STAYS static void busy_bee(long n)
{
	for (long i = 0; i < n; i++)
		sum += i;
	tea_time();
	NO_TAIL();
}

STAYS static int invite(void)
{
	int err = 0;

	rg_waitgroup_add(&wg, 4);
	for (intptr_t i = 0; i < 3; i++)
		err |= rg_go(guest, (void *)i);
	err |= rg_go(dormouse, NULL);
	return err;
}

static int app(void *arg)
{
	char **argv = arg;

	kettle = rg_make(int64_t, 0);
	if (!kettle || invite())
		return 1;
	rg_sleep(50 * RG_MILLISECOND);
	busy_bee(atol(argv[1]));
	rg_chan_close(kettle);
	rg_waitgroup_wait(&wg);
	rg_chan_unref(kettle);
	puts("all went home");
	return 0;
}

int main(int argc, char **argv)
{
	rg_config two = {.maxprocs = 2};

	return argc == 2 ? rg_run(&two, app, argv) : 2;
}
EOF
${CC:-gcc} -O2 -g -Wall -Werror -fstack-clash-protection -pthread \
	-I"$RG_ROOT/include" -o "$tmp/tea" "$tmp/tea.c" -L"$RG_BUILD" \
	-Wl,-rpath,"$RG_BUILD" -lringgo >"$tmp/out" 2>&1 || {
	cat "$tmp/out"
	fail "the program does not build"
	exit 1
}

# ---- gdb -------------------------------------------------------------------------

# Between two marks lies what one command printed.
commands=(-ex 'break tea_time' -ex 'run 1000')
mark() {
	commands+=(-ex "echo \\n== $1\\n" -ex "$2")
}
mark own 'bt'
mark list 'info goroutines'
mark some 'info goroutines sleep'
mark guest 'goroutine 2 bt'
mark short 'goroutine 2 bt 3'
mark named 'goroutine 5'
mark main 'goroutine 1 bt'
mark frame 'goroutine 3 frame function waits_for_tea'
mark everyone 'goroutine all frame function guest'
mark nobody 'goroutine 99 bt'
mark nonsense 'goroutine tea'
# The main goroutine may be on any M. Another thread runs none.
commands+=(-ex 'set $home = $_thread' -ex 'set $idle = $home == 1 ? 2 : 1')
mark idle 'thread $idle'
mark other 'goroutine 4 bt'
mark back 'if $_thread == $idle
echo still on the other one\n
end'
mark again 'thread $home'
mark still 'bt'
mark end 'continue'
gdb -nx -batch -iex 'set debuginfod enabled off' -iex 'set width 0' \
	-iex 'set style enabled off' -iex 'set print entry-values no' \
	-x "$RG_ROOT/tools/ringgo-gdb.py" \
	"${commands[@]}" "$tmp/tea" >"$tmp/gdb" 2>&1 </dev/null
if grep -qi 'ptrace\|could not trace\|not permitted' "$tmp/gdb"; then
	skip "gdb may not trace here: $(grep -im 1 'trac\|permitted' "$tmp/gdb")"
fi
if grep -q 'has no debug information' "$tmp/gdb"; then
	skip "the library was built without -g"
fi

# part MARK - what the command printed
part() {
	awk -v mark="== $1" '/^== / { on = $0 == mark; next } on' "$tmp/gdb"
}

# has MARK PATTERN...
has() {
	local mark=$1 pattern
	shift
	for pattern in "$@"; do
		part "$mark" | grep -q -- "$pattern" ||
			fail "'$mark' shows no '$pattern': $(part "$mark")"
	done
}

# ends MARK - a stack that ends where goroutines begin, and gdb is content
ends() {
	part "$1" | grep '^#' | tail -n 1 | grep -q ' coro_entry ' ||
		fail "'$1' does not end at coro_entry: $(part "$1")"
	! part "$1" | grep -i 'backtrace stopped\|corrupt\|cannot access\|error' ||
		fail "'$1' ends with a complaint"
}

has own '^#0 .*tea_time' ' busy_bee (' ' app (' ' g_main ('
ends own
has list '^\* 1  *running  *"main"' '^  2  *chan receive  *created by invite in 1$' \
	'^  4  *chan receive' '^  5  *sleep  *"the dormouse" created by '
[ "$(part list | grep -c '^[* ] [0-9]')" = 5 ] ||
	fail "not five goroutines: $(part list)"
[ "$(part some | grep -c '^[* ] [0-9]')" = 1 ] ||
	fail "more than one sleeps: $(part some)"
has guest ' waits_for_tea (cups=40)' ' guest (' ' g_main ('
! part guest | grep '^#0 \|tea_time' || fail "frames of the thread in a goroutine"
ends guest
[ "$(part short | grep -c '^#')" = 3 ] || fail "bt 3 shows: $(part short)"
has named ' naps ()' ' dormouse ('
ends named
has main '^#0 .*tea_time' ' busy_bee ('
ends main
has frame ' waits_for_tea (cups=41)'
has everyone '^2  *chan receive' '^#.* guest ('
has nobody 'no goroutine 99'
has nonsense 'goroutine ID|all'
has other ' waits_for_tea (cups=42)'
ends other
has back 'still on the other one'
ends still
has end '^all went home$' 'exited normally'

# ---- perf ------------------------------------------------------------------------

perf=
if ! command -v perf >/dev/null; then
	perf=", no perf"
elif ! perf record -q -F 500 --call-graph dwarf,8192 -o "$tmp/data" \
	"$tmp/tea" 200000000 >"$tmp/out" 2>&1 ||
	! perf script --no-inline -F comm,ip,sym -i "$tmp/data" \
		>"$tmp/script" 2>"$tmp/err"; then
	perf=", perf refuses: $(head -n 1 "$tmp/out")"
elif ! grep -q busy_bee "$tmp/script"; then
	perf=", perf took no sample"
else
	awk -v RS= '
	/ busy_bee/ { n++ }
	/ busy_bee.* app.* g_main.* coro_entry/ { whole++ }
	END {
		printf "%d of %d samples\n", whole, n
		exit !(n && whole >= n * 0.9)
	}' "$tmp/script" >"$tmp/samples" ||
		fail "perf finds the way to coro_entry in $(cat "$tmp/samples"):" \
			"$(head -n 20 "$tmp/script")"
	perf=", perf unwinds $(cat "$tmp/samples")"
fi

[ $status = 0 ] && echo "gdb: goroutines unwind$perf"
exit $status
