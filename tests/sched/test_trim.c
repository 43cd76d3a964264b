// SPDX-License-Identifier: MIT
/*
 * trim - attacks I1-I5 of sched/trim.h: stacks of goroutines that parked after a deep
 * call, and of those that ended, are given back; what is above the stack pointer, and
 * what a goroutine writes after it was woken, stays, whatever it waits for and however
 * it was stopped.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/base/sanitize.h"
#include "sched/interrupt.h"
#include "sched/sched.h"
#include "sched/trim.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MANY = 1000, DEEP = 36 * 1024, PAGE = 4096 };

/* A trimmer beside sysmon, so that there is always one awake. */
static pthread_t trimmer;
static _Atomic bool is_over;

static void *keep_trimming(void *arg)
{
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		trim_round(rg_now());
		sched_yield();
	}
	return arg;
}

static void start_trimmer(rg_duration hurry, rg_duration dawdle)
{
	trim_for_tests(hurry, dawdle);
	atomic_store_explicit(&is_over, false, memory_order_relaxed);
	T_CHECK(!pthread_create(&trimmer, NULL, keep_trimming, NULL));
}

static void stop_trimmer(void)
{
	atomic_store_explicit(&is_over, true, memory_order_relaxed);
	T_CHECK(!pthread_join(trimmer, NULL));
	trim_for_tests(0, 0);
}

static rg_waitgroup started, done;
static rg_chan *gate;

/* Fill DEEP bytes of stack with a pattern and find it there, again and again. */
static __attribute__((noinline)) void stay_deep(uint8_t pattern, int looks)
{
	uint8_t bytes[DEEP];

	memset(bytes, pattern, sizeof bytes);
	for (int k = 0; k < looks; k++) {
		__asm__ volatile("" : : "r"(bytes) : "memory");
		for (size_t i = 0; i < sizeof bytes; i++)
			T_CHECK_INT_EQ(bytes[i], pattern);
	}
}

static void go_deep(uint8_t pattern)
{
	stay_deep(pattern, 1);
}

/* How many bytes of the slot's stack are there. */
static size_t resident(const struct g *gp)
{
	unsigned char there[64];
	char *lo = gp->stack_lo;
	size_t n = (size_t)(gp->stack_hi - lo + PAGE - 1) / PAGE, bytes = 0;

	T_CHECK(n <= sizeof there);
	T_CHECK(!mincore(lo, n * PAGE, there));
	for (size_t i = 0; i < n; i++)
		bytes += there[i] & 1 ? PAGE : 0;
	return bytes;
}

struct sum {
	size_t bytes, n;
};

static bool add_resident(struct g *gp, void *arg)
{
	struct sum *s = arg;

	if (gp->kind == G_USER && gp->wait_reason == WAIT_CHAN_RECV) {
		s->bytes += resident(gp);
		s->n++;
	}
	return true;
}

static struct sum parked(void)
{
	struct sum s = {0};

	sched_each_g(add_resident, &s);
	return s;
}

static void deep_then_wait(void *arg)
{
	uint8_t here[256];

	memset(here, 0x5a, sizeof here);
	__asm__ volatile("" : : "r"(here) : "memory");
	go_deep((uint8_t)(uintptr_t)arg);
	rg_waitgroup_done(&started);
	rg_chan_recv(gate, NULL);
	for (size_t i = 0; i < sizeof here; i++)
		T_CHECK_INT_EQ(here[i], 0x5a);
	go_deep(0xa5);
	rg_waitgroup_done(&done);
}

static bool are_parked(void *arg)
{
	(void)arg;
	return parked().n == MANY;
}

static void start_many(void)
{
	rg_waitgroup_add(&started, MANY);
	rg_waitgroup_add(&done, MANY);
	gate = rg_chan_make(0, 0);
	T_CHECK(gate);
	for (uintptr_t i = 0; i < MANY; i++)
		T_CHECK_INT_EQ(rg_go(deep_then_wait, (void *)i), 0);
	rg_waitgroup_wait(&started);
	T_WAIT_UNTIL(are_parked, NULL);
}

