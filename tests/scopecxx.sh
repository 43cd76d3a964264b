#!/bin/bash
# SPDX-License-Identifier: MIT
#
# scopecxx - a C++17 program: a scope is waited for when an exception leaves it, and
# channels of one direction carry what a C program's do.

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
#include <stdexcept>

static int ended;

static int sleeps(void *)
{
	int err = rg_sleep(RG_HOUR);
	__atomic_fetch_add(&ended, err == -ECANCELED, __ATOMIC_RELAXED);
	return err;
}

static void throws()
{
	RG_SCOPE(s, RG_SCOPE_CANCEL);

	for (int i = 0; i < 3; i++)
		if (rg_scope_go(&s, sleeps, nullptr))
			throw std::logic_error("go");
	throw std::runtime_error("left");
}

static int sends(void *c)
{
	rg_sender to = rg_chan_sender(static_cast<rg_chan *>(c));

	for (int i = 1; i <= 10; i++)
		rg_send(to, i);
	rg_sender_close(to);
	return 0;
}

static int receives(rg_chan *c)
{
	RG_SCOPE(s, 0);
	rg_receiver from = rg_chan_receiver(c);
	int v = 0, sum = 0;
	rg_case cases[] = {RG_RECV(from, &v), RG_RECV(NULL, NULL)};

	if (rg_scope_go(&s, sends, c))
		return -1;
	if (rg_select(cases, 2) != 0)
		return -1;
	sum += v;
	rg_range(from, &v)
		sum += v;
	return rg_scope_end(&s) ? -1 : sum;
}

static int app(void *)
{
	static const rg_local_key key = RG_LOCAL_KEY(nullptr);
	rg_chan *c = rg_make(int, 0);
	int sum = receives(c);

	rg_chan_unref(c);
	if (sum != 55 || rg_local_get(&key))
		return 1;
	try {
		throws();
	} catch (const std::runtime_error &) {
		return ended == 3 ? 0 : 2;
	}
	return 3;
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
	runs=$((runs + 1))
	$cxx -std=c++17 -O2 -Wall -Wextra -Wshadow -Werror -fstack-clash-protection \
		-pthread -Iinclude -o "$tmp/main" "$tmp/main.cpp" -L"$RG_BUILD" \
		-Wl,-rpath,"$RG_BUILD" -lringgo || {
		echo "scopecxx: $cxx does not build it"
		status=1
		continue
	}
	"$tmp/main"
	rc=$?
	[ $rc = 0 ] || {
		echo "scopecxx: built by $cxx it ends with $rc"
		status=1
	}
done
if [ $runs = 0 ]; then
	echo "no C++ compiler"
	exit 77
fi
[ $status = 0 ] && echo "scopecxx: $runs programs run"
exit $status
