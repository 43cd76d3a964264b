#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restores - test_preempt notices each kind of register that the trampoline would not
# bring back: the same program, with one line of preempt.S changed in a copy, fails,
# and unchanged it does not.
# RG-TIMEOUT: 300

set -u
cd "$RG_ROOT" || exit 1
if [ -n "${RG_SAN:-}" ] || [ "$(uname -m)" != x86_64 ]; then
	echo "not under a sanitizer, and x86-64 only"
	exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export RG_PREEMPTIONS=2000
source=kernel-iface/arch/x86_64/preempt.S
libs=(-lcmocka -luring)
[ "${RG_ALLOC:-}" = jemalloc ] && libs+=(-ljemalloc)
libs+=(-lpthread)
status=0
caught=0

# The library without the trampolines, in the section of its text.
mapfile -t rest < <(sed -n 's|^obj/|&|p' "$RG_BUILD/config" |
	grep -v "^obj/$source.o$" | sed "s|^|$RG_BUILD/|")
[ ${#rest[@]} -gt 10 ] || {
	echo "restores: no list of objects in $RG_BUILD/config"
	exit 1
}
gcc -nostdlib -r -o "$tmp/rest.o" "${rest[@]}" || exit 1
read -ra renames < <(objdump -h "$tmp/rest.o" | awk '$2 ~ /^\.text/ {
	printf "--rename-section %s=rgtext ", $2 } END { print "" }')
objcopy "${renames[@]}" "$tmp/rest.o" || exit 1

# build_and_run SED-EXPRESSION - the program's exit code
build_and_run() {
	sed "/\.macro	RESTORE_ALL/,/\.endm/{$1}" $source >"$tmp/preempt.S"
	gcc -I. -Iinclude -fPIC -c -o "$tmp/preempt.o" "$tmp/preempt.S" &&
		gcc -pthread -Wl,-z,now -o "$tmp/test" \
			"$RG_BUILD/tests/kernel-iface/test_preempt.o" \
			"$RG_BUILD/tests/support.a" "$tmp/rest.o" \
			"$tmp/preempt.o" "${libs[@]}" || exit 1
	{ timeout 60 "$tmp/test" >"$tmp/out" 2>&1; } 2>/dev/null
}

build_and_run ""
rc=$?
[ $rc = 77 ] && {
	tail -n 1 "$tmp/out"
	exit 77
}
[ $rc = 0 ] || {
	cat "$tmp/out"
	echo "restores: unchanged, it fails"
	exit 1
}
grep -q "SKIPPED" "$tmp/out" && {
	echo "no trampolines on this machine"
	exit 77
}

# breaks WHAT SED-EXPRESSION
breaks() {
	build_and_run "$2"
	rc=$?
	if cmp -s "$tmp/preempt.S" $source; then
		echo "restores: $1: nothing was changed"
		status=1
	elif [ $rc = 0 ]; then
		echo "restores: $1: not noticed"
		status=1
	else
		caught=$((caught + 1))
	fi
}

# The mask of xrstor, without one component.
without() {
	echo "s/movl	preempt_xsave_mask(%rip), %eax/&; andl \$~$1, %eax/"
}

breaks "x87" "$(without 1)"
breaks "xmm" "$(without 2)"
grep -qw avx /proc/cpuinfo && breaks "upper halves of ymm" "$(without 4)"
if grep -qw avx512f /proc/cpuinfo; then
	breaks "k registers" "$(without 32)"
	breaks "upper halves of zmm" "$(without 64)"
	breaks "zmm16 to zmm31" "$(without 128)"
fi
breaks "mxcsr" "s/xrstor64 (%rsp)/&; ldmxcsr preempt_mxcsr(%rip)/"
breaks "flags" "s/popfq/addq \$8, %rsp/"
for r in rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rbp; do
	breaks "$r" "s/popq	%$r\$/&; notq %$r/"
done

[ $status = 0 ] && echo "restores: $caught of $caught changes noticed"
exit $status