static bool is_shrunk(void *arg)
{
	struct sum now = parked();

	(void)arg;
	return now.bytes <= now.n * 2 * PAGE;
}

static int shrinks(void *arg)
{
	struct sum before, after;

	(void)arg;
	start_many();
	before = parked();
	T_CHECK(before.bytes > (size_t)MANY * DEEP);
	start_trimmer(10 * RG_MILLISECOND, 0);
	T_WAIT_UNTIL(is_shrunk, NULL);
	after = parked();
	T_CHECK_INT_EQ(after.n, MANY);
	T_CHECK(trim_bytes() > 0);
	stop_trimmer();
	rg_chan_close(gate);
	rg_waitgroup_wait(&done);
	rg_chan_unref(gate);
	return 0;
}

static void trim_parked_goroutines_shrink_and_go_on(void **state)
{
	rg_config config = {.maxprocs = 2};

	(void)state;
	if (SAN_IS_ON)
		skip();
	assert_int_equal(rg_run(&config, shrinks, NULL), 0);
}

/* All but what the Ps keep, up to 256 each. */
static bool is_vacated(void *arg)
{
	(void)arg;
	return stack_vacant_count(&sched.stacks[sched.default_class]) >=
	       MANY - 2 * 256;
}

/* Not those that are under way from the free list to the vacant ones. */
static bool are_all_free(void *arg)
{
	rg_stats now;

	(void)arg;
	T_CHECK_INT_EQ(rg_stats_read(&now, sizeof now), 0);
	return now.stacks_free >= MANY;
}

static int gives_back_dead(void *arg)
{
	rg_stats before, after;

	(void)arg;
	start_many();
	rg_chan_close(gate);
	rg_waitgroup_wait(&done);
	rg_chan_unref(gate);
	start_trimmer(10 * RG_MILLISECOND, 0);
	T_WAIT_UNTIL(is_vacated, NULL);
	T_WAIT_UNTIL(are_all_free, NULL);
	T_CHECK_INT_EQ(rg_stats_read(&before, sizeof before), 0);
	stop_trimmer();
	start_many();
	T_CHECK_INT_EQ(rg_stats_read(&after, sizeof after), 0);
	/* But for those that lie in the cache of a P which starts nobody. */
	T_CHECK_INT_LE(after.stacks, before.stacks + 256);
	rg_chan_close(gate);
	rg_waitgroup_wait(&done);
	rg_chan_unref(gate);
	return 0;
}

static void trim_dead_stacks_are_vacated_and_used_again(void **state)
{
	rg_config config = {.maxprocs = 2};

	(void)state;
	if (SAN_IS_ON)
		skip();
	assert_int_equal(rg_run(&config, gives_back_dead, NULL), 0);
}

/* ---- the race of T and E ---- */

enum { SLEEPERS = 100, RACES = 40 };

static void sleep_and_go_deep(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < RACES; i++) {
		uint8_t here[512];

		seed = seed * 1664525 + 1013904223;
		memset(here, (int)(seed >> 24), sizeof here);
		__asm__ volatile("" : : "r"(here) : "memory");
		T_CHECK_INT_EQ(rg_sleep(seed >> 8 & 0x1fffff), 0);
		/* Every other time for longer than the trimmer's steps take. */
		stay_deep((uint8_t)i, i % 2 ? 1 : 60);
		for (size_t k = 0; k < sizeof here; k++)
			T_CHECK_INT_EQ(here[k], seed >> 24);
	}
	rg_waitgroup_done(&done);
}

static int race(void *arg)
{
	int64_t before = trim_bytes();

	(void)arg;
	/* Everybody who is found parked is trimmed at once, all the time. */
	start_trimmer(1, 100 * RG_MICROSECOND);
	rg_waitgroup_add(&done, SLEEPERS);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		T_CHECK_INT_EQ(rg_go(sleep_and_go_deep, (void *)(i + 1)), 0);
	rg_waitgroup_wait(&done);
	T_CHECK(trim_bytes() > before);
	stop_trimmer();
	return 0;
}

