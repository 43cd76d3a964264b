#!/bin/sh
# SPDX-License-Identifier: MIT
#
# aarch64 - cross-compiles the context switch and runs its test under qemu-user.
# Skipped (77) where the cross compiler or qemu-aarch64 is missing.
set -eu
root=${RG_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}
cc=aarch64-linux-gnu-gcc
for tool in $cc qemu-aarch64; do
	if ! command -v $tool >/dev/null 2>&1; then
		echo "skipped: $tool is not installed"
		exit 77
	fi
done
if ! printf '#include <stdio.h>\nint main(void){return 0;}\n' |
	$cc -static -x c -o /dev/null - 2>/dev/null; then
	echo "skipped: no C library for $cc"
	exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$root"
for opt in -O0 -O2 -O3; do
	$cc $opt -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -I. \
		-Iinclude -funwind-tables -static -pthread -o "$out/coro" \
		tests/cross/coro_cross.c kernel-iface/coro.c \
		kernel-iface/arch/aarch64/entry.S -lm
	qemu-aarch64 "$out/coro"
	echo "aarch64 $opt: the switch holds"
done
