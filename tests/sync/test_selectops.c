// SPDX-License-Identifier: MIT
/*
 * test_selectops - select's cases that are no channels: I1 to I3 of sync/selectops.c, I1
 * to I4 of sched/opgroup.h, I6 of sync/notify.h.
 *
 * "It is parked with its operations in flight" is read off the descriptor's entry.
 */
#include "tests/sync/synctest.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringgo/synctest.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/probe.h"
#include "sched/fdesc.h"
#include "sched/sched.h"

static int make_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	T_CHECK(fd >= 0);
	return fd;
}

static void poke(int fd)
{
	uint64_t one = 1;

	T_CHECK_INT_EQ(write(fd, &one, sizeof one), sizeof one);
}

static void calm(int fd)
{
	uint64_t count;

	T_CHECK_INT_EQ(read(fd, &count, sizeof count), sizeof count);
}

/* How many operations wait on fd. */
static size_t in_flight(int fd)
{
	struct fdesc *f = fdesc_get(fd);
	size_t n = 0;

	T_CHECK(f != NULL);
	rtlock_lock(&f->lock);
	for (int d = 0; d < FD_DIRS; d++)
		list_for_each(it, &f->inflight[d])
			n++;
	rtlock_unlock(&f->lock);
	return n;
}

static rg_chan *make_int(size_t capacity)
{
	rg_chan *c = rg_make(int64_t, capacity);

	T_CHECK(c != NULL);
	return c;
}

/* ---- descriptors --------------------------------------------------------------- */

