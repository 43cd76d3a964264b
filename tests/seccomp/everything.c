// SPDX-License-Identifier: MIT
/*
 * everything - a bit of all that the library does for a program, for tests/seccomp.sh: each
 * kind of call at least once, all of which must succeed.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ringgo.h>

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "everything: %d: %s\n", __LINE__,      \
				#condition);                                   \
			exit(1);                                               \
		}                                                              \
	} while (0)

static const char *folder;
static rg_waitgroup wg;

/* ---- goroutines, channels, timers, preemption ---- */

static _Atomic int stop;

static void computes(void *arg)
{
	(void)arg;
	while (!stop)
		;
	rg_waitgroup_done(&wg);
}

static void *asks_libc(void *arg)
{
	usleep(1000);
	return arg;
}

static void try_scheduler(void)
{
	const int signals[] = {SIGUSR1};
	rg_chan *c = rg_make(int, 1);
	int sig = 0, procs = rg_gomaxprocs(0);

	stop = 0;
	for (int i = 0; i <= procs; i++) {
		rg_waitgroup_add(&wg, 1);
		CHECK(!rg_go(computes, NULL));
	}
	for (int i = 0; i < 30; i++)
		CHECK(!rg_sleep(RG_MILLISECOND));
	stop = 1;
	rg_waitgroup_wait(&wg);
	CHECK(rg_blocking(asks_libc, &wg) == &wg);
	CHECK(!rg_signal_notify(c, signals, 1));
	CHECK(!raise(SIGUSR1));
	CHECK(rg_recv(c, &sig) && sig == SIGUSR1);
	rg_signal_stop(c);
	rg_chan_unref(c);
	rg_lock_os_thread();
	CHECK(!rg_sleep(RG_MILLISECOND));
	rg_unlock_os_thread();
	rg_gomaxprocs(procs + 2);
	CHECK(!rg_sleep(RG_MILLISECOND));
	rg_gomaxprocs(procs);
}

/* ---- network ---- */

static void serves(void *arg)
{
	rg_conn *c;
	char buf[64];
	ssize_t n;

	CHECK(!rg_listener_accept(arg, &c));
	while ((n = rg_conn_read(c, buf, sizeof buf)) > 0)
		CHECK(rg_conn_write(c, buf, (size_t)n) == n);
	rg_conn_close(c);
	rg_waitgroup_done(&wg);
}

static void try_stream(const char *network, const char *address)
{
	rg_listener *l;
	rg_conn *c;
	char buf[8];

	CHECK(!rg_listen(network, address, &l));
	rg_waitgroup_add(&wg, 1);
	CHECK(!rg_go(serves, l));
	CHECK(!rg_dial(network, rg_listener_addr(l), &c));
	CHECK(!rg_conn_set_deadline(c, rg_now() + RG_MINUTE));
	CHECK(rg_conn_write(c, "hello", 5) == 5);
	CHECK(rg_conn_read(c, buf, 5) == 5 && !memcmp(buf, "hello", 5));
	CHECK(!rg_conn_close_write(c));
	CHECK(rg_conn_read(c, buf, 5) == 0);
	rg_conn_close(c);
	rg_waitgroup_wait(&wg);
	rg_listener_close(l);
}

static void try_datagrams(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	rg_packet *a, *b;
	char buf[8];

	CHECK(!rg_listen_packet("udp", "127.0.0.1:0", &a));
	CHECK(!rg_listen_packet("udp", "127.0.0.1:0", &b));
	CHECK(!getsockname(rg_packet_fd(b), (struct sockaddr *)&from, &len));
	CHECK(rg_packet_write_to(a, "x", 1, (struct sockaddr *)&from, len) ==
	      1);
	len = sizeof from;
	CHECK(rg_packet_read_from(b, buf, sizeof buf, &from, &len) == 1);
	rg_packet_close(a);
	rg_packet_close(b);
}

static void try_network(void)
{
	char path[256];
	rg_host_addr found[4];

	try_stream("tcp", "127.0.0.1:0");
	snprintf(path, sizeof path, "%s/socket", folder);
	try_stream("unix", path);
	try_datagrams();
	CHECK(rg_lookup_host("localhost", found, 4) > 0);
	/* By the resolver; whether there is an answer is not the question. */
	(void)rg_lookup_host("no-such-host.invalid", found, 4);
}

/* ---- files ---- */

static void try_names(int dir)
{
	struct statx st;
	rg_dir_entry entry;
	rg_dir *d;
	int n = 0;

	CHECK(!rg_mkdirat(dir, "sub", 0700));
	CHECK(!rg_linkat(dir, "file", dir, "hard", 0));
	CHECK(!rg_symlinkat("file", dir, "soft"));
	CHECK(!rg_renameat(dir, "hard", dir, "renamed"));
	CHECK(!rg_statx(dir, "soft", 0, STATX_SIZE, &st) && st.stx_size == 4);
	CHECK(!rg_dir_open(dir, ".", &d));
	while (rg_dir_next(d, &entry) > 0)
		n++;
	CHECK(n >= 4);
	CHECK(!rg_dir_close(d));
	CHECK(!rg_unlinkat(dir, "sub", AT_REMOVEDIR));
	CHECK(!rg_unlinkat(dir, "soft", 0));
	CHECK(!rg_unlinkat(dir, "renamed", 0));
}

static void try_files(void)
{
	int dir = rg_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
	int fd = rg_openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int pipes[2];
	char buf[8];

	CHECK(dir >= 0 && fd >= 0);
	CHECK(rg_pwrite(fd, "abcdef", 6, 0) == 6);
	CHECK(!rg_ftruncate(fd, 4));
	CHECK(!rg_fdatasync(fd) && !rg_fsync(fd));
	CHECK(!rg_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
	CHECK(!rg_fallocate(fd, 0, 0, 4));
	CHECK(rg_pread(fd, buf, sizeof buf, 0) == 4);
	CHECK(rg_read(fd, buf, sizeof buf) == 4);
	CHECK(!pipe(pipes));
	CHECK(rg_poll(pipes[0], POLLIN, RG_MILLISECOND) == -ETIMEDOUT);
	CHECK(rg_splice(fd, &(off_t){0}, pipes[1], NULL, 4, 0) == 4);
	CHECK(rg_read(pipes[0], buf, sizeof buf) == 4);
	CHECK(!rg_close(pipes[0]) && !rg_close(pipes[1]));
	try_names(dir);
	CHECK(!rg_unlinkat(dir, "file", 0));
	CHECK(!rg_close(fd) && !rg_close(dir));
}

/* ---- children ---- */

static void try_command(const char *self)
{
	const char *const argv[] = {self, "child", NULL};
	const rg_command_options options = {.err = {.how = RG_STDIO_SAME}};
	rg_command *c = rg_command_new(self, argv, &options);
	rg_command_result result;
	char said[32];

	CHECK(c && rg_command_output(c, said, sizeof said, &result) == 5);
	CHECK(!memcmp(said, "child", 5) && result.exit_code == 3);
	rg_command_free(c);
}

static int app(void *arg)
{
	char **argv = arg;

	try_scheduler();
	try_network();
	try_files();
	try_command(argv[0]);
	CHECK(!rg_dump(open("/dev/null", O_WRONLY | O_CLOEXEC), 2));
	return 0;
}

int main(int argc, char **argv)
{
	rg_config two = {.maxprocs = 2};

	if (argc == 2 && !strcmp(argv[1], "child")) {
		fputs("child", stdout);
		return 3;
	}
	folder = argv[1];
	return argc == 2 ? rg_run(&two, app, argv) : 2;
}
