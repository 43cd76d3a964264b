// SPDX-License-Identifier: MIT
/*
 * examples/kv and its file: what is in it after the end, what a damaged one is answered
 * with, and that no acknowledged write is lost when a server under load is told to
 * end. (kvsnap.h, I1 and I2.)
 */
#include "tests/api/kvfixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static char dir[] = "/tmp/ringgo-kv.XXXXXX";
static char file[64];

static void put_file(const void *data, size_t n)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(write(fd, data, n), (ssize_t)n);
	close(fd);
}

static size_t get_file(char *data, size_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	T_CHECK(fd >= 0);
	n = read(fd, data, size);
	T_CHECK(n > 0 && (size_t)n < size);
	close(fd);
	return (size_t)n;
}

/* No file of ours but the snapshot is in the folder. */
static void expect_no_leftover(void)
{
	char beside[80];

	snprintf(beside, sizeof beside, "%s.new", file);
	T_CHECK(access(beside, F_OK) < 0);
}

static void kv_end_and_start_keep_everything(void **state)
{
	static const char binary[] =
		"*3\r\n$3\r\nSET\r\n$4\r\n\0\r\n\xff\r\n$3\r\n\n\0\r\r\n";
	static const char get[] = "*2\r\n$3\r\nGET\r\n$4\r\n\0\r\n\xff\r\n";
	struct kv s;
	int fd;

	(void)state;
	unlink(file);
	kv_start(&s, "-s", file, "-m", "2");
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "LASTSAVE\r\n", ":0\r\n");
	T_CHECK_STR_EQ(kv_ask(fd, binary, sizeof binary - 1), "+OK\r\n");
	kv_expect(fd, "MSET a 1 empty '' c 3\r\n", "+OK\r\n");
	kv_expect(fd, "EXPIREAT a 99999999999\r\n", ":1\r\n");
	kv_expect(fd, "SET soon v PX 1\r\n", "+OK\r\n");
	kv_end(&s, SIGTERM); /* with the connection open */
	t_close(fd);
	T_CHECK_STR_HAS(s.text, " keys to ");
	expect_no_leftover();

	usleep(2000); /* longer than the life of "soon" */
	kv_start(&s, "-s", file, "-m", "2");
	T_CHECK_STR_HAS(s.text, "kv: 4 keys from ");
	fd = t_tcp_connect(s.port);
	T_CHECK(!memcmp(kv_ask(fd, get, sizeof get - 1), "$3\r\n\n\0\r\r\n",
			9));
	kv_expect(fd, "MGET a empty c soon\r\n",
		  "*4\r\n$1\r\n1\r\n$0\r\n\r\n$1\r\n3\r\n$-1\r\n");
	kv_expect(fd, "EXPIRETIME a\r\n", ":99999999999\r\n");
	kv_expect(fd, "TTL c\r\n", ":-1\r\n");
	kv_expect(fd, "SET d 4\r\n", "+OK\r\n");
	kv_expect(fd, "SAVE\r\n", "+OK\r\n");
	T_CHECK_STR_EQ(kv_ask(fd, "EXISTS d\r\n", 10), ":1\r\n");
	t_send_str(fd, "SET d lost\r\nSHUTDOWN NOSAVE\r\n");
	t_recv_all(fd, (char[16]){0}, 16);
	t_close(fd);
	T_CHECK_INT_EQ(kv_wait(&s), 0);

	kv_start(&s, "-s", file, NULL, NULL);
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "GET d\r\n", "$1\r\n4\r\n");
	t_send_str(fd, "SHUTDOWN\r\n");
	T_CHECK_INT_EQ(t_recv_all(fd, (char[16]){0}, 16), 0);
	t_close(fd);
	T_CHECK_INT_EQ(kv_wait(&s), 0);
}

/* ---- damaged files ----------------------------------------------------------------- */

/* A server that is started on the file refuses, and says why. */
static void expect_refusal(const char *why, const char *case_name, size_t at)
{
	const char *argv[] = {kv_path(), "-a", "127.0.0.1:0", "-s", file, NULL};
	struct kv s;
	int status;

	kv_spawn(&s, argv);
	status = kv_wait(&s);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
	    !strstr(s.text, "kv: cannot load ") || !strstr(s.text, why) ||
	    strstr(s.text, "listening"))
		T_FAIL("%s %zu: status %#x: %s", case_name, at, status, s.text);
}

static void kv_damaged_snapshots_are_refused_with_the_reason(void **state)
{
	static char good[4096], bad[4096];
	struct kv s;
	size_t n;
	int fd;

	(void)state;
	unlink(file);
	kv_start(&s, "-s", file, NULL, NULL);
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "MSET key value k2 v2\r\n", "+OK\r\n");
	kv_expect(fd, "EXPIREAT key 99999999999\r\n", ":1\r\n");
	t_close(fd);
	kv_end(&s, SIGTERM);
	n = get_file(good, sizeof good);
	for (size_t i = 0; i < n; i++) { /* a bit that changed */
		memcpy(bad, good, n);
		bad[i] = (char)(bad[i] ^ 1 << i % 8);
		put_file(bad, n);
		expect_refusal(i < 8 ? "no snapshot" : "", "byte", i);
	}
	for (size_t i = 0; i < n; i++) { /* an end that is missing */
		put_file(good, i);
		expect_refusal(i < 8 ? "no snapshot" : "the file was cut",
			       "length", i);
	}
	memcpy(bad, good, n);
	put_file(bad, n + 1);
	expect_refusal("1 bytes follow its end", "tail", n);
	bad[n - 1] = (char)~bad[n - 1];
	put_file(bad, n);
	expect_refusal("its checksum is wrong", "checksum", n);
	put_file(good, n);
	kv_start(&s, "-s", file, NULL, NULL);
	T_CHECK_STR_HAS(s.text, "kv: 2 keys from ");
	kv_end(&s, SIGTERM);
}