static void ready_fd_body(void *arg)
{
	int fd = make_event(), idle = make_event();
	rg_case cases[] = {RG_POLL(idle, POLLIN), RG_POLL(fd, POLLIN),
			   RG_POLL(-1, POLLIN)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(cases, 3), -EAGAIN);
	poke(fd);
	T_CHECK_INT_EQ(rg_select_try(cases, 3), 1);
	T_CHECK_INT_EQ(cases[1].res, POLLIN);
	T_CHECK(cases[1].ok);
	T_CHECK_INT_EQ(rg_select(cases, 3), 1);
	calm(fd);
	T_CHECK_INT_EQ(rg_select_until(cases, 3, rg_now() + 2 * RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_select_until(cases, 3, 0), -ETIMEDOUT);
	T_CHECK_INT_EQ(in_flight(fd), 0);
	T_CHECK_INT_EQ(in_flight(idle), 0);
	close(fd);
	close(idle);
}

static void selectops_ready_descriptor_is_chosen(void **state)
{
	(void)state;
	run_both(ready_fd_body, NULL);
}

struct waiting {
	int fd;
	rg_chan *c;
	int want, res; /* the index, and what its case has to say */
	int64_t got;
};

static void wait_for_either(void *arg)
{
	struct waiting *w = arg;
	rg_case cases[] = {RG_POLL(w->fd, POLLIN), RG_RECV(w->c, &w->got)};

	T_CHECK_INT_EQ(rg_select(cases, 2), w->want);
	T_CHECK_INT_EQ(cases[w->want].ok, w->res >= 0);
	if (!w->want)
		T_CHECK_INT_EQ(cases[0].res, w->res);
	T_CHECK_INT_EQ(receivers(w->c), 0);
}

static void parked_fd_body(void *arg)
{
	struct waiting w = {make_event(), make_int(0), 0, POLLIN, 0};

	(void)arg;
	must_go(wait_for_either, &w);
	WAIT_FOR(in_flight(w.fd) == 1 && receivers(w.c) == 1);
	poke(w.fd);
	wait_all();
	T_CHECK_INT_EQ(in_flight(w.fd), 0);
	calm(w.fd);

	w.want = 1;
	must_go(wait_for_either, &w);
	WAIT_FOR(in_flight(w.fd) == 1);
	rg_send(w.c, (int64_t)5);
	wait_all();
	T_CHECK_INT_EQ(w.got, 5);
	T_CHECK_INT_EQ(in_flight(w.fd), 0);
	close(w.fd);
	rg_chan_unref(w.c);
}

static void selectops_parked_is_woken_by_whichever_comes(void **state)
{
	(void)state;
	run_both(parked_fd_body, NULL);
}

static void closed_fd_body(void *arg)
{
	struct waiting w = {make_event(), make_int(0), 0, -ECANCELED, 0};
	rg_case bad[] = {RG_POLL(w.fd, POLLIN)};

	(void)arg;
	must_go(wait_for_either, &w);
	WAIT_FOR(in_flight(w.fd) == 1);
	T_CHECK_INT_EQ(rg_close(w.fd), 0);
	wait_all();
	T_CHECK_INT_EQ(rg_select(bad, 1), 0);
	T_CHECK_INT_EQ(bad[0].res, -EBADF);
	T_CHECK(!bad[0].ok);
	rg_chan_unref(w.c);
}

static void selectops_closed_descriptor_is_said(void **state)
{
	(void)state;
	run_both(closed_fd_body, NULL);
}

static void deadline_body(void *arg)
{
	struct waiting w = {make_event(), make_int(0), 0, -ETIMEDOUT, 0};

	(void)arg;
	must_go(wait_for_either, &w);
	WAIT_FOR(in_flight(w.fd) == 1);
	T_CHECK_INT_EQ(fdesc_set_deadline(w.fd, 1u << FD_READ, rg_now()), 0);
	wait_all();
	/* It is over already. */
	wait_for_either(&w);
	T_CHECK_INT_EQ(rg_close(w.fd), 0);
	rg_chan_unref(w.c);
}

static void selectops_deadline_of_descriptor_is_said(void **state)
{
	(void)state;
	run_both(deadline_body, NULL);
}

/* Chi-square, as in test_select.c: 99.99 % of runs stay below this. */
static bool is_uniform(const int *count, int k, int total)
{
	static const double limit[] = {0, 0, 15.2, 18.5, 21.2, 23.6};
	double want = (double)total / k, chi = 0;

	for (int i = 0; i < k; i++)
		chi += (count[i] - want) * (count[i] - want) / want;
	return chi < limit[k];
}

static void fair_body(void *arg)
{
	enum { N = 8000 };
	int fd = make_event(), idle = make_event(), count[4] = {0};
	rg_chan *c = make_int(1), *never = make_int(0);
	int64_t v = 0;
	static const int of[] = {-1, 0, 1, -1, 2, 3};
	rg_case cases[] = {RG_POLL(idle, POLLIN), RG_POLL(fd, POLLIN),
			   RG_RECV(c, &v),        RG_RECV(never, &v),
			   RG_AFTER(0),           RG_POLL(fd, POLLIN)};

	(void)arg;
	poke(fd);
	rg_send(c, (int64_t)1);
	for (int i = 0; i < N; i++) {
		int which = rg_select(cases, 6);

		T_CHECK(cases[which].ok);
		T_CHECK(of[which] >= 0);
		count[of[which]]++;
		if (which == 2)
			rg_send(c, (int64_t)1);
	}
	T_CHECK(is_uniform(count, 4, N));
	close(fd);
	close(idle);
	rg_chan_unref(c);
	rg_chan_unref(never);
}

static void selectops_choice_is_uniform_over_all_kinds(void **state)
{
	(void)state;
	run_both(fair_body, NULL);
}

static void many_body(void *arg)
{
	enum { N = 600 };
	rg_case *cases = calloc(N, sizeof *cases);
	int64_t live;
	int64_t got = 0;
	rg_chan *c = make_int(1);

	(void)arg;
	T_CHECK(cases != NULL);
	for (int i = 0; i < N - 1; i++)
		cases[i] = (rg_case)RG_POLL(make_event(), POLLIN);
	cases[N - 1] = (rg_case)RG_RECV(c, &got);
	live = alloc_live();
	T_CHECK_INT_EQ(rg_select_until(cases, N, rg_now() + RG_MILLISECOND),
		       -ETIMEDOUT);
	poke((int)(uint32_t)(uintptr_t)cases[300].chan_);
	T_CHECK_INT_EQ(rg_select(cases, N), 300);
	calm((int)(uint32_t)(uintptr_t)cases[300].chan_);
	rg_send(c, (int64_t)9);
	T_CHECK_INT_EQ(rg_select(cases, N), N - 1);
	T_CHECK_INT_EQ(got, 9);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK + 4); /* entries */
	for (int i = 0; i < N - 1; i++)
		close((int)(uint32_t)(uintptr_t)cases[i].chan_);
	free(cases);
	rg_chan_unref(c);
}

