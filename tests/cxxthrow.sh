#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cxxthrow - C++17 exceptions belong to their goroutine: many park in catch blocks, in
# destructors under way of an exception, and with nested exceptions, change threads, and
# each still has its own.
# RG-TIMEOUT: 120

set -u
cd "$RG_ROOT" || exit 1
if [ -n "${RG_SAN:-}" ]; then
	echo "a sanitizer's library needs the sanitizer's flags in every program"
	exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/main.cpp" <<'END'
#include <ringgo.h>
#include <exception>
#include <stdexcept>

enum { THROWERS = 20, ROUNDS = 300 };

static int wrong, ended;

static void expect(bool ok)
{
	if (!ok)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

struct Mine {
	int owner, round;
};

/* Parks while the stack unwinds through it. */
struct Parks {
	~Parks()
	{
		expect(std::uncaught_exceptions() == 1);
		rg_yield();
		expect(std::uncaught_exceptions() == 1);
	}
};

static void throws(int owner, int round)
{
	Parks here;

	throw Mine{owner, round};
}

static void rethrows(int owner, int round)
{
	try {
		throws(owner, round);
	} catch (const Mine &) {
		rg_yield();
		try {
			rg_yield();
			throw std::runtime_error("inner");
		} catch (const std::exception &) {
			rg_yield();
		}
		expect(std::uncaught_exceptions() == 0);
		throw;
	}
}

static void thrower(void *arg)
{
	int owner = static_cast<int>(reinterpret_cast<long>(arg)), caught = 0;

	expect(!std::current_exception());
	for (int round = 0; round < ROUNDS; round++) {
		try {
			rethrows(owner, round);
		} catch (const Mine &m) {
			if (round % 10 == 0)
				rg_sleep(RG_MICROSECOND);
			caught += m.owner == owner && m.round == round;
		}
	}
	expect(caught == ROUNDS);
	expect(!std::current_exception());
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
}

static int app(void *)
{
	rg_waitgroup w = {};

	for (long i = 0; i < THROWERS; i++)
		if (rg_waitgroup_go(&w, thrower, reinterpret_cast<void *>(i)))
			return 1;
	rg_waitgroup_wait(&w);
	return wrong ? 2 : ended != THROWERS ? 3 : 0;
}

int main()
{
	return rg_run(nullptr, app, nullptr);
}
END

status=0
runs=0
for cxx in g++ clang++; do
	command -v $cxx >/dev/null || continue
	for linked in -lringgo "-l:libringgo.a -luring $(
		[ "${RG_ALLOC:-}" = jemalloc ] && echo -ljemalloc)"; do
		# shellcheck disable=SC2086
		$cxx -std=c++17 -O2 -Wall -Wextra -Wshadow -Werror \
			-fstack-clash-protection -pthread -Iinclude \
			-o "$tmp/main" "$tmp/main.cpp" -L"$RG_BUILD" \
			-Wl,-rpath,"$RG_BUILD" $linked || {
			echo "cxxthrow: $cxx does not build it with $linked"
			status=1
			continue
		}
		for ps in 1 2; do
			runs=$((runs + 1))
			RINGGO_MAXPROCS=$ps timeout 50 "$tmp/main"
			rc=$?
			[ $rc = 0 ] || {
				echo "cxxthrow: $cxx, $linked, $ps Ps: ends with $rc"
				status=1
			}
		done
	done
done
if [ $runs = 0 ]; then
	echo "no C++ compiler"
	exit 77
fi
[ $status = 0 ] && echo "cxxthrow: $runs runs"
exit $status
