// SPDX-License-Identifier: MIT
/*
 * What rg_net_options asks for is what sockets have, on both sides of a connection and
 * on datagram sockets; what makes no sense, or what the hook refuses, leaves nothing
 * behind.
 */
#include "tests/net/netpair.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	T_CHECK_INT_EQ(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

struct hook {
	int calls, ret, bound_port;
};

static int hook(int fd, void *arg)
{
	struct hook *h = arg;
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t len = sizeof(name);

	h->calls++;
	T_CHECK_INT_EQ(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	h->bound_port = ntohs(name.sin_port);
	return h->ret;
}

static void check_stream(int fd)
{
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	T_CHECK_INT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 3);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
}

TEST(netoptions_reach_both_sides_of_a_connection)
{
	struct hook h = {.ret = 7};
	const rg_net_options o = {.flags = RG_NET_DELAY | RG_NET_REUSE_PORT,
				  .keepalive = 2 * RG_SECOND + 1,
				  .backlog = 3,
				  .recv_buffer = 20000,
				  .send_buffer = 30000,
				  .control = hook,
				  .control_arg = &h};
	rg_listener *l, *twin;
	rg_conn *a, *b;

	T_CHECK_INT_EQ(rg_listen_with("tcp", "127.0.0.1:0", &o, &l), 0);
	T_CHECK_INT_EQ(h.calls, 1);
	T_CHECK_INT_EQ(h.bound_port, 0);
	/* REUSE_PORT: another one at the same address, which only it may. */
	T_CHECK_INT_EQ(rg_listen_with("tcp", rg_listener_addr(l), &o, &twin),
		       0);
	T_CHECK_INT_EQ(rg_listener_close(twin), 0);
	T_CHECK_INT_EQ(rg_listen("tcp", rg_listener_addr(l), &twin),
		       -EADDRINUSE);
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(h.calls, 3);
	check_stream(rg_conn_fd(a));
	check_stream(rg_conn_fd(b));
	T_CHECK_INT_EQ(option(rg_conn_fd(a), SOL_SOCKET, SO_RCVBUF), 40000);
	T_CHECK_INT_EQ(option(rg_conn_fd(a), SOL_SOCKET, SO_SNDBUF), 60000);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(netoptions_zero_is_the_default)
{
	const rg_net_options none = {0};
	const rg_net_options quiet = {.flags = RG_NET_NO_KEEPALIVE};
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	rg_conn *c;

	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &none, &c), 0);
	T_CHECK_INT_EQ(option(rg_conn_fd(c), IPPROTO_TCP, TCP_NODELAY), 1);
	T_CHECK_INT_EQ(option(rg_conn_fd(c), SOL_SOCKET, SO_KEEPALIVE), 1);
	T_CHECK_INT_EQ(option(rg_conn_fd(c), IPPROTO_TCP, TCP_KEEPIDLE), 15);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &quiet, &c), 0);
	T_CHECK_INT_EQ(option(rg_conn_fd(c), SOL_SOCKET, SO_KEEPALIVE), 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(netoptions_reset_on_close_resets)
{
	const rg_net_options o = {.flags = RG_NET_RESET_ON_CLOSE};
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	rg_conn *a, *b;
	char buf[4];

	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_read(b, buf, 4), -ECONNRESET);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(netoptions_local_address_is_dialled_from)
{
	rg_net_options o = {.local_address = "127.0.0.2:0"};
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	rg_conn *c = NULL;

	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &c), 0);
	T_CHECK_MEM_EQ(rg_conn_local_addr(c), "127.0.0.2:", 10);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	c = NULL;
	o.local_address = "127.0.0.2";
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &c),
		       -EINVAL);
	o.local_address = "a.name:0";
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &c),
		       -EINVAL);
	o.local_address = "[::1]:0";
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &c),
		       -EAFNOSUPPORT);
	o.local_address = "192.0.2.1:0";
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(l), &o, &c),
		       -EADDRNOTAVAIL);
	T_CHECK_PTR_EQ(c, NULL);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(netoptions_a_hook_that_refuses_leaves_nothing)
{
	char folder[] = "/tmp/rg-netoptions-XXXXXX", path[64];
	struct hook h = {.ret = -EPERM};
	rg_net_options o = {.control = hook, .control_arg = &h};
	rg_listener *l = NULL, *other = listen_at("tcp", "127.0.0.1:0");
	rg_packet *p = NULL;
	rg_conn *c = NULL;
	struct stat st;

	T_CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/s", folder);
	T_CHECK_INT_EQ(rg_listen_with("unix", path, &o, &l), -EPERM);
	T_CHECK_INT_EQ(rg_listen_packet_with("unixgram", path, &o, &p), -EPERM);
	T_CHECK(stat(path, &st) != 0);
	T_CHECK_INT_EQ(rg_dial_with("tcp", rg_listener_addr(other), &o, &c),
		       -EPERM);
	T_CHECK_INT_EQ(h.calls, 3);
	T_CHECK(!l && !p && !c);
	T_CHECK_INT_EQ(rg_listener_close(other), 0);
	T_CHECK_INT_EQ(rmdir(folder), 0);
}

TEST(netoptions_nonsense_is_refused)
{
	const rg_net_options bad[] = {{.flags = 0x8000},
				      {.keepalive = -1},
				      {.backlog = -1},
				      {.recv_buffer = -1},
				      {.send_buffer = -1}};
	rg_listener *l = NULL;
	rg_packet *p = NULL;
	rg_conn *c = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		T_CHECK_INT_EQ(
			rg_listen_with("tcp", "127.0.0.1:0", &bad[i], &l),
			-EINVAL);
		T_CHECK_INT_EQ(rg_listen_packet_with("udp", "127.0.0.1:0",
						     &bad[i], &p),
			       -EINVAL);
		T_CHECK_INT_EQ(rg_dial_with("tcp", "127.0.0.1:1", &bad[i], &c),
			       -EINVAL);
	}
	T_CHECK(!l && !p && !c);
}

TEST(netoptions_reach_datagram_sockets)
{
	const rg_net_options o = {.flags = RG_NET_REUSE_PORT,
				  .recv_buffer = 20000};
	rg_packet *p, *q;

	T_CHECK_INT_EQ(rg_listen_packet_with("udp", "127.0.0.1:0", &o, &p), 0);
	T_CHECK_INT_EQ(rg_listen_packet_with("udp", rg_packet_addr(p), &o, &q),
		       0);
	T_CHECK_INT_EQ(option(rg_packet_fd(p), SOL_SOCKET, SO_RCVBUF), 40000);
	T_CHECK_INT_EQ(option(rg_packet_fd(p), SOL_SOCKET, SO_BROADCAST), 1);
	T_CHECK_INT_EQ(rg_packet_close(p), 0);
	T_CHECK_INT_EQ(rg_packet_close(q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(netoptions_reach_both_sides_of_a_connection),
		cmocka_unit_test(netoptions_zero_is_the_default),
		cmocka_unit_test(netoptions_reset_on_close_resets),
		cmocka_unit_test(netoptions_local_address_is_dialled_from),
		cmocka_unit_test(netoptions_a_hook_that_refuses_leaves_nothing),
		cmocka_unit_test(netoptions_nonsense_is_refused),
		cmocka_unit_test(netoptions_reach_datagram_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
