// SPDX-License-Identifier: MIT
/*
 * seed_life - goroutines that come and go, scopes, and bytes through socket pairs under
 * many seeds.
 */
#include "tests/stress/seedrun.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static rg_waitgroup wg;
static int born, buried, deferred;

static void count_defer(void *arg)
{
	(void)arg;
	deferred++;
}

static void breeds(void *arg)
{
	intptr_t depth = (intptr_t)arg;

	born++;
	rg_defer(count_defer, NULL);
	for (int i = 0; depth && i < 3; i++)
		T_CHECK(!rg_waitgroup_go(&wg, breeds, (void *)(depth - 1)));
	buried++;
	if (seedrun_draw(2))
		rg_exit();
}

static void spawns(void)
{
	born = buried = deferred = 0;
	T_CHECK(!rg_waitgroup_go(&wg, breeds, (void *)4));
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(born, 1 + 3 + 9 + 27 + 81);
	T_CHECK_INT_EQ(buried, born);
	T_CHECK_INT_EQ(deferred, born);
}

/* ---- more than a run queue holds ---- */

static void nothing(void *arg)
{
	(void)arg;
	buried++;
}

static void storms(void)
{
	buried = 0;
	for (int i = 0; i < 600; i++)
		T_CHECK(!rg_waitgroup_go(&wg, nothing, NULL));
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(buried, 600);
}

/* ---- scopes ---- */

static int fails_or_waits(void *arg)
{
	if ((intptr_t)arg == 2) {
		rg_sleep(seedrun_draw(3000));
		return -EIO;
	}
	return rg_sleep((intptr_t)arg % 2 ? RG_HOUR : 1000);
}

static void scopes(void)
{
	rg_scope s = RG_SCOPE_INIT(RG_SCOPE_CANCEL);
	rg_time start = rg_now();

	for (intptr_t i = 0; i < 6; i++)
		T_CHECK(!rg_scope_go(&s, fails_or_waits, (void *)i));
	T_CHECK_INT_EQ(rg_scope_end(&s), -EIO);
	T_CHECK_INT_LT(rg_now() - start, RG_HOUR);
}

/* ---- an echo over socket pairs ---- */

enum { PAIRS = 3, BYTES = 300 };

static int pair[PAIRS][2];

static void echoes(void *arg)
{
	int fd = pair[(intptr_t)arg][1];
	char buf[64];
	ssize_t n;

	while ((n = rg_read(fd, buf, 1 + seedrun_draw(sizeof(buf)))) > 0)
		T_CHECK_INT_EQ(rg_write_full(fd, buf, (size_t)n), n);
	T_CHECK_INT_EQ(n, 0);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

static void writes(void *arg)
{
	int fd = pair[(intptr_t)arg][0];

	for (int i = 0; i < BYTES;) {
		char buf[50];
		int n = 1 + (int)seedrun_draw(sizeof(buf));

		n = n < BYTES - i ? n : BYTES - i;
		for (int k = 0; k < n; k++)
			buf[k] = (char)(i + k);
		T_CHECK_INT_EQ(rg_write_full(fd, buf, (size_t)n), n);
		i += n;
	}
}

static void asks(void *arg)
{
	int fd = pair[(intptr_t)arg][0];
	char c;

	T_CHECK(!rg_waitgroup_go(&wg, writes, arg));
	for (int i = 0; i < BYTES; i++) {
		T_CHECK_INT_EQ(rg_read_full(fd, &c, 1), 1);
		T_CHECK_INT_EQ(c, (char)i);
	}
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

static void echo(void)
{
	for (intptr_t i = 0; i < PAIRS; i++) {
		T_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair[i]));
		T_CHECK(!rg_waitgroup_go(&wg, echoes, (void *)i));
		T_CHECK(!rg_waitgroup_go(&wg, asks, (void *)i));
	}
	rg_waitgroup_wait(&wg);
}

int main(int argc, char **argv)
{
	static const struct seed_case cases[] = {
		{.name = "spawns", .body = spawns},
		{.name = "storms", .body = storms},
		{.name = "scopes", .body = scopes},
		{.name = "echo", .body = echo, .has_io = true},
	};

	return seedrun_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