static void selectops_more_descriptors_than_the_ring_has_room(void **state)
{
	static const rg_config small = {.maxprocs = 1, .ring_entries = 16};

	(void)state;
	run_both(many_body, NULL);
	t_run_config(&small, many_body, NULL);
}

/* ---- times --------------------------------------------------------------------- */

static void times_body(void *arg)
{
	rg_chan *c = make_int(0);
	int64_t v;
	rg_time begin = rg_now();
	rg_case cases[] = {RG_RECV(c, &v), RG_AFTER(3 * RG_MILLISECOND),
			   RG_AFTER(RG_HOUR), RG_AT(RG_FOREVER)};
	rg_case at[] = {RG_RECV(c, &v), RG_AT(begin)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select(at, 2), 1);
	T_CHECK_INT_EQ(rg_select_try(cases, 4), -EAGAIN);
	T_CHECK_INT_EQ(rg_select(cases, 4), 1);
	T_CHECK(cases[1].ok);
	T_CHECK_INT_GE(rg_now() - begin, 3 * RG_MILLISECOND);
	begin = rg_now();
	T_CHECK_INT_EQ(rg_select(cases, 4), 1); /* anew */
	T_CHECK_INT_GE(rg_now() - begin, 3 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_select_until(cases + 2, 2, rg_now() + RG_MILLISECOND),
		       -ETIMEDOUT);
	rg_chan_unref(c);
}

static void selectops_times_come(void **state)
{
	(void)state;
	run_both(times_body, NULL);
}

static void bubble_body(void *arg)
{
	int fd = make_event();
	rg_time begin = rg_now();
	rg_case day[] = {RG_RECV(NULL, NULL), RG_AFTER(24 * RG_HOUR)};
	rg_case cases[] = {RG_POLL(fd, POLLIN), RG_AFTER(0)};

	(void)arg;
	/* Durable: the bubble's clock goes on. */
	T_CHECK_INT_EQ(rg_select(day, 2), 1);
	T_CHECK_INT_EQ(rg_now() - begin, 24 * RG_HOUR);
	/* What may come from outside is not. */
	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	poke(fd);
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	close(fd);
}

static void in_bubble(void *arg)
{
	T_CHECK_INT_EQ(rg_synctest_run(bubble_body, arg), 0);
}

static void selectops_time_of_a_bubble_passes(void **state)
{
	(void)state;
	run_both(in_bubble, NULL);
}

/* ---- children ------------------------------------------------------------------ */

/* A child that ends with code when told through *tell. */
static pid_t start_child(int code, int *tell)
{
	int p[2];
	pid_t pid;

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	T_CHECK(pid >= 0);
	if (!pid) {
		char byte;

		close(p[1]);
		while (read(p[0], &byte, 1) < 0)
			;
		_exit(code);
	}
	close(p[0]);
	*tell = p[1];
	return pid;
}

/* Other children may have the pipe, too: its end alone would not do. */
static void end_child(void *tell)
{
	T_CHECK_INT_EQ(write(*(int *)tell, "x", 1), 1);
	close(*(int *)tell);
}

static void child_body(void *arg)
{
	rg_chan *c = make_int(1);
	int tell, fds = t_open_fds();
	pid_t pid = start_child(7, &tell);
	siginfo_t info;
	int64_t v;
	rg_case cases[] = {RG_RECV(c, &v), RG_CHILD(pid, &info)};
	rg_case other[] = {RG_CHILD(1, &info), RG_CHILD(0, NULL),
			   RG_CHILD_FD(STDERR_FILENO, NULL),
			   RG_CHILD_FD(-1, NULL)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(cases, 2), -EAGAIN);
	rg_send(c, (int64_t)1);
	T_CHECK_INT_EQ(rg_select(cases, 2), 0);
	must_go(end_child, &tell);
	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	T_CHECK(cases[1].ok);
	T_CHECK_INT_EQ(cases[1].res, 0);
	T_CHECK_INT_EQ(info.si_pid, pid);
	T_CHECK_INT_EQ(info.si_code, CLD_EXITED);
	T_CHECK_INT_EQ(info.si_status, 7);
	T_CHECK_INT_EQ(rg_select(cases, 2), 1); /* no more */
	T_CHECK_INT_EQ(cases[1].res, -ECHILD);
	T_CHECK(!cases[1].ok);
	static const int errs[] = {-ECHILD, -EINVAL, -EBADF, -EBADF};
	for (int i = 0; i < 4; i++) {
		T_CHECK_INT_EQ(rg_select(other + i, 1), 0);
		T_CHECK_INT_EQ(other[i].res, errs[i]);
	}
	wait_all();
	T_CHECK_INT_EQ(t_open_fds(), fds);
	rg_chan_unref(c);
}

