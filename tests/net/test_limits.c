// SPDX-License-Identifier: MIT
/*
 * limits - what calls say when a resource runs out, docs/io.md's table "Limits": the
 * error is the caller's, nothing is left behind, what is open goes on, and all works
 * again once there is room. And many connections at once. What keeps a runtime from
 * starting is test_refusal's, accepting without descriptors test_accept's; ENOBUFS and
 * ENOMEM of any operation test_faults'.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"

static rg_waitgroup wg;

static void start(void (*fn)(void *arg), void *arg)
{
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(fn, arg), 0);
}

/* None above those that are open; the limit before. Again and again: sysmon has one
 * open for some microseconds. */
static struct rlimit no_more_files(void)
{
	struct rlimit was, now;
	int fd;

	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = was;
	for (int full = 0; full < 3; full++) {
		fd = dup(STDIN_FILENO);
		if (fd < 0) {
			(void)rg_sleep(RG_MILLISECOND);
			continue;
		}
		close(fd);
		now.rlim_cur = (rlim_t)fd;
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
		full = -1;
	}
	return was;
}

/* ---- no descriptor is left -------------------------------------------------- */

static const char *listening;

static int opens_socket(void)
{
	return rg_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int opens_file(void)
{
	return rg_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
}

static int closed_or(int err, rg_conn *c)
{
	return err ? err : rg_conn_close(c);
}

static int dials(void)
{
	rg_conn *c = NULL;
	int err = rg_dial("tcp", listening, &c);

	return closed_or(err, c);
}

static int listens(void)
{
	rg_listener *l;
	int err = rg_listen("tcp", "127.0.0.1:0", &l);

	return err ? err : rg_listener_close(l);
}

static int opens_packet(void)
{
	rg_packet *p;
	int err = rg_listen_packet("udp", "127.0.0.1:0", &p);

	return err ? err : rg_packet_close(p);
}

static int opens_folder(void)
{
	rg_dir *d;
	int err = rg_dir_open(AT_FDCWD, "/", &d);

	return err ? err : rg_dir_close(d);
}

static int runs_command(void)
{
	static const char *const argv[] = {"true", NULL};
	rg_command *c = rg_command_new("/bin/true", argv, NULL);
	rg_command_result r;
	int err;

	T_CHECK(c != NULL);
	err = rg_command_run(c, &r);
	rg_command_free(c);
	return err;
}

static int file_fd, conn_fd;

static int sends_file(void)
{
	off_t off = 0;
	ssize_t n = rg_sendfile(conn_fd, file_fd, &off, 1);

	return n < 0 ? (int)n : 0;
}

static const struct opener {
	const char *name;
	int (*fn)(void); /* a descriptor, 0 or a negative errno */
	bool is_fd;
} openers[] = {
	{"socket", opens_socket, true},   {"openat", opens_file, true},
	{"dial", dials, false},           {"listen", listens, false},
	{"packet", opens_packet, false},  {"folder", opens_folder, false},
	{"command", runs_command, false}, {"sendfile", sends_file, false},
};

enum { OPENERS = sizeof(openers) / sizeof(openers[0]) };

static void check_openers(int expected)
{
	/* Counting takes one. */
	int fds = expected ? 0 : t_program_fds();

	for (int i = 0; i < OPENERS; i++) {
		int ret = openers[i].fn();

		if (ret >= 0 && openers[i].is_fd)
			ret = rg_close(ret);
		if (ret != expected)
			T_FAIL("%s: %s, expected %s", openers[i].name,
			       rg_strerror(ret), rg_strerror(expected));
	}
	if (!expected)
		T_CHECK_INT_EQ(t_program_fds(), fds);
}

static void check_conversation(struct pair p)
{
	char c = 0;

	T_CHECK_INT_EQ(rg_conn_write(p.a, "q", 1), 1);
	T_CHECK_INT_EQ(rg_conn_read(p.b, &c, 1), 1);
	T_CHECK_INT_EQ(c, 'q');
}

static void drain_files(rg_conn *c, int n)
{
	char buf[8];

	for (int i = 0; i < n; i++)
		T_CHECK_INT_EQ(rg_conn_read(c, buf, 1), 1);
}

enum { ROUNDS = 20 };

static void few_descriptors(void *arg)
{
	struct pair p = pair_tcp();
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct rlimit was;
	int64_t blocks;
	int fds;

	(void)arg;
	listening = rg_listener_addr(l);
	conn_fd = rg_conn_fd(p.a);
	file_fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	T_CHECK_INT_GE(file_fd, 0);
	check_openers(0);
	check_openers(0);
	fds = t_program_fds();
	blocks = alloc_live();
	was = no_more_files();
	for (int i = 0; i < ROUNDS; i++) {
		check_openers(-EMFILE);
		drain_files(p.b, i ? 0 : 2);
		check_conversation(p);
		T_CHECK_INT_EQ(rg_sleep(RG_MICROSECOND), 0);
	}
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	/* Less than one a round: what is made once and kept. */
	T_CHECK_INT_LT(alloc_live(), blocks + ROUNDS);
	check_openers(0);
	drain_files(p.b, 1);
	T_CHECK_INT_EQ(rg_close(file_fd), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

static void run_few_descriptors(void *arg)
{
	t_run_with(1, few_descriptors, arg);
}

static void limits_without_descriptors_each_call_says_so(void **state)
{
	(void)state;
	t_expect_exit(run_few_descriptors, NULL, 0, NULL);
}

/* ---- twenty thousand connections --------------------------------------------- */

enum {
	CONNECTIONS = 20000,
	LISTENERS = 4,
	DIALLERS = 50,
	FILES_OTHER = 500,
	FILES_WANTED = 2 * CONNECTIONS + FILES_OTHER
};

/* As many as the limit of descriptors holds both ends of. */
static int connections;

static rg_listener *listeners[LISTENERS];
static rg_conn *clients[CONNECTIONS];
static _Atomic int served, next_client;

/* Until the client goes. */
static void serves(void *arg)
{
	char buf[16];
	ssize_t n;

	while ((n = rg_conn_read(arg, buf, sizeof(buf))) > 0)
		T_CHECK_INT_EQ(rg_conn_write(arg, buf, (size_t)n), n);
	T_CHECK_INT_EQ(n, -ECONNRESET);
	T_CHECK_INT_EQ(rg_conn_close(arg), 0);
	served++;
	rg_waitgroup_done(&wg);
}

static void accepts_all(void *arg)
{
	rg_conn *c;
	int err;

	while (!(err = rg_listener_accept(arg, &c)))
		start(serves, c);
	T_CHECK_INT_EQ(err, -ECANCELED);
	rg_listener_unref(arg);
	rg_waitgroup_done(&wg);
}

static void dials_some(void *arg)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};
	int i;

	while ((i = next_client++) < connections) {
		rg_listener *l = listeners[i % LISTENERS];

		T_CHECK_INT_EQ(rg_dial("tcp", rg_listener_addr(l), &clients[i]),
			       0);
		/* Its port is free at once when it closes. */
		T_CHECK(!setsockopt(rg_conn_fd(clients[i]), SOL_SOCKET,
				    SO_LINGER, &hard, sizeof(hard)));
	}
	rg_waitgroup_done(arg);
}

static void check_echo(int i)
{
	char out[2] = {(char)i, (char)(i >> 8)}, in[2];
	ssize_t n = 0;

	T_CHECK_INT_EQ(rg_conn_write(clients[i], out, 2), 2);
	while (n < 2) {
		ssize_t ret = rg_conn_read(clients[i], in + n, 2 - (size_t)n);

		T_CHECK_INT_GT(ret, 0);
		n += ret;
	}
	T_CHECK_MEM_EQ(in, out, 2);
}

static void many_connections(void *arg)
{
	rg_waitgroup diallers = {0};
	int64_t begin = t_now_ns();
	rg_stats s;

	(void)arg;
	for (int i = 0; i < LISTENERS; i++) {
		listeners[i] = listen_at("tcp", "127.0.0.1:0");
		start(accepts_all, rg_listener_ref(listeners[i]));
	}
	rg_waitgroup_add(&diallers, DIALLERS);
	for (int i = 0; i < DIALLERS; i++)
		T_CHECK_INT_EQ(rg_go(dials_some, &diallers), 0);
	rg_waitgroup_wait(&diallers);
	for (int i = 0; i < connections; i++)
		check_echo(i);
	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof(s)), 0);
	/* All are open, one goroutine each, parked in a read or about to. */
	T_CHECK_INT_GE(rg_num_goroutine(), connections);
	T_CHECK_INT_GE(s.ring_inflight, connections / 2);
	print_message("%d connections in %d ms\n", connections,
		      (int)((t_now_ns() - begin) / 1000000));
	for (int i = 0; i < connections; i++)
		T_CHECK_INT_EQ(rg_conn_close(clients[i]), 0);
	for (int i = 0; i < LISTENERS; i++)
		T_CHECK_INT_EQ(rg_listener_close(listeners[i]), 0);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(served, connections);
	t_wait_goroutines(1);
}

