#!/bin/bash
# SPDX-License-Identifier: MIT
#
# runtests - the runners count what programs did, notice every way to fail, and say how
# to run a failed seed again: tools/run-tests, tools/stress.

set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$RG_ROOT" || exit 1
unset RG_TEST_JOBS
export RG_BUILD=$tmp

fail() {
	printf 'runtests: %s\n' "$*"
	cat "$tmp/out"
	exit 1
}

program() { # NAME, its text on stdin
	{
		echo '#!/bin/bash'
		cat
	} >"$tmp/$1"
	chmod +x "$tmp/$1"
}

program good <<<'exit 0'
program bad <<<'exit 3'
program skips <<<'echo "no reason"; exit 77'
program hangs <<<'exec sleep 1000'
program crashes <<<'kill -SEGV $$'
program cut <<-'END'
	echo '[==========] Running 2 test(s).'
	echo '[       OK ] one'
END
program seeded <<-'END'
	echo "seeds $RG_SEEDS"
	echo "again: RINGGO_SEED=17 seeded case"
	kill -ABRT $$
END
program counts <<<"echo >>'$tmp/counted'"

# expect CODE LAST-LINE PATTERN COMMAND...
expect() {
	local code=$1 last=$2 pattern=$3 got=0
	shift 3
	"$@" >"$tmp/out" 2>&1 || got=$?
	[ "$got" = "$code" ] || fail "$*: exit code $got, expected $code"
	[[ $(tail -n 1 "$tmp/out") == $last ]] || fail "$*: expected at the end: $last"
	grep -q -- "$pattern" "$tmp/out" || fail "$*: expected: $pattern"
}

expect 0 '1 passed, 0 failed' '  ok  .*good' tools/run-tests "$tmp/good"
expect 1 '1 passed, 1 failed, 1 skipped' 'exit code 3' \
	tools/run-tests "$tmp/good" "$tmp/bad" "$tmp/skips"
expect 1 '0 passed, 1 failed' 'killed by SIGSEGV' tools/run-tests "$tmp/crashes"
expect 1 '1 passed, 1 failed' 'ended after 1 of 2' tools/run-tests "$tmp/cut"
expect 1 '0 passed, 0 failed, 1 skipped' 'no reason' tools/run-tests "$tmp/skips"
expect 1 '0 passed, 1 failed' 'timed out after 1 s' \
	env RG_TEST_TIMEOUT=1 tools/run-tests "$tmp/hangs"

# All of them in the first round, however short the time; what passed is no line.
expect 1 '1 passed, 1 failed' '^  round 1' \
	tools/run-tests --for 0 "$tmp/good" "$tmp/bad"
! grep -q '  ok  ' "$tmp/out" || fail "a line of what passed in a round"
expect 0 '* passed, 0 failed' '^  round 2' tools/run-tests --for 2 "$tmp/counts"
[ "$(wc -l <"$tmp/counted") passed, 0 failed" = "$(tail -n 1 "$tmp/out")" ] ||
	fail "not what the program counted: $(wc -l <"$tmp/counted")"

export STRESS_LOGS=$tmp STRESS_MINUTES=0 STRESS_SEEDS=5
export STRESS_PROGS_seeds="$tmp/good $tmp/seeded" STRESS_PROGS_repeat=$tmp/good
expect 1 '2 passed, 1 failed, 0 skipped in * s' '^  RINGGO_SEED=17 seeded case$' \
	tools/stress
grep -q '^seeds 5$' "$tmp/out" || fail "STRESS_SEEDS is not obeyed"
expect 0 '1 passed, 0 failed, 0 skipped in * s' '^== repeat: 1 passed, 0 failed, ' \
	tools/stress repeat
expect 1 '0 passed, 0 failed, 0 skipped in * s' '^== all' tools/stress models
expect 2 '*no part is called*' 'seeds faults preempt' tools/stress everything
echo 'runtests: the runners count right'
