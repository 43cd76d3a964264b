// SPDX-License-Identifier: MIT
/*
 * Attacks bufread's and bufwrite's invariants: lines, looks ahead and blocks give the same
 * bytes however the stream is cut, failures take nothing out of a reader and stay in a
 * writer, on connections and descriptors.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void make_pipe(int p[2])
{
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
}

static void put(int fd, const char *text)
{
	T_CHECK_INT_EQ(write(fd, text, strlen(text)), strlen(text));
}

static void line_is(rg_reader *r, const char *expected)
{
	const char *line = NULL;
	ssize_t ret = rg_reader_line(r, &line);

	T_CHECK_INT_EQ(ret, strlen(expected));
	T_CHECK_MEM_EQ(line, expected, strlen(expected));
}

TEST(bufio_lines_of_a_descriptor)
{
	const char *line;
	rg_reader *r;
	int p[2];

	make_pipe(p);
	r = rg_reader_new_fd(p[0], 16);
	put(p[1], "one\n\ntwo three\nfour");
	line_is(r, "one\n");
	T_CHECK_INT_EQ(rg_reader_buffered(r), 12);
	line_is(r, "\n");
	line_is(r, "two three\n");
	put(p[1], " five\n0123456789abcde\n0123456789abcdef\nend");
	close(p[1]);
	line_is(r, "four five\n");
	/* 16 bytes with the end of line fit, 17 do not, and stay. */
	line_is(r, "0123456789abcde\n");
	T_CHECK_INT_EQ(rg_reader_line(r, &line), -ENOBUFS);
	T_CHECK_INT_EQ(rg_reader_peek(r, 16, &line), 16);
	T_CHECK_MEM_EQ(line, "0123456789abcdef", 16);
	T_CHECK_INT_EQ(rg_reader_discard(r, 17, NULL), 17);
	line_is(r, "end");
	line_is(r, "");
	line_is(r, "");
	rg_reader_free(r);
	close(p[0]);
}

TEST(bufio_peek_discard_and_blocks)
{
	const char *data;
	char buf[64];
	size_t done = 99;
	rg_reader *r;
	int p[2];

	make_pipe(p);
	r = rg_reader_new_fd(p[0], 20);
	put(p[1], "0123456789");
	T_CHECK_INT_EQ(rg_reader_read(r, buf, 0), 0);
	T_CHECK_INT_EQ(rg_reader_peek(r, 4, &data), 4);
	T_CHECK_MEM_EQ(data, "0123", 4);
	T_CHECK_INT_EQ(rg_reader_peek(r, 0, &data), 0);
	T_CHECK_INT_EQ(rg_reader_peek(r, 21, &data), -ENOBUFS);
	T_CHECK_INT_EQ(rg_reader_read(r, buf, 3), 3);
	T_CHECK_MEM_EQ(buf, "012", 3);
	T_CHECK_INT_EQ(rg_reader_discard(r, 2, &done), 2);
	T_CHECK_INT_EQ(done, 2u);
	T_CHECK_INT_EQ(rg_reader_read(r, buf, 64), 5);
	put(p[1], "abcdefghijklmnopqrstuvwxyz");
	/* Nothing is there: longer than the buffer, read past it. */
	T_CHECK_INT_EQ(rg_reader_read(r, buf, 22), 22);
	T_CHECK_INT_EQ(rg_reader_buffered(r), 0);
	close(p[1]);
	T_CHECK_INT_EQ(rg_reader_peek(r, 10, &data), 4);
	T_CHECK_MEM_EQ(data, "wxyz", 4);
	T_CHECK_INT_EQ(rg_reader_discard(r, 1, NULL), 1);
	T_CHECK_INT_EQ(rg_reader_read_full(r, buf, 10, &done), 3);
	T_CHECK_MEM_EQ(buf, "xyz", 3);
	T_CHECK_INT_EQ(rg_reader_discard(r, 5, &done), 0);
	T_CHECK_INT_EQ(rg_reader_read(r, buf, 5), 0);
	T_CHECK_INT_EQ(rg_reader_read_full(r, buf, SIZE_MAX, NULL), -EINVAL);
	rg_reader_free(r);
	rg_reader_free(NULL);
	close(p[0]);
}

TEST(bufio_failed_reads_take_nothing)
{
	struct pair p = pair_tcp();
	rg_reader *r = rg_reader_new(p.b, 0);
	char buf[16];
	size_t done;
	const char *line;

	T_CHECK_INT_EQ(rg_conn_write(p.a, "half", 4), 4);
	T_CHECK_INT_EQ(rg_reader_peek(r, 4, &line), 4);
	rg_conn_set_read_deadline(p.b, rg_now());
	T_CHECK_INT_EQ(rg_reader_line(r, &line), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_reader_peek(r, 5, &line), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_reader_buffered(r), 4);
	/* What a block got, it tells. */
	T_CHECK_INT_EQ(rg_reader_read_full(r, buf, 10, &done), -ETIMEDOUT);
	T_CHECK_INT_EQ(done, 4u);
	T_CHECK_MEM_EQ(buf, "half", 4);
	T_CHECK_INT_EQ(rg_reader_discard(r, 3, &done), -ETIMEDOUT);
	T_CHECK_INT_EQ(done, 0u);
	rg_conn_set_read_deadline(p.b, 0);
	T_CHECK_INT_EQ(rg_conn_write(p.a, " a line\n", 8), 8);
	line_is(r, " a line\n");
	/* The reader's reference keeps it. */
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	T_CHECK_INT_EQ(rg_reader_line(r, &line), -ECANCELED);
	rg_reader_free(r);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
}