static void selectops_child_that_ends_is_taken(void **state)
{
	(void)state;
	run_both(child_body, NULL);
}

/* Both are ready; the one that loses keeps its status. */
static void two_children_body(void *arg)
{
	siginfo_t info[2];
	int tell[2], first, pidfd, fds = t_open_fds();
	pid_t pid[2] = {start_child(1, &tell[0]), start_child(2, &tell[1])};

	(void)arg;
	pidfd = (int)syscall(SYS_pidfd_open, pid[0], 0);
	T_CHECK(pidfd >= 0);
	rg_case cases[] = {RG_CHILD_FD(pidfd, &info[0]),
			   RG_CHILD(pid[1], &info[1])};

	for (int i = 0; i < 2; i++) {
		end_child(&tell[i]);
		T_CHECK_INT_EQ(waitid(P_PID, (id_t)pid[i], &info[i],
				      WEXITED | WNOWAIT),
			       0);
	}
	first = rg_select(cases, 2);
	T_CHECK_INT_EQ(info[first].si_pid, pid[first]);
	T_CHECK_INT_EQ(waitid(P_PID, (id_t)pid[!first], &info[!first],
			      WEXITED | WNOHANG),
		       0);
	T_CHECK_INT_EQ(info[!first].si_pid, pid[!first]);
	T_CHECK_INT_EQ(info[!first].si_status, !first + 1);
	close(pidfd);
	T_CHECK_INT_EQ(t_open_fds(), fds);
}

static void selectops_losing_child_keeps_its_status(void **state)
{
	(void)state;
	run_both(two_children_body, NULL);
}

/* ---- signals -------------------------------------------------------------------- */

static void signal_body(void *arg)
{
	rg_chan *c = make_int(0);
	int64_t v;
	rg_case cases[] = {RG_RECV(c, &v), RG_SIGNAL(SIGUSR1),
			   RG_SIGNAL(SIGUSR2)};
	rg_case bad[] = {RG_SIGNAL(SIGKILL)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(cases, 3), -EAGAIN);
	T_CHECK_INT_EQ(kill(getpid(), SIGUSR2), 0);
	T_CHECK_INT_EQ(rg_select(cases, 3), 2);
	T_CHECK_INT_EQ(cases[2].res, SIGUSR2);
	T_CHECK(cases[2].ok);
	/* Nobody selects: it is kept. */
	T_CHECK_INT_EQ(kill(getpid(), SIGUSR1), 0);
	WAIT_FOR(rg_select_try(cases, 3) == 1);
	T_CHECK_INT_EQ(cases[1].res, SIGUSR1);
	T_CHECK_INT_EQ(rg_select_try(cases, 3), -EAGAIN);
	T_CHECK_INT_EQ(rg_select(bad, 1), 0);
	T_CHECK_INT_EQ(bad[0].res, -EINVAL);
	rg_chan_unref(c);
}

static void selectops_signal_is_kept_until_it_is_chosen(void **state)
{
	(void)state;
	run_both(signal_body, NULL);
}

/* ---- futex words ----------------------------------------------------------------- */

static int futex_wake(uint32_t *word)
{
	return (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL,
			    0);
}

struct word {
	uint32_t word;
	rg_chan *c;
	int chosen;
};

static void wait_for_word(void *arg)
{
	struct word *w = arg;
	int64_t v;
	rg_case cases[] = {RG_RECV(w->c, &v), RG_FUTEX(&w->word, 0)};

	w->chosen = rg_select(cases, 2);
	T_CHECK(cases[w->chosen].ok);
}

