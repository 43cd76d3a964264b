#!/bin/bash
# SPDX-License-Identifier: MIT
# RG-TIMEOUT: 600
#
# model - the protocols of the scheduler, as Promela models in tests/model/, hold in
# every interleaving, and the models can tell: each mistake seeded into them is found.
#
# Per model, spin's verifier searches all states for failed assertions and for states
# in which somebody waits for ever. It must find none; the search must be complete
# (not cut off by depth or memory); and every statement of the model must have been
# reached. Then the same with one -DFAULT_x at a time, for every FAULT_x that the
# model's text names: each must end in a failed assertion or an invalid end state.
#
#   tests/model.sh            all models
#   tests/model.sh park       one; its error trail is replayed when it fails
#
# A model may be smaller for the suite: it is compiled with -DQUICK, unless
# RG_MODEL_FULL is set (`make model`, `make stress`). Faults are always looked for in
# the whole model.

set -u
export LC_ALL=C
: "${RG_ROOT:=$(cd "$(dirname "$0")/.." && pwd)}"
CC=${CC:-gcc}

skip() {
	echo "model: $*"
	exit 77
}

[ -z "${RG_SAN:-}" ] ||
	skip "the models do not depend on how the library was built"
command -v spin >/dev/null || skip "no spin (package spin)"
command -v "${CC%% *}" >/dev/null || skip "no C compiler: $CC"

quick=(-DQUICK)
[ -z "${RG_MODEL_FULL:-}" ] || quick=()
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# build MODEL FAULT|none CFLAGS...: pan in the current folder.
build() {
	local src=$RG_ROOT/tests/model/$1.pml define=("-D$2")

	[ "$2" != none ] || define=("${quick[@]}")
	shift 2
	spin -a "${define[@]}" "$src" >spin.log 2>&1 &&
		$CC "$@" -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c 2>cc.log
}

# All states.
verify_whole() {
	build "$1" none -O2 || return 1
	./pan -m300000 -w23 >out 2>&1
	if [ -f "$1.pml.trail" ]; then
		spin -t -p -g "${quick[@]}" "$RG_ROOT/tests/model/$1.pml" \
			>trail 2>&1
	fi
}

# The order of the search is random: most orders meet the fault after a few thousand
# states, some after millions. So a few short tries come before the whole search.
look_for_fault() {
	local seed

	build "$1" "$2" -O0 -DT_RAND -DP_RAND || return 1
	for seed in 1 2 3 4; do
		timeout 1 ./pan -m300000 -w18 -RS$seed >out 2>&1
		! found_error out || return 0
	done
	./pan -m300000 -w22 >out 2>&1
}

# verify MODEL FAULT|none: a folder with pan's output in `out`.
verify() {
	local dir=$tmp/$1.$2

	mkdir "$dir" && cd "$dir" || return 1
	if [ "$2" = none ]; then
		verify_whole "$1"
	else
		look_for_fault "$1" "$2"
	fi
	rm -f pan pan.?
}

faults() {
	grep -oE 'FAULT_[A-Z0-9_]+' "$RG_ROOT/tests/model/$1.pml" | sort -u
}

found_error() {
	grep -qE '^pan:[0-9]+: (assertion violated|invalid end state)' "$1"
}

# Whether the search of the model without faults found nothing, and all was searched.
is_proved() {
	local out=$1

	grep -q 'errors: 0$' "$out" || { echo "an error"; return 1; }
	if grep -qE 'too small|out of memory|reached -DMEMLIM|aborted' "$out"; then
		echo "the search was cut off"
		return 1
	fi
	# A line of an unreached statement ends with its text in quotes; processes
	# that serve for ever do not reach their -end-.
	if grep -E '^	.*, state [0-9]+, "' "$out" | grep -v '"-end-"'; then
		echo "statements that were never reached"
		return 1
	fi
	return 0
}

field() { # EXPRESSION FILE
	sed -nE "s/$1/\\1/p" "$2" | head -1
}

report() {
	local model=$1 out=$tmp/$1.none/out caught=0 n=0 why missed= f

	for f in $(faults "$model"); do
		n=$((n + 1))
		if found_error "$tmp/$model.$f/out"; then
			caught=$((caught + 1))
		else
			missed="$missed $f"
		fi
	done
	if [ ! -f "$out" ]; then
		cat "$tmp/$model.none/"*.log
		echo "model: $model cannot be built"
		return 1
	fi
	printf '%-10s %10s %8s %8s %9s\n' "$model" \
		"$(field '^ *([0-9.e+]+) states, stored.*' "$out")" \
		"$(field '.*depth reached ([0-9]+).*' "$out")" \
		"$(field '.*elapsed time ([0-9.]+) sec.*' "$out")s" \
		"$caught of $n"
	if ! why=$(is_proved "$out"); then
		printf 'model: %s: %s\n' "$model" "$why"
		grep '^pan:' "$out"
		tail -120 "$tmp/$model.none/trail" 2>/dev/null
		return 1
	fi
	if [ -n "$missed" ]; then
		echo "model: $model does not notice:$missed"
		return 1
	fi
	if [ "$n" -lt 4 ]; then
		echo "model: $model has $n seeded faults, at least 4 are asked for"
		return 1
	fi
	return 0
}

models=${*:-$(cd "$RG_ROOT/tests/model" && printf '%s\n' *.pml | sed 's/\.pml$//')}
jobs=$(for m in $models; do
	echo "$m none"
	for f in $(faults "$m"); do echo "$m $f"; done
done)

# Two at a time.
run_half() {
	local i=0 model fault

	while read -r model fault; do
		[ $((i++ % 2)) = "$1" ] && verify "$model" "$fault"
	done <<<"$jobs"
}
run_half 0 &
run_half 1
wait

status=0
printf '%-10s %10s %8s %8s %9s\n' model states depth time faults
for m in $models; do
	report "$m" || status=1
done
exit $status
