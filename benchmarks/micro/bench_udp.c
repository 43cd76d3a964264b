// SPDX-License-Identifier: MIT
/*
 * bench_udp - what a UDP datagram of 256 bytes costs, sent and received over loopback by one
 * goroutine, 32 at a time: by a call each, by batches, by segments of one send and
 * one receive. No Go twin: its standard library has single calls only.
 */
#include "benchmarks/support/bench.h"

#include <string.h>
#include <sys/socket.h>

enum { SIZE = 256, AT_ONCE = 32 };

static rg_packet *sock;
static struct sockaddr_storage name;
static socklen_t name_len = sizeof name;
static char text[AT_ONCE * SIZE];

static void open_one(bool gro)
{
	if (rg_listen_packet("udp", "127.0.0.1:0", &sock) ||
	    getsockname(rg_packet_fd(sock), (struct sockaddr *)&name,
			&name_len))
		bench_fail("udp: no socket");
	if (gro && rg_packet_set_gro(sock, true))
		bench_fail("udp: no UDP_GRO");
}

static void single(int64_t n)
{
	open_one(false);
	for (int64_t done = 0; done < n; done += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++)
			if (rg_packet_write_to(sock, text, SIZE,
					       (struct sockaddr *)&name,
					       name_len) != SIZE)
				bench_fail("udp: write");
		for (int i = 0; i < AT_ONCE; i++)
			if (rg_packet_read_from(sock, text, SIZE, NULL, NULL) !=
			    SIZE)
				bench_fail("udp: read");
	}
	rg_packet_close(sock);
}

static void batch(int64_t n)
{
	struct mmsghdr out[AT_ONCE], in[AT_ONCE];
	struct iovec v[AT_ONCE];

	open_one(false);
	memset(out, 0, sizeof out);
	for (int i = 0; i < AT_ONCE; i++) {
		v[i] = (struct iovec){text + i * SIZE, SIZE};
		out[i].msg_hdr.msg_iov = &v[i];
		out[i].msg_hdr.msg_iovlen = 1;
	}
	memcpy(in, out, sizeof in);
	for (int i = 0; i < AT_ONCE; i++) {
		out[i].msg_hdr.msg_name = &name;
		out[i].msg_hdr.msg_namelen = name_len;
	}
	for (int64_t done = 0; done < n; done += AT_ONCE) {
		int got = 0;

		if (rg_packet_write_batch(sock, out, AT_ONCE) != AT_ONCE)
			bench_fail("udp: write");
		while (got < AT_ONCE) {
			int k = rg_packet_read_batch(sock, in + got,
						     AT_ONCE - (unsigned)got);

			if (k <= 0)
				bench_fail("udp: read");
			got += k;
		}
	}
	rg_packet_close(sock);
}

static void segments(int64_t n)
{
	open_one(true);
	for (int64_t done = 0; done < n; done += AT_ONCE) {
		size_t got = 0;

		if (rg_packet_write_segments(sock, text, sizeof text, SIZE,
					     (struct sockaddr *)&name,
					     name_len) != sizeof text)
			bench_fail("udp: write");
		while (got < sizeof text) {
			ssize_t k = rg_packet_read_segments(
				sock, text, sizeof text, NULL, NULL, NULL);

			if (k <= 0)
				bench_fail("udp: read");
			got += (size_t)k;
		}
	}
	rg_packet_close(sock);
}

static const struct bench_row rows[] = {
	{.name = "udp_single",
	 .n = 32000,
	 .figure = {{"udp_single", "ns/op"}},
	 .timed = single},
	{.name = "udp_batch",
	 .n = 64000,
	 .figure = {{"udp_batch", "ns/op"}},
	 .timed = batch},
	{.name = "udp_segments",
	 .n = 64000,
	 .figure = {{"udp_segments", "ns/op"}},
	 .timed = segments},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