static void trim_of_those_who_wake_up_loses_nothing(void **state)
{
	rg_config config = {.maxprocs = 2};

	(void)state;
	if (SAN_IS_ON)
		skip();
	assert_int_equal(rg_run(&config, race, NULL), 0);
}

/* ---- waits of all kinds, with something on the stack ---- */

enum { LARGE = 40 * 1024, ROOM = 128 * 1024, ROUNDS = 5 };

struct waiter {
	struct g *_Atomic gp; /* set before its first wait */
	rg_chan *ack;         /* buffered: a round is over */
	rg_chan *c;
	int fd[2];
	rg_sem may_fill;
};

/* How it waits until LARGE bytes of its stack were filled, and who fills them. */
struct kind {
	void (*wait)(struct waiter *w, uint8_t *buf);
	void (*fill)(struct waiter *w, const uint8_t *with);
};

static const struct kind *kind;

static void wait_for_pipe(struct waiter *w, uint8_t *buf)
{
	for (size_t have = 0; have < LARGE;) {
		ssize_t n = rg_read(w->fd[0], buf + have, LARGE - have);

		T_CHECK_INT_GT(n, 0);
		have += (size_t)n;
	}
}

static void fill_pipe(struct waiter *w, const uint8_t *with)
{
	for (size_t sent = 0; sent < LARGE;) {
		ssize_t n = rg_write(w->fd[1], with + sent, LARGE - sent);

		T_CHECK_INT_GT(n, 0);
		sent += (size_t)n;
	}
}

static void wait_for_channel(struct waiter *w, uint8_t *buf)
{
	T_CHECK(rg_chan_recv(w->c, buf));
}

static void fill_by_channel(struct waiter *w, const uint8_t *with)
{
	rg_chan_send(w->c, with);
}

static const uint8_t *_Atomic helper_copies;

static void *fill_by_helper(void *arg)
{
	const uint8_t *from;

	while (!(from = atomic_exchange_explicit(&helper_copies, NULL,
						 memory_order_acquire)))
		sched_yield();
	memcpy(arg, from, LARGE);
	return arg;
}

static void wait_for_helper(struct waiter *w, uint8_t *buf)
{
	(void)w;
	T_CHECK_PTR_EQ(rg_blocking(fill_by_helper, buf), buf);
}

static void fill_in_helper(struct waiter *w, const uint8_t *with)
{
	(void)w;
	atomic_store_explicit(&helper_copies, with, memory_order_release);
}

static const struct kind by_pipe = {wait_for_pipe, fill_pipe};
static const struct kind by_channel = {wait_for_channel, fill_by_channel};
static const struct kind by_helper = {wait_for_helper, fill_in_helper};

static bool is_trimmed(void *arg)
{
	struct waiter *w = arg;
	struct g *gp = atomic_load_explicit(&w->gp, memory_order_relaxed);

	return gp && atomic_load_explicit(&gp->trim, memory_order_relaxed) ==
			     TRIM_DONE;
}

static uint8_t byte_of(int round)
{
	return (uint8_t)(round * 37 + 11);
}

static void wait_rounds(void *arg)
{
	struct waiter *w = arg;
	uint8_t buf[LARGE];

	for (int round = 0; round < ROUNDS; round++) {
		memset(buf, 0, sizeof buf);
		go_deep(byte_of(round));
		atomic_store_explicit(&w->gp, getg(), memory_order_relaxed);
		kind->wait(w, buf);
		for (size_t i = 0; i < sizeof buf; i++)
			T_CHECK_INT_EQ(buf[i], byte_of(round));
		go_deep(0x77);
		rg_chan_send(w->ack, NULL);
	}
}

static void open_waiter(struct waiter *w, size_t elem_size)
{
	w->ack = rg_chan_make(0, 1);
	w->c = rg_chan_make(elem_size, 0);
	T_CHECK(w->ack && w->c);
	T_CHECK_INT_EQ(pipe(w->fd), 0);
}

