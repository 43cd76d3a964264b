// SPDX-License-Identifier: MIT
/*
 * The programs in examples/, run as a user would run them: what they print, how
 * they end, what their services answer. They are found in $RG_BUILD/examples.
 */
#include "tests/support/rgtest.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- programs that run to their end ------------------------------------------------ */

static const char *path_of(const char *name)
{
	static char path[4][4096];
	static int turn;
	const char *build = getenv("RG_BUILD");
	char *out = path[turn++ % 4];

	snprintf(out, sizeof(path[0]), "%s/examples/%s",
		 build ? build : "build", name);
	return out;
}

static void exec_program(void *arg)
{
	char **argv = arg;

	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

/* Its output; the caller frees it. */
static char *run(int code, const char *name, const char *a1, const char *a2)
{
	char *argv[] = {(char *)(uintptr_t)path_of(name), (char *)(uintptr_t)a1,
			(char *)(uintptr_t)a2, NULL};

	return t_expect_output(exec_program, argv, code);
}

static bool under_tsan(void)
{
	const char *san = getenv("RG_SAN");

	return san && !strcmp(san, "thread");
}

static void examples_hello_goroutine_speaks_before_main_ends(void **state)
{
	char *out = run(0, "hello_goroutine", NULL, NULL);

	(void)state;
	T_CHECK_STR_HAS(out, "hello world, from goroutine ");
	T_CHECK_STR_HAS(out, "main is goroutine ");
	free(out);
}

static void examples_sleepers_all_sleep_at_once(void **state)
{
	int64_t start = t_now_ns();
	char *out = run(0, "sleepers", NULL, NULL);

	(void)state;
	T_CHECK_STR_HAS(out, "naively: 1000 of 1000 slept");
	T_CHECK_STR_HAS(out, "with a wait group: 1000 of 1000 slept");
	T_CHECK_INT_GE(t_now_ns() - start, 2500 * RG_MILLISECOND);
	T_CHECK_INT_LT(t_now_ns() - start, 10 * RG_SECOND);
	free(out);
}

static void examples_commands_run_at_once_and_in_time(void **state)
{
	int64_t start = t_now_ns();
	char *out = run(0, "commands", "sleep 1000 | cat", "echo hi; exit 3");

	(void)state;
	T_CHECK_STR_EQ(out, "$ sleep 1000 | cat\n(Connection timed out)\n"
			    "$ echo hi; exit 3\nhi\n(exit code 3)\n");
	T_CHECK_INT_GE(t_now_ns() - start, 2 * RG_SECOND);
	T_CHECK_INT_LT(t_now_ns() - start, 10 * RG_SECOND);
	free(out);
	out = run(2, "commands", NULL, NULL);
	T_CHECK_STR_HAS(out, "usage: commands COMMAND...");
	free(out);
}

static void examples_pipeline_adds_up_and_ends_by_a_signal(void **state)
{
	char *out = run(0, "pipeline", NULL, NULL);

	(void)state;
	T_CHECK_STR_EQ(out, "the squares up to 20: 2870 (all of them)\n");
	free(out);
	/* timeout(1) ends with 124, and passes on what the program says. Nothing
	 * at all: it did not get as far as to listen for the signal. */
	static const char *const times[] = {"0.3", "2", "8"};

	out = NULL;
	for (int i = 0; i < 3 && (!out || !*out); i++) {
		char *argv[] = {(char *)(uintptr_t) "/usr/bin/timeout",
				(char *)(uintptr_t)times[i],
				(char *)(uintptr_t)path_of("pipeline"),
				(char *)(uintptr_t) "1000000", NULL};

		free(out);
		out = t_expect_output(exec_program, argv, 124);
	}
	T_CHECK_STR_HAS(out, "the squares up to 1000000: ");
	T_CHECK_STR_HAS(out, "(Operation canceled)");
	free(out);
}

static void examples_background_worker_ticks_works_and_ends(void **state)
{
	char *out = run(0, "background_worker", NULL, NULL);
	int ticks = 0;

	(void)state;
	T_CHECK_STR_HAS(out, "worker: job 3\n");
	T_CHECK_STR_HAS(out, "worker: asked to end");
	T_CHECK_STR_HAS(out, "the jobs add up to 6\n");
	T_CHECK_INT_EQ(sscanf(strstr(out, "main: "), "main: %d", &ticks), 1);
	T_CHECK_INT_GE(ticks, 1);
	T_CHECK_INT_LE(ticks, 8);
	free(out);
}

static void examples_race_loses_updates_and_mutex_does_not(void **state)
{
	int lost = 0;
	char *out;

	(void)state;
	if (!under_tsan()) { /* which would rightly stop the first one */
		out = run(0, "race_counter", NULL, NULL);
		T_CHECK_INT_EQ(
			sscanf(out, "expected 100000, counted %*d: %d", &lost),
			1);
		T_CHECK_INT_GT(lost, 0);
		free(out);
	}
	out = run(0, "race_fixed", NULL, NULL);
	T_CHECK_STR_EQ(out, "expected 100000, counted 100000: 0 updates "
			    "lost\n");
	free(out);
}

/* ---- services ------------------------------------------------------------------------ */

struct service {
	pid_t pid;
	int out; /* its stdout and stderr */
	char text[8192];
	size_t len;
	uint16_t port;
};

/* More of its output until mark appears; false: it ended first. */
static bool wait_for_text(struct service *s, const char *mark)
{
	int64_t deadline = t_now_ns() + 20 * RG_SECOND;

	while (!strstr(s->text, mark)) {
		struct pollfd p = {.fd = s->out, .events = POLLIN};
		ssize_t n = 0;

		if (poll(&p, 1, 100) == 1) {
			n = read(s->out, s->text + s->len,
				 sizeof(s->text) - 1 - s->len);
			if (n <= 0)
				return false;
		}
		s->len += (size_t)n;
		s->text[s->len] = '\0';
		if (t_now_ns() > deadline)
			T_FAIL("no \"%s\" in: %s", mark, s->text);
	}
	return true;
}

static void service_spawn(struct service *s, const char *name, const char *a1,
			  const char *a2)
{
	char *argv[] = {(char *)(uintptr_t)path_of(name), (char *)(uintptr_t)a1,
			(char *)(uintptr_t)a2, NULL};
	int fds[2];

	memset(s, 0, sizeof(*s));
	T_CHECK(pipe(fds) == 0);
	s->pid = fork();
	T_CHECK(s->pid >= 0);
	if (s->pid == 0) {
		alarm(60); /* never outlive a test that was killed */
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		exec_program(argv);
	}
	close(fds[1]);
	s->out = fds[0];
}

/* Started, and its port is known: the digits after "127.0.0.1:". */
static void service_start(struct service *s, const char *name, const char *a1)
{
	service_spawn(s, name, a1, NULL);
	if (!wait_for_text(s, "127.0.0.1:"))
		T_FAIL("%s did not start: %s", name, s->text);
	T_CHECK(wait_for_text(s, "\n"));
	s->port = (uint16_t)atoi(strstr(s->text, "127.0.0.1:") + 10);
	T_CHECK(s->port > 0);
}

static int service_wait(struct service *s)
{
	int status;

	while (wait_for_text(s, "\001 never printed"))
		;
	close(s->out);
	T_CHECK(waitpid(s->pid, &status, 0) == s->pid);
	return status;
}

/* Ended by sig, and gracefully: exit code 0. */
static void service_end(struct service *s, int sig)
{
	int status;

	T_CHECK(kill(s->pid, sig) == 0);
	status = service_wait(s);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		T_FAIL("status %#x: %s", status, s->text);
}

/* Without a way to end: killed. */
static void service_kill(struct service *s)
{
	T_CHECK(kill(s->pid, SIGKILL) == 0);
	T_CHECK(WIFSIGNALED(service_wait(s)));
}

/* Everything the server sends to one request on a connection of its own. */
static const char *fetch(uint16_t port, const char *request)
{
	static char text[1 << 20];
	int fd = t_tcp_connect(port);

	t_send_str(fd, request);
	t_recv_all(fd, text, sizeof(text));
	t_close(fd);
	return text;
}

#define GET(path)                                                              \
	"GET " path " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

struct getter {
	uint16_t port;
	const char *request;
};

static void *get_main(void *arg)
{
	struct getter *g = arg;
	char text[1024];
	int fd = t_tcp_connect(g->port);

	t_send_str(fd, g->request);
	t_recv_all(fd, text, sizeof(text));
	T_CHECK_STR_HAS(text, "HTTP/1.1 200 OK\r\n");
	t_close(fd);
	return NULL;
}

/* n requests at once; how many ms all took. */
static int64_t fetch_at_once(uint16_t port, const char *request, int n)
{
	struct getter g = {port, request};
	int64_t start = t_now_ns();
	pthread_t threads[8];

	for (int i = 0; i < n; i++)
		threads[i] = t_thread(get_main, &g);
	for (int i = 0; i < n; i++)
		t_join(threads[i]);
	return (t_now_ns() - start) / RG_MILLISECOND;
}

static void examples_http_server_answers_slow_requests_at_once(void **state)
{
	struct service s;
	int64_t ms;

	(void)state;
	service_start(&s, "http_server", "127.0.0.1:0");
	ms = fetch_at_once(s.port, GET("/x"), 5);
	T_CHECK_INT_GE(ms, 2000);
	T_CHECK_INT_LT(ms, 5000);
	T_CHECK(wait_for_text(&s, "start /x on goroutine"));
	T_CHECK(wait_for_text(&s, "end /x\n"));
	service_kill(&s);
}

static void examples_http_client_fetches_all_at_once(void **state)
{
	struct service s;
	char hello[64], echo[64], *out;

	(void)state;
	service_start(&s, "http_echo", "0");
	snprintf(hello, sizeof(hello), "http://127.0.0.1:%u/a",
		 (unsigned)s.port);
	snprintf(echo, sizeof(echo), "http://127.0.0.1:%u/b", (unsigned)s.port);
	out = run(0, "http_client", hello, echo);
	T_CHECK_STR_HAS(out, " 200 OK, 9 bytes\n");
	T_CHECK_STR_HAS(out, "2 of 2 fetched");
	free(out);
	out = run(1, "http_client", hello, "http://127.0.0.1:1/");
	T_CHECK_STR_HAS(out, "error: Connection refused");
	T_CHECK_STR_HAS(out, "1 of 2 fetched");
	free(out);
	free(run(2, "http_client", NULL, NULL));
	service_end(&s, SIGTERM);
}

static void examples_tcp_echo_sends_back_what_it_gets(void **state)
{
	struct service s;
	char buf[6];
	int fds[3];

	(void)state;
	service_start(&s, "tcp_echo", "127.0.0.1:0");
	for (int i = 0; i < 3; i++)
		fds[i] = t_tcp_connect(s.port);
	for (int i = 2; i >= 0; i--) {
		t_send_all(fds[i], "hello\n", 6);
		t_recv_exactly(fds[i], buf, 6);
		T_CHECK_MEM_EQ(buf, "hello\n", 6);
	}
	for (int i = 0; i < 3; i++)
		t_close(fds[i]);
	service_kill(&s);
}

/* ---- http_echo --------------------------------------------------------------------------- */

static const char *echo_line(uint16_t port, const char *request)
{
	const char *text = fetch(port, request), *body;

	body = strstr(text, "\r\n\r\n");
	T_CHECK(body != NULL);
	T_CHECK_STR_HAS(text, "HTTP/1.1 200 OK\r\n");
	return body + 4;
}

static void examples_http_echo_answers_any_method_and_target(void **state)
{
	struct service s;
	int64_t start;

	(void)state;
	service_start(&s, "http_echo", "0");
	T_CHECK_STR_EQ(echo_line(s.port, GET("/a//b/../c?x=%20&y#")),
		       "GET /a//b/../c?x=%20&y# 0\n");
	T_CHECK_STR_EQ(echo_line(s.port, "BREW /pot HTTP/1.1\r\nHost: t\r\n"
					 "Connection: close\r\n"
					 "Content-Length: 3\r\n\r\nabc"),
		       "BREW /pot 3\n");
	T_CHECK_STR_EQ(echo_line(s.port,
				 "POST http://h/p?q HTTP/1.1\r\nHost: t\r\n"
				 "Connection: close\r\nTransfer-Encoding: "
				 "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
		       "POST http://h/p?q 5\n");
	T_CHECK_STR_EQ(echo_line(s.port, "OPTIONS * HTTP/1.1\r\nHost: t\r\n"
					 "Connection: close\r\n\r\n"),
		       "OPTIONS * 0\n");
	T_CHECK_STR_EQ(echo_line(s.port,
				 "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n"
				 "Connection: close\r\n\r\n"),
		       "CONNECT h:443 0\n");
	T_CHECK_STR_HAS(fetch(s.port, "POST /bad HTTP/1.1\r\nHost: t\r\n"
				      "Transfer-Encoding: chunked\r\n\r\nzz"),
			"HTTP/1.1 400 Bad Request\r\n");
	start = t_now_ns();
	T_CHECK_STR_EQ(echo_line(s.port, GET("/slow")), "GET /slow 0\n");
	T_CHECK_INT_GE(t_now_ns() - start, 2 * RG_SECOND);
	service_end(&s, SIGTERM);
}

static void examples_http_echo_ends_gracefully_on_sigterm(void **state)
{
	struct getter g = {0};
	struct service s;
	pthread_t thread;
	int idle;

	(void)state;
	service_start(&s, "http_echo", "0");
	idle = t_tcp_connect(s.port);
	g.port = s.port;
	g.request = GET("/slow");
	thread = t_thread(get_main, &g);
	usleep(500000); /* the request is in progress by then, or just fails */
	service_end(&s, SIGTERM);
	t_join(thread);
	t_close(idle);
}

/* ---- demo_service ------------------------------------------------------------------------- */

static void check_debug_pages(uint16_t port)
{
	const char *text = fetch(port, GET("/debug/"));

	T_CHECK_STR_HAS(text, "Content-Type: text/html; charset=utf-8\r\n");
	T_CHECK_STR_HAS(text, "/debug/ringgo/stats");
	text = strstr(text, "\r\n\r\n");
	/* Self-contained: nothing is loaded from anywhere else. */
	T_CHECK(!strstr(text, "http:") && !strstr(text, "https:"));
	T_CHECK(!strstr(text, "src=") && !strstr(text, "@import"));
	text = fetch(port, GET("/debug/ringgo/stats"));
	T_CHECK_STR_HAS(text, "Content-Type: application/json\r\n");
	T_CHECK_STR_HAS(text, "{\"goroutines\":");
	T_CHECK_STR_HAS(text, ",\"ring_enters\":");
	T_CHECK_STR_HAS(text, ",\"stack_bytes_given_back\":");
	T_CHECK_STR_HAS(text, ",\"preemption\":{\"kicked\":");
	T_CHECK_STR_HAS(text, ",\"refused: thread locks\":");
	T_CHECK_STR_HAS(text, ",\"rss_bytes\":");
	T_CHECK_STR_HAS(text, "},\"time_ns\":");
	text = fetch(port, GET("/debug/pprof/"));
	T_CHECK_STR_HAS(text, "href=\"goroutine?debug=1\"");
	text = fetch(port, GET("/debug/pprof/goroutine?debug=1"));
	T_CHECK_STR_HAS(text, "goroutine profile: total ");
	text = fetch(port, GET("/debug/pprof/goroutine?debug=2"));
	T_CHECK_STR_HAS(text, "goroutine 1 [");
	T_CHECK_STR_HAS(text, "created by ");
	T_CHECK_STR_HAS(fetch(port, GET("/debug/other")), "/debug/other: ");
}

static void examples_demo_service_shows_itself(void **state)
{
	struct service s, second;
	char port[16];
	int64_t ms;

	(void)state;
	service_start(&s, "demo_service", "0");
	T_CHECK(wait_for_text(&s, "/debug/"));
	T_CHECK_STR_HAS(fetch(s.port, GET("/hello")), "\r\n\r\nhello, world\n");
	T_CHECK_STR_HAS(fetch(s.port, GET("/stats")), "{\"goroutines\":");
	ms = fetch_at_once(s.port, GET("/"), 3);
	T_CHECK_INT_GE(ms, 2000);
	T_CHECK_INT_LT(ms, 5000);
	check_debug_pages(s.port);
	/* Another one on the same port says what is wrong. */
	snprintf(port, sizeof(port), "%u", (unsigned)s.port);
	service_spawn(&second, "demo_service", port, NULL);
	T_CHECK_INT_EQ(WEXITSTATUS(service_wait(&second)), 1);
	T_CHECK_STR_HAS(second.text, "Address already in use");
	T_CHECK_STR_HAS(second.text, port);
	service_end(&s, SIGINT);
}

/* ---- the sources -------------------------------------------------------------------------- */

static int count_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	int lines = 0, c;

	T_CHECK(f != NULL);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static void examples_are_short(void **state)
{
	const char *root = getenv("RG_ROOT");
	char path[4096];
	struct dirent *e;
	int seen = 0;
	DIR *d;

	(void)state;
	snprintf(path, sizeof(path), "%s/examples", root ? root : ".");
	d = opendir(path);
	T_CHECK(d != NULL);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n < 2 || strcmp(e->d_name + n - 2, ".c"))
			continue;
		snprintf(path, sizeof(path), "%s/examples/%s",
			 root ? root : ".", e->d_name);
		T_CHECK_INT_LT(count_lines(path), 100);
		seen++;
	}
	closedir(d);
	T_CHECK_INT_GE(seen, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			examples_hello_goroutine_speaks_before_main_ends),
		cmocka_unit_test(examples_sleepers_all_sleep_at_once),
		cmocka_unit_test(examples_commands_run_at_once_and_in_time),
		cmocka_unit_test(
			examples_pipeline_adds_up_and_ends_by_a_signal),
		cmocka_unit_test(
			examples_background_worker_ticks_works_and_ends),
		cmocka_unit_test(
			examples_race_loses_updates_and_mutex_does_not),
		cmocka_unit_test(
			examples_http_server_answers_slow_requests_at_once),
		cmocka_unit_test(examples_http_client_fetches_all_at_once),
		cmocka_unit_test(examples_tcp_echo_sends_back_what_it_gets),
		cmocka_unit_test(
			examples_http_echo_answers_any_method_and_target),
		cmocka_unit_test(examples_http_echo_ends_gracefully_on_sigterm),
		cmocka_unit_test(examples_demo_service_shows_itself),
		cmocka_unit_test(examples_are_short),
	};

	if (access(path_of("demo_service"), X_OK) != 0) {
		puts("the examples are not built: make examples");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