static void futex_body(void *arg)
{
	struct word w = {0, make_int(0), -1};
	rg_case changed[] = {RG_FUTEX(&w.word, 1)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(changed, 1), 0);
	must_go(wait_for_word, &w);
	/* Woken when the kernel has it. */
	WAIT_FOR(futex_wake(&w.word) == 1);
	wait_all();
	T_CHECK_INT_EQ(w.chosen, 1);

	must_go(wait_for_word, &w);
	WAIT_FOR(receivers(w.c) == 1);
	rg_send(w.c, (int64_t)1);
	wait_all();
	T_CHECK_INT_EQ(w.chosen, 0);
	T_CHECK_INT_EQ(futex_wake(&w.word), 0); /* nobody is left there */
	rg_chan_unref(w.c);
}

static void selectops_futex_word_wakes(void **state)
{
	(void)state;
	if (probe_init() || !probe_has(PROBE_FUTEX))
		skip();
	run_both(futex_body, NULL);
}

static void no_futex_body(void *arg)
{
	uint32_t word = 3;
	rg_case cases[] = {RG_FUTEX(&word, 3)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(cases, 1), -EAGAIN);
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	T_CHECK_INT_EQ(cases[0].res, -ENOSYS);
	word = 4;
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	T_CHECK_INT_EQ(cases[0].res, 0);
}

static void selectops_futex_word_needs_the_kernel(void **state)
{
	(void)state;
	setenv("RINGGO_URING", "off:futex", 1);
	run_both(no_futex_body, NULL);
	unsetenv("RINGGO_URING");
}

static _Atomic int woken_threads;

static void *wait_in_kernel(void *arg)
{
	struct word *w = arg;

	while (syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL,
		       0))
		T_CHECK_INT_EQ(errno, EINTR);
	atomic_fetch_add(&woken_threads, 1);
	return NULL;
}

/* How many wait at the word, by moving them to where they are. */
static long waiting_at(uint32_t *word)
{
	uint32_t other = 0;
	long n = syscall(SYS_futex, word, FUTEX_CMP_REQUEUE_PRIVATE, 0,
			 (void *)10, &other, 0);
	long back = syscall(SYS_futex, &other, FUTEX_CMP_REQUEUE_PRIVATE, 0,
			    (void *)10, word, 0);

	T_CHECK_INT_EQ(n, back);
	return n;
}

/* One P: the wake-up goes to the select's operation, which was there first, and is not
 * seen before the channel has won. */
static void passed_on_body(void *arg)
{
	struct word w = {0, make_int(0), -1};
	pthread_t thread;

	(void)arg;
	atomic_store(&woken_threads, 0);
	must_go(wait_for_word, &w);
	WAIT_FOR(waiting_at(&w.word) == 1);
	must_thread(&thread, wait_in_kernel, &w);
	WAIT_FOR(waiting_at(&w.word) == 2);
	T_CHECK_INT_EQ(futex_wake(&w.word), 1);
	rg_send(w.c, (int64_t)1);
	wait_all();
	T_CHECK_INT_EQ(w.chosen, 0);
	must_join(thread);
	T_CHECK_INT_EQ(atomic_load(&woken_threads), 1);
	rg_chan_unref(w.c);
}

static void selectops_wake_up_of_a_loser_is_passed_on(void **state)
{
	(void)state;
	if (probe_init() || !probe_has(PROBE_FUTEX))
		skip();
	t_run_with(1, passed_on_body, NULL);
}

/* ---- from other threads ---------------------------------------------------------- */

static void *thread_selects(void *arg)
{
	wait_for_either(arg);
	return NULL;
}

