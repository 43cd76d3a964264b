#!/bin/bash
# SPDX-License-Identifier: MIT
#
# doctor - ringgo-doctor says what is so, under conditions that are made here: engines,
# features that are switched off, io_uring forbidden by a filter, few descriptors.

set -u
export LC_ALL=C
cd "$RG_ROOT" || exit 1
doctor=$RG_BUILD/tools/ringgo-doctor
status=0
[ -x "$doctor" ] || {
	echo "doctor: $doctor is not built"
	exit 1
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
unset RINGGO_ENGINE RINGGO_URING RINGGO_MAXPROCS RINGGO_DEBUG RINGGO_SEED

fail() {
	printf 'doctor: %s\n' "$*"
	status=1
}

# says CODES COMMAND... - exit code is one of CODES ("0 1"); output to $tmp/out
says() {
	local codes=$1 code=0
	shift
	"$@" >"$tmp/out" 2>"$tmp/err" || code=$?
	case " $codes " in
	*" $code "*) ;;
	*) fail "$*: exit code $code, not $codes: $(cat "$tmp/out" "$tmp/err")" ;;
	esac
}

# has PATTERN...
has() {
	local pattern
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$tmp/out" ||
			fail "no '$pattern' in: $(cat "$tmp/out")"
	done
}

says '0 1' "$doctor"
has '^libringgo [0-9]' ' version +Linux ' ' Ps +[0-9]+ \(follows' \
	' a thousand goroutines +ran$' ' open files +[0-9]' ' nowait ' ' guard '
uring=
if grep -q ' engine  *io_uring$' "$tmp/out"; then
	uring=1
	has ' ring flags +CQSIZE' '^  ok +single_issuer +used|single_issuer +missing'
fi

says 1 env RINGGO_ENGINE=epoll "$doctor"
has '^  --> +engine +epoll and helper threads' 'RINGGO_ENGINE says so'
says 2 env RINGGO_ENGINE=select "$doctor"
has '^  !!! +engine +none' 'No program of libringgo starts here'
says '0 1' env RINGGO_MAXPROCS=3 "$doctor"
has ' Ps +3 \(RINGGO_MAXPROCS says so'
[ -n "${RG_SAN:-}" ] || {
	says 1 env RINGGO_DEBUG=asyncpreemptoff=1 "$doctor"
	has '^  --> +preemption +off'
}
if [ -n "$uring" ]; then
	says 1 env RINGGO_URING=off:coop,futex "$doctor"
	has '^  --> +coop +switched off' 'take "coop" out of RINGGO_URING' \
		'^  --> +futex +switched off'
	! grep 'ring flags' "$tmp/out" | grep COOP || fail "COOP is off and used"
fi

# Few descriptors.
says 1 bash -c 'ulimit -S -n 512 && exec "$0"' "$doctor"
has '^  --> +open files +512 \(at most' 'ulimit -n'

# JSON, the same findings.
says '0 1' "$doctor" --json
if command -v python3 >/dev/null; then
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert d["verdict"] in ("ok", "change")
assert len(d["findings"]) > 20
assert all(f["advice"] for f in d["findings"] if f["verdict"] != "ok")' \
		"$tmp/out" || fail "the JSON is none, or not as it should be"
else
	has '^\{"version":"' '"name":"engine","verdict":"'
fi
says 64 "$doctor" --help

# io_uring forbidden by a filter, as in many containers.
cat >"$tmp/forbid.c" <<'EOF'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {4, code};

	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 99;
	execv(argv[1], argv + 1);
	return 98;
}
EOF
if [ -n "$uring" ] && ${CC:-gcc} -o "$tmp/forbid" "$tmp/forbid.c"; then
	says 1 "$tmp/forbid" "$doctor"
	has '^  --> +engine +epoll' 'seccomp' 'a filter is on'
	says 2 env RINGGO_ENGINE=io_uring "$tmp/forbid" "$doctor"
	has '^  !!! +engine +none: Operation not permitted' 'io_uring_setup'
fi
exit $status