static void kv_place_that_cannot_be_written_is_said(void **state)
{
	struct kv s;
	int fd, status;

	(void)state;
	kv_start(&s, "-s", "/nonexistent-folder/x", NULL, NULL);
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "SET a 1\r\n", "+OK\r\n");
	kv_expect(fd, "SAVE\r\n",
		  "-ERR /nonexistent-folder/x: No such file or directory\r\n");
	kv_expect(fd, "GET a\r\n", "$1\r\n1\r\n");
	t_close(fd);
	T_CHECK(kill(s.pid, SIGTERM) == 0);
	status = kv_wait(&s);
	T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	T_CHECK_STR_HAS(s.text, "kv: cannot save to /nonexistent-folder/x: ");
}

/* ---- the end under load ------------------------------------------------------------ */

enum { WRITERS = 8, DEPTH = 16 };

struct writer {
	int fd; /* connected before any of them writes */
	int number;
	int acknowledged; /* keys 0 ... acknowledged - 1 */
};

/* Batches of SETs until the connection ends. */
static void *write_main(void *arg)
{
	struct writer *w = arg;
	int fd = w->fd;
	size_t had = 0;

	for (int i = 0;; i += DEPTH) {
		char ask[DEPTH * 48], got[DEPTH * 5];
		int n = 0;

		for (int d = 0; d < DEPTH; d++)
			n += sprintf(ask + n, "SET w%d:%d value-%d\r\n",
				     w->number, i + d, i + d);
		if (t_try_send(fd, ask, (size_t)n) != n)
			break;
		for (had = 0; had < sizeof got;) {
			ssize_t r = t_recv(fd, got + had, sizeof got - had);

			if (r <= 0)
				goto gone;
			had += (size_t)r;
		}
		w->acknowledged = i + DEPTH;
	}
	had = 0;
gone:
	w->acknowledged += (int)(had / 5);
	t_close(fd);
	return NULL;
}

static void check_writer(int fd, const struct writer *w)
{
	for (int i = 0; i < w->acknowledged; i++) {
		char ask[32], want[48];
		int n = snprintf(want, sizeof want, "value-%d", i);

		snprintf(want, sizeof want, "$%d\r\nvalue-%d\r\n", n, i);
		snprintf(ask, sizeof ask, "GET w%d:%d\r\n", w->number, i);
		kv_expect(fd, ask, want);
	}
}

static void kv_term_under_load_loses_no_acknowledged_write(void **state)
{
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	struct kv s;
	int fd;

	(void)state;
	unlink(file);
	kv_start(&s, "-s", file, "-m", "2");
	for (int i = 0; i < WRITERS; i++)
		writers[i] = (struct writer){.fd = t_tcp_connect(s.port),
					     .number = i};
	for (int i = 0; i < WRITERS; i++)
		threads[i] = t_thread(write_main, &writers[i]);
	fd = t_tcp_connect(s.port);
	while (atoi(kv_ask(fd, "DBSIZE\r\n", 8) + 1) < 2000)
		;
	t_close(fd);
	kv_end(&s, SIGTERM);
	for (int i = 0; i < WRITERS; i++)
		t_join(threads[i]);
	kv_start(&s, "-s", file, "-m", "2");
	fd = t_tcp_connect(s.port);
	for (int i = 0; i < WRITERS; i++)
		check_writer(fd, &writers[i]);
	t_close(fd);
	kv_end(&s, SIGTERM);
}

/* One that takes no answers is cut off in the end, and does not hold up the rest. */
static void kv_term_does_not_wait_for_who_never_reads(void **state)
{
	static char value[1 << 20];
	char head[64];
	struct kv s;
	int fd;

	(void)state;
	unlink(file);
	kv_start(&s, "-s", file, "-m", "2");
	fd = t_tcp_connect(s.port);
	snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%zu\r\n",
		 sizeof value);
	memset(value, 'v', sizeof value);
	t_send_str(fd, head);
	t_send_all(fd, value, sizeof value);
	t_send_str(fd, "\r\n");
	for (int i = 0; i < 64; i++)
		t_send_str(fd, "GET v\r\n");
	t_recv_until(fd, head, sizeof head, "+OK\r\n");
	kv_end(&s, SIGTERM);
	T_CHECK_STR_HAS(s.text, "kv: 1 keys to ");
	t_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kv_end_and_start_keep_everything),
		cmocka_unit_test(
			kv_damaged_snapshots_are_refused_with_the_reason),
		cmocka_unit_test(kv_place_that_cannot_be_written_is_said),
		cmocka_unit_test(
			kv_term_under_load_loses_no_acknowledged_write),
		cmocka_unit_test(kv_term_does_not_wait_for_who_never_reads),
	};
	int failed;

	if (!kv_is_built())
		return 77;
	if (!mkdtemp(dir))
		return 1;
	snprintf(file, sizeof file, "%s/snapshot", dir);
	setenv("RINGGO_DEBUG", "leak=1", 1); /* goroutines left: kv_end looks */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	rmdir(dir);
	return failed;
}