static void *thread_times_out(void *arg)
{
	struct waiting *w = arg;
	rg_case cases[] = {RG_POLL(w->fd, POLLIN), RG_AFTER(RG_MILLISECOND)};

	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	T_CHECK_INT_EQ(rg_select_until(cases, 1, rg_now() + RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_select_try(cases, 1), -EAGAIN);
	return NULL;
}

static void foreign_body(void *arg)
{
	struct waiting w = {make_event(), make_int(0), 0, POLLIN, 0};
	pthread_t thread;

	(void)arg;
	must_thread(&thread, thread_selects, &w);
	WAIT_FOR(in_flight(w.fd) == 1);
	poke(w.fd);
	must_join(thread);
	calm(w.fd);
	w.want = 1;
	must_thread(&thread, thread_selects, &w);
	WAIT_FOR(in_flight(w.fd) == 1);
	rg_send(w.c, (int64_t)4);
	must_join(thread);
	T_CHECK_INT_EQ(w.got, 4);
	must_thread(&thread, thread_times_out, &w);
	must_join(thread);
	T_CHECK_INT_EQ(in_flight(w.fd), 0);
	close(w.fd);
	rg_chan_unref(w.c);
}

static void selectops_threads_of_the_host_select_too(void **state)
{
	struct waiting w = {make_event(), NULL, 0, 0, 0};
	rg_case cases[] = {RG_POLL(w.fd, POLLIN), RG_SIGNAL(SIGUSR1)};

	(void)state;
	run_both(foreign_body, NULL);
	/* Without a runtime nothing can be waited for. */
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	T_CHECK_INT_EQ(cases[0].res, -ESRCH);
	T_CHECK_INT_EQ(rg_select(cases + 1, 1), 0);
	T_CHECK_INT_EQ(cases[1].res, -ESRCH);
	poke(w.fd);
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	T_CHECK_INT_EQ(cases[0].res, POLLIN);
	close(w.fd);
}

/* ---- the end of the runtime ------------------------------------------------------- */

static int left_fd;
static rg_chan *left_chan;

static void select_for_ever(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	int64_t v;
	rg_case cases[] = {RG_POLL(left_fd, POLLIN), RG_RECV(left_chan, &v),
			   RG_CHILD(pid, NULL), RG_SIGNAL(SIGUSR1)};

	rg_select(cases, 4);
	T_FAIL("a select was woken by nothing");
}

static void abandon_body(void *arg)
{
	for (int i = 0; i < 3; i++)
		must_go_forever(select_for_ever, arg);
	WAIT_FOR(in_flight(left_fd) == 3 && receivers(left_chan) == 3);
}

static void selectops_abandoned_leaves_nothing_behind(void **state)
{
	int tell, fds;
	pid_t pid = start_child(0, &tell);
	int64_t live = alloc_live();

	(void)state;
	left_fd = make_event();
	left_chan = make_int(0);
	fds = t_open_fds();
	run_both(abandon_body, &pid);
	T_CHECK_INT_EQ(t_open_fds(), fds);
	T_CHECK_INT_EQ(receivers(left_chan), 0);
	rg_chan_unref(left_chan);
	T_CHECK_INT_LE(alloc_live() - live, 2);
	close(left_fd);
	end_child(&tell);
	T_CHECK_INT_EQ(waitpid(pid, NULL, 0), pid);
}

/* ---- all at once ------------------------------------------------------------------ */

/*
 * Tokens go through eventfds (as semaphores) and through channels; selects take them.
 * None may be lost or be taken twice, and nothing may be left in flight.
 */
enum { TAKERS = 6, TOKENS = 3000 };

static struct {
	int fd[3];
	rg_chan *c[2], *done;
	_Atomic int taken;
} mix;

static void take_tokens(void *arg)
{
	int64_t v;
	rg_case cases[] = {
		RG_POLL(mix.fd[0], POLLIN),    RG_RECV(mix.c[0], &v),
		RG_POLL(mix.fd[1], POLLIN),    RG_RECV(mix.c[1], &v),
		RG_AFTER(50 * RG_MICROSECOND), RG_POLL(mix.fd[2], POLLIN),
		RG_RECV(mix.done, NULL)};
	size_t n = (uintptr_t)arg % 2 ? 7 : 6;
	uint64_t one;

	for (;;) {
		int i = rg_select_until(cases, n, rg_now() + RG_MILLISECOND);

		if (i == 6 || atomic_load(&mix.taken) == TOKENS)
			return;
		if (i == 1 || i == 3)
			atomic_fetch_add(&mix.taken, 1);
		else if (i >= 0 && i != 4 &&
			 read(mix.fd[i < 4 ? i / 2 : 2], &one, sizeof one) > 0)
			atomic_fetch_add(&mix.taken, 1);
		else if (i < 0)
			T_CHECK_INT_EQ(i, -ETIMEDOUT);
	}
}

static void give_tokens(void *arg)
{
	size_t first = (size_t)(uintptr_t)arg;

	for (size_t i = first; i < TOKENS; i += 2) {
		if (i % 5 < 3)
			poke(mix.fd[i % 5]);
		else
			rg_send(mix.c[i % 5 - 3], (int64_t)i);
		if (i % 64 < 2)
			rg_sleep(20 * RG_MICROSECOND);
		else if (i % 7 == 0)
			rg_yield();
	}
}

static bool all_taken(void *arg)
{
	(void)arg;
	return atomic_load(&mix.taken) >= TOKENS;
}

static void mix_body(void *arg)
{
	int64_t live;

	(void)arg;
	for (int i = 0; i < 3; i++)
		mix.fd[i] =
			eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	mix.c[0] = make_int(0);
	mix.c[1] = make_int(2);
	mix.done = rg_chan_make(0, 0);
	atomic_store(&mix.taken, 0);
	live = alloc_live();
	for (uintptr_t i = 0; i < TAKERS; i++)
		must_go(take_tokens, (void *)i);
	must_go(give_tokens, (void *)0);
	must_go(give_tokens, (void *)1);
	T_WAIT_UNTIL(all_taken, NULL);
	rg_chan_close(mix.done);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&mix.taken), TOKENS);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK + 2);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(in_flight(mix.fd[i]), 0);
		close(mix.fd[i]);
	}
	for (int i = 0; i < 2; i++)
		rg_chan_unref(mix.c[i]);
	rg_chan_unref(mix.done);
}

