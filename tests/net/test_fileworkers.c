// SPDX-License-Identifier: MIT
/*
 * The kernel's worker threads are bounded (ring.h), and opens that wait for the other
 * side of a FIFO leave some of them to others (rawio's I4).
 */
#include "tests/net/netpair.h"
#include "tests/support/rgfolder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/op_file.h"
#include "kernel-iface/ring.h"
#include "sched/opwait.h"

enum { FIFOS = RING_WORKERS + 16 };

static const char *name_of(int i)
{
	static char name[16];

	snprintf(name, sizeof(name), "fifo%d", i);
	return name;
}

static void make_fifos(void)
{
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(mkfifoat(t_folder_fd, name_of(i), 0600), 0);
}

static void remove_fifos(void)
{
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(unlinkat(t_folder_fd, name_of(i), 0), 0);
}

/* The kernel's workers of this process. */
static int workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	T_CHECK(dir);
	while ((e = readdir(dir))) {
		char path[300], comm[16] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* "..", or it has ended */
		if (read(fd, comm, sizeof(comm)) > 0)
			n += !strncmp(comm, "iou-wrk", 7);
		close(fd);
	}
	closedir(dir);
	return n;
}

static bool all_at_work(void *arg)
{
	(void)arg;
	return workers() == RING_WORKERS;
}

struct opening {
	rg_waitgroup done;
	_Atomic int next, started, opened;
	rg_ctx *ctx;
	int flags, result; /* >= 0: a descriptor */
};

static int next_of(struct opening *o)
{
	return o->next++;
}

/* As nobody should: a worker for each. */
static void open_on_a_worker(void *arg)
{
	struct opening *o = arg;
	struct op_sqe s;
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "fifo%d", next_of(o));
	op_openat(&s, t_folder_fd, name, O_RDONLY | O_CLOEXEC, 0);
	s.sqe.flags |= IOSQE_ASYNC;
	o->started++;
	fd = opwait(&s, 0);
	T_CHECK_INT_GE(fd, 0);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

static void workers_are_bounded(void *arg)
{
	struct opening o = {.flags = 0};

	(void)arg;
	if (t_is_epoll())
		return;
	make_fifos();
	for (int i = 0; i < FIFOS; i++)
		spawn(&o.done, open_on_a_worker, &o);
	T_WAIT_UNTIL(all_at_work, NULL);
	(void)rg_sleep(20 * RG_MILLISECOND); /* the time for one more */
	T_CHECK_INT_EQ(workers(), RING_WORKERS);
	/* Both sides at once: all opens end, those that wait for a worker, too. */
	for (int i = 0; i < FIFOS; i++) {
		int fd = openat(t_folder_fd, name_of(i), O_RDWR | O_CLOEXEC);

		T_CHECK_INT_GE(fd, 0);
		T_CHECK_INT_EQ(dup3(fd, 600 + i, O_CLOEXEC), 600 + i);
		T_CHECK_INT_EQ(close(fd), 0);
	}
	rg_waitgroup_wait(&o.done);
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(close(600 + i), 0);
	remove_fifos();
}

static void fileworkers_are_bounded(void **state)
{
	(void)state;
	t_run_with(1, workers_are_bounded, NULL);
}

static void open_fifo(void *arg)
{
	struct opening *o = arg;
	char name[16], byte;
	int fd;

	snprintf(name, sizeof(name), "fifo%d", next_of(o));
	rg_ctx_bind(o->ctx);
	o->started++;
	fd = rg_openat(t_folder_fd, name, o->flags | O_CLOEXEC);
	rg_ctx_unref(rg_ctx_bind(NULL));
	if (o->result) {
		T_CHECK_INT_EQ(fd, o->result);
		return;
	}
	T_CHECK_INT_GE(fd, 0);
	o->opened++;
	if (o->flags == O_RDONLY)
		T_CHECK_INT_EQ(rg_read(fd, &byte, 1), 1);
	else
		T_CHECK_INT_EQ(rg_write(fd, "w", 1), 1);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

static bool all_started(void *arg)
{
	return ((struct opening *)arg)->started == FIFOS;
}

static bool all_opened(void *arg)
{
	return ((struct opening *)arg)->opened == FIFOS;
}

/* Work on files goes on beside them. */
static void files_have_their_turn(void)
{
	rg_ctx *soon = rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_SECOND);

	rg_ctx_bind(soon);
	T_CHECK_INT_EQ(rg_mkdirat(t_folder_fd, "dir", 0700), 0);
	T_CHECK_INT_EQ(rg_renameat(t_folder_fd, "dir", t_folder_fd, "dir2"), 0);
	T_CHECK_INT_EQ(rg_unlinkat(t_folder_fd, "dir2", AT_REMOVEDIR), 0);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(soon);
}

static void begin_opens(struct opening *o, int flags)
{
	o->flags = flags;
	make_fifos();
	for (int i = 0; i < FIFOS; i++)
		spawn(&o->done, open_fifo, o);
	T_WAIT_UNTIL(all_started, o);
	(void)rg_sleep(20 * RG_MILLISECOND); /* until they wait */
	T_CHECK_INT_EQ(o->opened, 0);
	files_have_their_turn();
}

/* The other side of each, newest first; it says nothing until all are open. */
static void open_others(int *fds, int flags)
{
	for (int i = FIFOS - 1; i >= 0; i--) {
		fds[i] = openat(t_folder_fd, name_of(i),
				flags | O_NONBLOCK | O_CLOEXEC);
		T_CHECK_INT_GE(fds[i], 0);
	}
}

TEST(fileworkers_many_readers_of_fifos_wait_for_writers)
{
	struct opening o = {.flags = 0};
	int fds[FIFOS];

	begin_opens(&o, O_RDONLY);
	open_others(fds, O_WRONLY);
	T_WAIT_UNTIL(all_opened, &o);
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(write(fds[i], "r", 1), 1);
	rg_waitgroup_wait(&o.done);
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(close(fds[i]), 0);
	remove_fifos();
}

TEST(fileworkers_many_writers_of_fifos_wait_for_readers)
{
	struct opening o = {.flags = 0};
	int fds[FIFOS];

	begin_opens(&o, O_WRONLY);
	open_others(fds, O_RDONLY);
	rg_waitgroup_wait(&o.done);
	T_CHECK_INT_EQ(o.opened, FIFOS);
	for (int i = 0; i < FIFOS; i++)
		T_CHECK_INT_EQ(close(fds[i]), 0);
	remove_fifos();
}

TEST(fileworkers_waiting_opens_end_with_their_context)
{
	static const int flags[2] = {O_RDONLY, O_WRONLY};

	for (int i = 0; i < 2; i++) {
		struct opening o = {.result = -ECANCELED};

		o.ctx = rg_ctx_with_cancel(rg_ctx_background());
		begin_opens(&o, flags[i]);
		rg_ctx_cancel(o.ctx, 0);
		rg_waitgroup_wait(&o.done);
		rg_ctx_unref(o.ctx);
		remove_fifos();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fileworkers_are_bounded),
		cmocka_unit_test(
			fileworkers_many_readers_of_fifos_wait_for_writers),
		cmocka_unit_test(
			fileworkers_many_writers_of_fifos_wait_for_readers),
		cmocka_unit_test(
			fileworkers_waiting_opens_end_with_their_context),
	};

	return cmocka_run_group_tests(tests, t_folder_make, t_folder_remove);
}