static void close_waiter(struct waiter *w)
{
	rg_chan_unref(w->ack);
	rg_chan_unref(w->c);
	close(w->fd[0]);
	close(w->fd[1]);
}

static int waits(void *arg)
{
	static const rg_go_options options = {.stack_size = ROOM};
	static uint8_t with[LARGE];
	struct waiter w = {0};

	kind = arg;
	open_waiter(&w, LARGE);
	start_trimmer(1, 0);
	T_CHECK_INT_EQ(rg_go_with(&options, wait_rounds, &w), 0);
	for (int round = 0; round < ROUNDS; round++) {
		T_WAIT_UNTIL(is_trimmed, &w);
		/* The buffer is there, what lay below it is not. */
		T_CHECK_INT_LE(resident(w.gp), LARGE + 4 * PAGE);
		memset(with, byte_of(round), sizeof with);
		kind->fill(&w, with);
		T_CHECK(rg_chan_recv(w.ack, NULL));
	}
	stop_trimmer();
	close_waiter(&w);
	return 0;
}

static void run_waits(const struct kind *k)
{
	rg_config config = {.maxprocs = 2};

	if (SAN_IS_ON)
		skip();
	assert_int_equal(rg_run(&config, waits, (void *)(uintptr_t)k), 0);
}

static void trim_keeps_what_the_kernel_writes_to_a_stack(void **state)
{
	(void)state;
	run_waits(&by_pipe);
}

static void trim_keeps_what_a_sender_writes_to_a_stack(void **state)
{
	(void)state;
	run_waits(&by_channel);
}

static void trim_keeps_what_a_helper_thread_writes_to_a_stack(void **state)
{
	(void)state;
	run_waits(&by_helper);
}

enum { LEVELS = 10, FRAME = 3000 };

static void park_once(struct waiter *w)
{
	atomic_store_explicit(&w->gp, getg(), memory_order_relaxed);
	T_CHECK(rg_chan_recv(w->c, NULL));
	rg_chan_send(w->ack, NULL);
}

/* Parks on its way down and up. */
static __attribute__((noinline)) void recurse(struct waiter *w, int level)
{
	uint8_t bytes[FRAME];

	memset(bytes, level, sizeof bytes);
	__asm__ volatile("" : : "r"(bytes) : "memory");
	park_once(w);
	if (level < LEVELS)
		recurse(w, level + 1);
	park_once(w);
	for (size_t i = 0; i < sizeof bytes; i++)
		T_CHECK_INT_EQ(bytes[i], level);
}

static void recurse_twice(void *arg)
{
	recurse(arg, 1);
	recurse(arg, 1);
}

static int recursion(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	open_waiter(&w, 0);
	start_trimmer(1, 0);
	T_CHECK_INT_EQ(rg_go(recurse_twice, &w), 0);
	for (int i = 0; i < 4 * LEVELS; i++) {
		int step = i % (2 * LEVELS);
		size_t depth = step < LEVELS ? step + 1 : 2 * LEVELS - step;

		T_WAIT_UNTIL(is_trimmed, &w);
		T_CHECK_INT_GE(resident(w.gp), depth * FRAME);
		T_CHECK_INT_LE(resident(w.gp),
			       depth * (FRAME + 512) + 4 * PAGE);
		rg_chan_send(w.c, NULL);
		T_CHECK(rg_chan_recv(w.ack, NULL));
	}
	stop_trimmer();
	close_waiter(&w);
	return 0;
}

static void trim_follows_a_recursion_down_and_up(void **state)
{
	rg_config config = {.maxprocs = 2};

	(void)state;
	if (SAN_IS_ON)
		skip();
	assert_int_equal(rg_run(&config, recursion, NULL), 0);
}

/* ---- those who compute ---- */

enum { HOGS = 6, STOPS = 60, WORDS = 128, DEPTH = 40 };

/* Their thread was stopped, or their stack was left: as this object, the CPU and the
 * place allow. */
static uint64_t stops(void)
{
	return interrupt_count(INTERRUPT_SUSPENDED) +
	       interrupt_count(INTERRUPT_SWITCHED) +
	       interrupt_count(INTERRUPT_HIJACKED);
}