static void selectops_nothing_is_lost_or_taken_twice(void **state)
{
	(void)state;
	run_both(mix_body, NULL);
	t_run_with(4, mix_body, NULL);
}

/* Descriptors are closed under selects that wait for them and for each other. */
static void wait_until_closed(void *arg)
{
	int fd = (int)(intptr_t)arg;
	rg_case cases[] = {RG_POLL(fd, POLLIN), RG_POLL(fd, POLLPRI),
			   RG_AFTER(100 * RG_MICROSECOND)};

	for (;;) {
		int i = rg_select(cases, 3);

		if (i < 2) {
			T_CHECK_INT_EQ(cases[i].res, -ECANCELED);
			return;
		}
	}
}

static void close_body(void *arg)
{
	(void)arg;
	for (int round = 0; round < 100; round++) {
		int fd = make_event();
		void *number = (void *)(intptr_t)fd;

		must_go(wait_until_closed, number);
		must_go(wait_until_closed, number);
		WAIT_FOR(in_flight(fd) > 0);
		if (round % 3)
			rg_sleep((100 + round % 7) * RG_MICROSECOND);
		/* The next one to have the number waits for the first. */
		T_CHECK_INT_EQ(fdesc_shutdown(fd), 0);
		wait_all();
		T_CHECK_INT_EQ(in_flight(fd), 0);
		fdesc_reopen(fd);
		close(fd);
	}
}

static void selectops_close_meets_selects_at_any_moment(void **state)
{
	(void)state;
	run_both(close_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectops_ready_descriptor_is_chosen),
		cmocka_unit_test(selectops_parked_is_woken_by_whichever_comes),
		cmocka_unit_test(selectops_closed_descriptor_is_said),
		cmocka_unit_test(selectops_deadline_of_descriptor_is_said),
		cmocka_unit_test(selectops_choice_is_uniform_over_all_kinds),
		cmocka_unit_test(
			selectops_more_descriptors_than_the_ring_has_room),
		cmocka_unit_test(selectops_times_come),
		cmocka_unit_test(selectops_time_of_a_bubble_passes),
		cmocka_unit_test(selectops_child_that_ends_is_taken),
		cmocka_unit_test(selectops_losing_child_keeps_its_status),
		cmocka_unit_test(selectops_signal_is_kept_until_it_is_chosen),
		cmocka_unit_test(selectops_futex_word_wakes),
		cmocka_unit_test(selectops_futex_word_needs_the_kernel),
		cmocka_unit_test(selectops_wake_up_of_a_loser_is_passed_on),
		cmocka_unit_test(selectops_threads_of_the_host_select_too),
		cmocka_unit_test(selectops_abandoned_leaves_nothing_behind),
		cmocka_unit_test(selectops_nothing_is_lost_or_taken_twice),
		cmocka_unit_test(selectops_close_meets_selects_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
