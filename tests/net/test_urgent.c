// SPDX-License-Identifier: MIT
/*
 * SIGURG is the runtime's, and TCP's: a host that asked for urgent data (F_SETOWN,
 * MSG_OOB) is told of it as without a runtime, and of nothing else, also while dumps
 * stop all threads by the same signal; no byte of the stream is lost.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "kernel-iface/base/sanitize.h"

enum { URGENT = 60 };

static _Atomic int told, strange;

static void on_urgent(int sig, siginfo_t *info, void *context)
{
	(void)context;
	/* The kernel's, not a thread's. */
	if (sig != SIGURG || info->si_code != SI_KERNEL)
		strange++;
	told++;
}

static bool was_told(void *arg)
{
	return told > *(int *)arg;
}

struct dumper {
	_Atomic bool is_over;
	_Atomic int n;
	int fd;
};

static void dump_again_and_again(void *arg)
{
	struct dumper *d = arg;

	while (!d->is_over || d->n < 3) {
		T_CHECK_INT_EQ(rg_dump(d->fd, 2), 0);
		d->n++;
		(void)rg_sleep(RG_MILLISECOND);
	}
}

static void one_urgent_byte(struct pair *p, int i)
{
	char text[2] = {(char)('a' + i % 26), (char)('A' + i % 26)}, byte = 0;
	int before = told;

	T_CHECK_INT_EQ(rg_conn_write(p->a, text, 1), 1);
	T_CHECK_INT_EQ(send(rg_conn_fd(p->a), text + 1, 1, MSG_OOB), 1);
	T_WAIT_UNTIL(was_told, &before);
	T_CHECK_INT_EQ(recv(rg_conn_fd(p->b), &byte, 1, MSG_OOB), 1);
	T_CHECK_INT_EQ(byte, text[1]);
	T_CHECK_INT_EQ(rg_conn_read(p->b, &byte, 1), 1);
	T_CHECK_INT_EQ(byte, text[0]);
}

static void gets_urgent_data(void *arg)
{
	struct pair p = pair_tcp();
	struct dumper d = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	rg_waitgroup dumps = {0};

	(void)arg;
	T_CHECK(d.fd >= 0);
	T_CHECK_INT_EQ(fcntl(rg_conn_fd(p.b), F_SETOWN, getpid()), 0);
	/* ThreadSanitizer, which holds signals back, keeps one of a number for a thread:
	 * the second would be lost. */
	if (RG_TSAN)
		d.n = 3;
	else
		spawn(&dumps, dump_again_and_again, &d);
	for (int i = 0; i < URGENT; i++)
		one_urgent_byte(&p, i);
	d.is_over = true;
	rg_waitgroup_wait(&dumps);
	T_CHECK_INT_GE(d.n, 3);
	close(d.fd);
	pair_close(&p);
}

static void urgent_data_reaches_the_hosts_handler_and_nothing_else(void **state)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_RESTART}, former,
			 now;

	(void)state;
	sa.sa_sigaction = on_urgent;
	T_CHECK_INT_EQ(sigaction(SIGURG, &sa, &former), 0);
	t_run_with(2, gets_urgent_data, NULL);
	T_CHECK_INT_EQ(strange, 0);
	T_CHECK_INT_GE(told, URGENT);
	/* The host's again. */
	T_CHECK_INT_EQ(sigaction(SIGURG, &former, &now), 0);
	T_CHECK(now.sa_sigaction == on_urgent);
}

/* Without a handler nobody is told, and nothing happens by it. */
static void gets_unwatched_data(void *arg)
{
	struct pair p = pair_tcp();
	char byte = 0;

	(void)arg;
	T_CHECK_INT_EQ(fcntl(rg_conn_fd(p.b), F_SETOWN, getpid()), 0);
	for (int i = 0; i < URGENT; i++) {
		T_CHECK_INT_EQ(send(rg_conn_fd(p.a), "!", 1, MSG_OOB), 1);
		T_CHECK_INT_EQ(rg_conn_write(p.a, "x", 1), 1);
		T_CHECK_INT_EQ(rg_conn_read(p.b, &byte, 1), 1);
		T_CHECK_INT_EQ(byte, 'x');
	}
	pair_close(&p);
}

static void urgent_data_without_a_handler_is_harmless(void **state)
{
	(void)state;
	t_run_with(2, gets_unwatched_data, NULL);
}

static void asks_for_sigurg(void *arg)
{
	const int sig = SIGURG;
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), -EINVAL);
	rg_chan_unref(c);
}

static void urgent_signal_as_a_channel_is_refused(void **state)
{
	(void)state;
	t_run(asks_for_sigurg, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			urgent_data_reaches_the_hosts_handler_and_nothing_else),
		cmocka_unit_test(urgent_data_without_a_handler_is_harmless),
		cmocka_unit_test(urgent_signal_as_a_channel_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
