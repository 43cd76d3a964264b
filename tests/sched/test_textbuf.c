// SPDX-License-Identifier: MIT
/*
 * textbuf - text through a small buffer: numbers, quoting, times, errors (I1, I2).
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "sched/textbuf.h"

static char printed[1024];

static int keep(struct textbuf *b, const char *p, size_t n)
{
	(void)b;
	assert_true(strlen(printed) + n < sizeof printed);
	strncat(printed, p, n);
	return 0;
}

static void textbuf_small_buffer_loses_nothing(void **state)
{
	static const char want[] = "a18446744073709551615 0x0 0xdeadbeef "
				   "\"q\\\"\\\\\\x01\\x7f\"\"cu\"";

	(void)state;
	for (size_t cap = 1; cap <= sizeof want; cap++) {
		char mem[sizeof want];
		struct textbuf b;

		printed[0] = '\0';
		textbuf_init(&b, mem, cap, -1, keep);
		textbuf_char(&b, 'a');
		textbuf_dec(&b, UINT64_MAX);
		textbuf_str(&b, " ");
		textbuf_hex(&b, 0);
		textbuf_char(&b, ' ');
		textbuf_hex(&b, 0xdeadbeef);
		textbuf_char(&b, ' ');
		textbuf_quoted(&b, "q\"\\\001\177", 100);
		textbuf_quoted(&b, "cut", 2);
		assert_int_equal(textbuf_flush(&b), 0);
		assert_string_equal(printed, want);
	}
}

static void textbuf_durations_are_cut_to_three_decimals(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {{0, "0us"},
		     {999, "0.999us"},
		     {1500, "1.5us"},
		     {1000000, "1ms"},
		     {12345678, "12.345ms"},
		     {1000000000, "1s"},
		     {61020000000, "61.02s"}};
	char mem[16];
	struct textbuf b;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		printed[0] = '\0';
		textbuf_init(&b, mem, sizeof mem, -1, keep);
		textbuf_duration(&b, cases[i].ns);
		textbuf_flush(&b);
		assert_string_equal(printed, cases[i].text);
	}
}

static int refuse(struct textbuf *b, const char *p, size_t n)
{
	(void)p;
	(void)n;
	b->fd++; /* counts calls */
	return -ENOSPC;
}

static void textbuf_first_error_ends_the_writing(void **state)
{
	char mem[4];
	struct textbuf b;

	(void)state;
	textbuf_init(&b, mem, sizeof mem, 0, refuse);
	textbuf_str(&b, "0123456789");
	assert_int_equal(textbuf_flush(&b), -ENOSPC);
	assert_int_equal(b.fd, 1);
}

static void *read_slowly(void *arg)
{
	static char buf[1000];
	ssize_t n, total = 0;

	while ((n = read(*(int *)arg, buf, sizeof buf)) > 0) {
		total += n;
		usleep(100);
	}
	return (void *)total;
}

/* A pipe that is full now and then, and does not block. */
static void textbuf_write_fd_waits_for_room(void **state)
{
	static char mem[100000];
	struct textbuf b;
	pthread_t reader;
	void *total;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &fds[0]),
			 0);
	memset(mem, 'x', sizeof mem);
	textbuf_init(&b, mem, sizeof mem, fds[1], textbuf_write_fd);
	for (int i = 0; i < 3; i++) {
		b.len = sizeof mem;
		assert_int_equal(textbuf_flush(&b), 0);
	}
	close(fds[1]);
	assert_int_equal(pthread_join(reader, &total), 0);
	assert_int_equal((intptr_t)total, 3 * sizeof mem);
	close(fds[0]);
	b.len = 1;
	assert_int_equal(textbuf_flush(&b), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(textbuf_small_buffer_loses_nothing),
		cmocka_unit_test(textbuf_durations_are_cut_to_three_decimals),
		cmocka_unit_test(textbuf_first_error_ends_the_writing),
		cmocka_unit_test(textbuf_write_fd_waits_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