static uint64_t stops_until;

/* A frame of paint at each level, looked at on the way back. */
static __attribute__((noinline)) uint32_t climb(uint32_t seed, int levels)
{
	volatile uint32_t words[WORDS];

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = seed + i * 2654435761u;
	if (levels)
		climb(seed * 1664525 + 1013904223, levels - 1);
	for (uint32_t i = 0; i < WORDS; i++)
		T_CHECK_INT_EQ(words[i], seed + i * 2654435761u);
	return words[0];
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	climb((uint32_t)x, DEPTH / 2);
	return (x > y) - (x < y);
}

static void compute_in_libc(void)
{
	int32_t v[] = {5, 3, 8, 1, 9, 2, 7, 4};

	qsort(v, sizeof v / sizeof *v, sizeof *v, compare);
	T_CHECK_INT_EQ(v[0], 1);
	T_CHECK_INT_EQ(v[7], 9);
}

/* Until enough were stopped anywhere in it; parks now and then, unpinned then. */
static void compute(void *arg)
{
	bool is_in_libc = (uintptr_t)arg % 2;

	for (uint32_t i = 0; stops() < stops_until; i++) {
		if (is_in_libc)
			compute_in_libc();
		else
			climb(i, (int)(i % DEPTH));
		if (i % 10000 == 0)
			T_CHECK_INT_EQ(rg_sleep(1), 0);
	}
	rg_waitgroup_done(&done);
}

static int computing(void *arg)
{
	(void)arg;
	if (!interrupt_is_on())
		return 77;
	stops_until = stops() + STOPS;
	start_trimmer(1, 0);
	rg_waitgroup_add(&done, HOGS + SLEEPERS);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		T_CHECK_INT_EQ(rg_go(sleep_and_go_deep, (void *)(i + 1)), 0);
	for (uintptr_t i = 0; i < HOGS; i++)
		T_CHECK_INT_EQ(rg_go(compute, (void *)i), 0);
	rg_waitgroup_wait(&done);
	stop_trimmer();
	return 0;
}

static void trim_leaves_those_alone_who_compute(void **state)
{
	rg_config config = {.maxprocs = 2};
	int r;

	(void)state;
	if (SAN_IS_ON)
		skip();
	r = rg_run(&config, computing, NULL);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* ---- */

static int stays(void *arg)
{
	struct sum before, after;
	int64_t bytes = trim_bytes();

	(void)arg;
	start_many();
	before = parked();
	start_trimmer(1, 0);
	for (int i = 0; i < 50; i++)
		T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	after = parked();
	T_CHECK_INT_EQ(after.bytes, before.bytes);
	T_CHECK_INT_EQ(trim_bytes(), bytes);
	stop_trimmer();
	rg_chan_close(gate);
	rg_waitgroup_wait(&done);
	rg_chan_unref(gate);
	return 0;
}

static void trim_switched_off_leaves_stacks_alone(void **state)
{
	rg_config config = {.maxprocs = 2};

	(void)state;
	assert_int_equal(setenv("RINGGO_DEBUG", "trimoff=1", 1), 0);
	assert_int_equal(rg_run(&config, stays, NULL), 0);
	assert_int_equal(unsetenv("RINGGO_DEBUG"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trim_parked_goroutines_shrink_and_go_on),
		cmocka_unit_test(trim_dead_stacks_are_vacated_and_used_again),
		cmocka_unit_test(trim_of_those_who_wake_up_loses_nothing),
		cmocka_unit_test(trim_keeps_what_the_kernel_writes_to_a_stack),
		cmocka_unit_test(trim_keeps_what_a_sender_writes_to_a_stack),
		cmocka_unit_test(
			trim_keeps_what_a_helper_thread_writes_to_a_stack),
		cmocka_unit_test(trim_follows_a_recursion_down_and_up),
		cmocka_unit_test(trim_leaves_those_alone_who_compute),
		cmocka_unit_test(trim_switched_off_leaves_stacks_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
