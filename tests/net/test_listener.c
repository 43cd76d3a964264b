// SPDX-License-Identifier: MIT
/*
 * Attacks listener where sockets are made and named: addresses and their families,
 * options and what they cost, the ports and paths that closing gives back.
 * Calls of setsockopt and of the name calls are counted:
 * RG-LDFLAGS: -Wl,--wrap=setsockopt,--wrap=getsockname,--wrap=getpeername,--wrap=socket
 */
#include "tests/net/netpair.h"
#include "tests/support/rgfolder.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is wrapped ---------------------------------------------------- */

static _Atomic int socket_calls; /* setsockopt, getsockname, getpeername */
static _Atomic bool without_ipv6;

int __real_setsockopt(int fd, int level, int name, const void *v, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *v, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
	socket_calls++;
	return __real_setsockopt(fd, level, name, v, n);
}

int __real_getsockname(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	socket_calls++;
	return __real_getsockname(fd, a, n);
}

int __real_getpeername(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getpeername(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
	socket_calls++;
	return __real_getpeername(fd, a, n);
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	if (family == AF_INET6 && without_ipv6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return __real_socket(family, type, protocol);
}

/* ---- addresses ---------------------------------------------------------- */

TEST(listen_port_zero_picks_one)
{
	static const struct {
		const char *network, *address, *host;
	} cases[] = {
		{"tcp", "127.0.0.1:0", "127.0.0.1:"},
		{"tcp4", ":0", "0.0.0.0:"},
		{"tcp4", "localhost:0", "127.0.0.1:"},
		{"tcp", "localhost:0", "127.0.0.1:"},
		{"tcp", "0.0.0.0:0", "0.0.0.0:"},
		{"tcp", ":0", "[::]:"},
		{"tcp", "[::]:0", "[::]:"},
		{"tcp6", ":0", "[::]:"},
		{"tcp6", "localhost:0", "[::1]:"},
		{"tcp6", "[::1]:0", "[::1]:"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rg_listener *l = listen_at(cases[i].network, cases[i].address);

		T_CHECK_MEM_EQ(rg_listener_addr(l), cases[i].host,
			       strlen(cases[i].host));
		T_CHECK(t_port_of(rg_listener_addr(l)) > 0);
		T_CHECK_INT_EQ(rg_listener_close(l), 0);
	}
}

TEST(listen_refuses_nonsense)
{
	static const struct {
		const char *network, *address;
		int err;
	} cases[] = {
		{"udp", ":0", -EINVAL},
		{NULL, ":0", -EINVAL},
		{"tcp", NULL, -EINVAL},
		{"tcp", "", -EINVAL},
		{"tcp", "8080", -EINVAL},
		{"tcp", "127.0.0.1", -EINVAL},
		{"tcp", "127.0.0.1:http", -EINVAL},
		{"tcp", "127.0.0.1:65536", -EINVAL},
		{"tcp", "::1:80", -EINVAL},
		{"tcp4", "[::1]:0", -EINVAL},
		{"tcp6", "127.0.0.1:0", -EINVAL},
		{"tcp", "192.0.2.1:0", -EADDRNOTAVAIL},
		{"unix", "", -EINVAL},
		{"unix", NULL, -EINVAL},
		{"unix", "/nonexistent/folder/socket", -ENOENT},
	};
	static int place;
	rg_listener *const untouched = (rg_listener *)&place;
	rg_listener *l = untouched;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = rg_listen(cases[i].network, cases[i].address, &l);

		if (err != cases[i].err)
			T_FAIL("%s %s: %d", cases[i].network, cases[i].address,
			       err);
		T_CHECK_PTR_EQ(l, untouched);
	}
	T_CHECK_INT_EQ(rg_listen("tcp", ":0", NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_listener_close(NULL), -EINVAL);
	T_CHECK_PTR_EQ(rg_listener_ref(NULL), NULL);
	rg_listener_unref(NULL);
}

TEST(listen_all_addresses_means_both_families)
{
	rg_listener *l = listen_at("tcp", ":0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	rg_conn *c;

	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "127.0.0.1:");
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(dial_port("tcp", "[::1]", port), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "[::1]:");
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);

	l = listen_at("tcp6", ":0");
	port = t_port_of(rg_listener_addr(l));
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), -ECONNREFUSED);
	T_CHECK_INT_EQ(dial_port("tcp", "[::1]", port), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(listen_on_a_machine_without_ipv6)
{
	rg_listener *l;

	without_ipv6 = true;
	l = listen_at("tcp", ":0");
	T_CHECK_MEM_EQ(rg_listener_addr(l), "0.0.0.0:", 8);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(rg_listen("tcp6", ":0", &l), -EAFNOSUPPORT);
	without_ipv6 = false;
}

TEST(listen_port_in_use_is_refused_and_free_after_close)
{
	struct pair p;
	rg_listener *l = listen_at("tcp", "127.0.0.1:0"), *other;
	char address[64];

	strcpy(address, rg_listener_addr(l));
	T_CHECK_INT_EQ(rg_listen("tcp", address, &other), -EADDRINUSE);
	/* A connection of ours stays behind in TIME_WAIT. */
	T_CHECK_INT_EQ(rg_dial("tcp", address, &p.a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &p.b), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	l = listen_at("tcp", address);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- options ------------------------------------------------------------ */

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	T_CHECK_INT_EQ(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

TEST(accept_costs_no_further_system_call)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	int before = socket_calls, fd;
	rg_conn *c;

	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "127.0.0.1:");
	T_CHECK_INT_EQ(socket_calls, before);
	T_CHECK_STR_EQ(rg_conn_local_addr(c), rg_listener_addr(l));
	T_CHECK_INT_EQ(socket_calls, before + 1);
	/* Inherited from the listener all the same. */
	fd = rg_conn_fd(c);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	T_CHECK_INT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	T_CHECK_INT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

static void check_backlog(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	unsigned limit = 0;

	T_CHECK(f && fscanf(f, "%u", &limit) == 1);
	fclose(f);
	/* For a listening socket tcpi_sacked is the backlog. */
	T_CHECK_INT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	T_CHECK_INT_EQ(info.tcpi_sacked, limit);
}

TEST(listen_takes_the_backlog_of_the_system)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int port = t_port_of(rg_listener_addr(l)), fds = t_open_fds();
	bool found = false;

	for (int fd = 0; fd < fds + 64; fd++) {
		struct sockaddr_in a;
		socklen_t len = sizeof(a);

		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
		    a.sin_family == AF_INET && ntohs(a.sin_port) == port) {
			check_backlog(fd);
			found = true;
		}
	}
	T_CHECK(found);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- unix --------------------------------------------------------------- */

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

TEST(listen_unix_path_is_removed_at_close)
{
	const char *path = t_folder_path("s");
	rg_listener *l = listen_at("unix", path), *other;
	rg_conn *a, *b;

	T_CHECK(exists(path));
	T_CHECK_STR_EQ(rg_listener_addr(l), path);
	T_CHECK_INT_EQ(rg_listen("unix", path, &other), -EADDRINUSE);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_dial("unix", path, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(rg_conn_write(a, "u", 1), 1);
	T_CHECK_INT_EQ(rg_conn_read(b, &(char){0}, 1), 1);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK(!exists(path));
	T_CHECK_INT_EQ(rg_dial("unix", path, &a), -ENOENT);

	l = listen_at("unix", path);
	rg_listener_unref(l);
	T_CHECK(!exists(path));
}

TEST(listen_unix_removes_only_what_it_bound)
{
	const char *path = t_folder_path("t");
	rg_listener *l = listen_at("unix", path), *other;

	/* Somebody put his own socket there. */
	T_CHECK_INT_EQ(unlink(path), 0);
	other = listen_at("unix", path);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_listener_close(other), 0);
	T_CHECK(!exists(path));
	/* A path that is there, whatever it is, is not touched. */
	T_CHECK_INT_EQ(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)),
		       0);
	T_CHECK_INT_EQ(rg_listen("unix", path, &l), -EADDRINUSE);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(unlink(path), 0);
	/* Gone before close: nothing to remove, no error. */
	l = listen_at("unix", path);
	T_CHECK_INT_EQ(unlink(path), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(listen_unix_abstract_names)
{
	rg_listener *l, *other;
	rg_conn *a, *b;
	char name[32];

	/* The name of nobody else who runs this test. */
	snprintf(name, sizeof(name), "@rg-listener-%d", (int)getpid());
	l = listen_at("unix", name);
	T_CHECK_STR_EQ(rg_listener_addr(l), name);
	T_CHECK_INT_EQ(rg_listen("unix", name, &other), -EADDRINUSE);
	T_CHECK_INT_EQ(rg_dial("unix", name, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	/* "@": the kernel chooses. */
	l = listen_at("unix", "@");
	T_CHECK_INT_GT(strlen(rg_listener_addr(l)), 1);
	T_CHECK_INT_EQ(rg_dial("unix", rg_listener_addr(l), &a), 0);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(rg_dial("unix", "@", &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listen_port_zero_picks_one),
		cmocka_unit_test(listen_refuses_nonsense),
		cmocka_unit_test(listen_all_addresses_means_both_families),
		cmocka_unit_test(listen_on_a_machine_without_ipv6),
		cmocka_unit_test(
			listen_port_in_use_is_refused_and_free_after_close),
		cmocka_unit_test(accept_costs_no_further_system_call),
		cmocka_unit_test(listen_takes_the_backlog_of_the_system),
		cmocka_unit_test(listen_unix_path_is_removed_at_close),
		cmocka_unit_test(listen_unix_removes_only_what_it_bound),
		cmocka_unit_test(listen_unix_abstract_names),
	};

	return cmocka_run_group_tests(tests, t_folder_make, t_folder_remove);
}