static void run_many_connections(void *arg)
{
	int fds;

	(void)t_open_fds();
	fds = t_open_fds();
	t_run_with(2, many_connections, arg);
	T_CHECK_INT_EQ(t_open_fds(), fds);
	T_CHECK_INT_EQ(alloc_live(), 0);
}

/* Root may have more; others, and where that is forbidden, what they were given. */
static int most_connections(void)
{
	const struct rlimit wanted = {FILES_WANTED, FILES_WANTED};
	struct rlimit now;

	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
	if (now.rlim_cur < FILES_WANTED &&
	    setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
		now.rlim_cur = now.rlim_max;
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
	} else {
		now.rlim_cur = FILES_WANTED;
	}
	return now.rlim_cur < FILES_WANTED
		       ? ((int)now.rlim_cur - FILES_OTHER) / 2
		       : CONNECTIONS;
}

static void limits_hold_twenty_thousand_connections_at_once(void **state)
{
	char *out;

	(void)state;
	connections = most_connections();
	if (connections < 1000 || RG_TSAN || RG_ASAN)
		skip();
	out = t_expect_output(run_many_connections, NULL, 0);
	print_message("%s", out);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_without_descriptors_each_call_says_so),
		cmocka_unit_test(
			limits_hold_twenty_thousand_connections_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