struct producer {
	rg_conn *c;
	size_t lines;
};

/* Lines of growing length, by writes of every kind. */
static void produce(void *arg)
{
	struct producer *pr = arg;
	rg_writer *w = rg_writer_new(pr->c, 100);
	char text[300];

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < pr->lines; i++) {
		size_t len = i * 7 % 300;

		T_CHECK_INT_GT(rg_writer_printf(w, "%zu:", i), 0);
		T_CHECK_INT_EQ(rg_writer_write(w, text, len), len);
		T_CHECK_INT_EQ(rg_writer_write(w, "\n", 1), 1);
		T_CHECK_INT_LE(rg_writer_buffered(w), 100);
	}
	T_CHECK_INT_EQ(rg_writer_flush(w), 0);
	T_CHECK_INT_EQ(rg_writer_buffered(w), 0);
	rg_writer_free(w);
	T_CHECK_INT_EQ(rg_conn_close_write(pr->c), 0);
}

TEST(bufio_what_is_written_is_read)
{
	struct pair p = pair_tcp();
	struct producer pr = {.c = p.a, .lines = 3000};
	rg_reader *r = rg_reader_new(p.b, 333);
	rg_waitgroup w = {0};
	const char *line;
	char head[32];

	spawn(&w, produce, &pr);
	for (size_t i = 0; i < pr.lines; i++) {
		size_t len = (size_t)snprintf(head, sizeof(head), "%zu:", i);
		ssize_t ret = rg_reader_line(r, &line);

		T_CHECK_INT_EQ(ret, len + i * 7 % 300 + 1);
		T_CHECK_MEM_EQ(line, head, len);
		for (size_t k = len; k < (size_t)ret - 1; k++)
			T_CHECK_INT_EQ(line[k], 'x');
		T_CHECK_INT_EQ(line[ret - 1], '\n');
	}
	T_CHECK_INT_EQ(rg_reader_line(r, &line), 0);
	rg_waitgroup_wait(&w);
	rg_reader_free(r);
	pair_close(&p);
}

TEST(bufio_writers_send_when_full_or_told)
{
	static const char long_text[] = "0123456789abcdef0123456789abcdef";
	char buf[128];
	rg_writer *w;
	int p[2];

	make_pipe(p);
	w = rg_writer_new_fd(p[1], 16);
	T_CHECK_INT_EQ(rg_writer_write(w, "abc", 3), 3);
	T_CHECK_INT_EQ(rg_writer_write(w, NULL, 0), 0);
	T_CHECK_INT_EQ(rg_writer_printf(w, "%s", ""), 0);
	T_CHECK_INT_EQ(rg_writer_buffered(w), 3u);
	T_CHECK_INT_EQ(rg_poll(p[0], 1 /* POLLIN */, 0), -ETIMEDOUT);
	/* Does not fit: both go, in order. */
	T_CHECK_INT_EQ(rg_writer_write(w, long_text, 32), 32);
	T_CHECK_INT_EQ(rg_writer_buffered(w), 0u);
	T_CHECK_INT_EQ(rg_read(p[0], buf, 3), 3);
	T_CHECK_MEM_EQ(buf, "abc", 3);
	T_CHECK_INT_EQ(rg_read_full(p[0], buf, 32), 32);
	T_CHECK_MEM_EQ(buf, long_text, 32);
	T_CHECK_INT_EQ(rg_writer_write(w, "abcdefgh", 8), 8);
	T_CHECK_INT_EQ(rg_writer_printf(w, "%s", "0123456789"), 10);
	T_CHECK_INT_EQ(rg_writer_buffered(w), 10u);
	T_CHECK_INT_EQ(rg_writer_printf(w, "%s", long_text), -EMSGSIZE);
	T_CHECK_INT_EQ(rg_writer_flush(w), 0);
	T_CHECK_INT_EQ(rg_writer_flush(w), 0);
	T_CHECK_INT_EQ(rg_read_full(p[0], buf, 18), 18);
	T_CHECK_MEM_EQ(buf, "abcdefgh0123456789", 18);
	rg_writer_free(w);
	rg_writer_free(NULL);
	close(p[0]);
	close(p[1]);
}

TEST(bufio_a_writers_failure_stays)
{
	rg_writer *w;
	int p[2];

	make_pipe(p);
	close(p[0]);
	w = rg_writer_new_fd(p[1], 16);
	T_CHECK_INT_EQ(rg_writer_write(w, "abc", 3), 3);
	T_CHECK_INT_EQ(rg_writer_flush(w), -EPIPE);
	T_CHECK_INT_EQ(rg_writer_flush(w), -EPIPE);
	T_CHECK_INT_EQ(rg_writer_write(w, "abc", 3), -EPIPE);
	T_CHECK_INT_EQ(rg_writer_printf(w, "x"), -EPIPE);
	T_CHECK_INT_EQ(rg_writer_buffered(w), 0u);
	rg_writer_free(w);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bufio_lines_of_a_descriptor),
		cmocka_unit_test(bufio_peek_discard_and_blocks),
		cmocka_unit_test(bufio_failed_reads_take_nothing),
		cmocka_unit_test(bufio_what_is_written_is_read),
		cmocka_unit_test(bufio_writers_send_when_full_or_told),
		cmocka_unit_test(bufio_a_writers_failure_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
