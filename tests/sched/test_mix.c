// SPDX-License-Identifier: MIT
/*
 * mix - all that moves a token at once: goroutines that compute where a stack can be
 * left and where only a thread can be stopped, raw system calls, rg_gomaxprocs up and
 * down, dumps, beside channels, I/O, timers and rg_blocking, in runtimes that end, half
 * of them with goroutines left behind. Attacks sched/token.h, pair.h and interrupt.h.
 *
 * Each part checks itself and counts its steps; each must have made some, so nobody was
 * forgotten. RG_MIX_SECONDS: how long; RG_MIX_PARTS: letters of those that take part.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <ringgo.h>

#include "sched/interrupt.h"

enum { COPIES = 2, MIX_NS = 1000000, ROUND_NS = 300 * MIX_NS };

/* stop: who begins something begins no more. is_over: who is at its other end, too. */
static _Atomic int stop, is_over;
static rg_waitgroup beginners, enders;
static int raw_pipes[COPIES][2], ring_pipes[COPIES][2];

static uint32_t draw(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(*seed >> 8) * n >> 24);
}

static int64_t thread_now(void)
{
	struct timespec ts;

	T_CHECK_INT_EQ(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ts.tv_sec * RG_SECOND + ts.tv_nsec;
}

/* ---- parts: one step each, of copy i -------------------------------------- */

/* Computes without a call, and looks whether its registers stay. */
static void spins(int i, uint32_t *seed)
{
	uint32_t n = draw(seed, 3000000);
	double x = i, y = 1;

	for (uint32_t k = 0; k < n; k++) {
		x += 0.5;
		y = -y;
		__asm__ volatile("" : "+x"(x), "+x"(y));
	}
	T_CHECK(x == i + n * 0.5);
	T_CHECK(y == (n % 2 ? -1 : 1));
}

static void allocates(int i, uint32_t *seed)
{
	for (uint32_t n = draw(seed, 20000); n > 0; n--) {
		size_t size = 1 + draw(seed, 3000);
		char *p = malloc(size);

		T_CHECK(p != NULL);
		p[0] = p[size - 1] = (char)i;
		__asm__ volatile("" : : "r"(p) : "memory");
		T_CHECK_INT_EQ(p[size - 1], (char)i);
		free(p);
	}
}

/* Beneath a library's function. */
static int compares(const void *a, const void *b)
{
	static _Atomic uint32_t seeds;
	uint32_t seed = seeds++;

	if (a != b)
		spins(1, &seed);
	return a < b ? -1 : a > b;
}

static void is_called_back(int i, uint32_t *seed)
{
	void *root = NULL;
	int item = 0;

	T_CHECK(tsearch(&item, &root, compares) != NULL);
	T_CHECK(tfind(seed, &root, compares) == NULL);
	T_CHECK(tdelete(&item, &root, compares) != NULL);
	(void)i;
}

/* A byte that only another goroutine can write. */
static void reads_raw(int i, uint32_t *seed)
{
	char byte;

	T_CHECK_INT_EQ(read(raw_pipes[i][0], &byte, 1), 1);
	(void)seed;
}

static void writes_raw(int i, uint32_t *seed)
{
	rg_sleep(draw(seed, 3 * MIX_NS));
	T_CHECK_INT_EQ(write(raw_pipes[i][1], "x", 1), 1);
}

static void naps_raw(int i, uint32_t *seed)
{
	struct timespec nap = {0, draw(seed, 2 * MIX_NS)};

	while (nanosleep(&nap, &nap))
		T_CHECK_INT_EQ(errno, EINTR);
	(void)i;
}

static void *naps(void *arg)
{
	struct timespec nap = {0, (long)(intptr_t)arg};

	nanosleep(&nap, NULL);
	errno = 77;
	return arg;
}

static void calls_blocking(int i, uint32_t *seed)
{
	void *ns = (void *)(uintptr_t)draw(seed, MIX_NS);

	T_CHECK_PTR_EQ(rg_blocking(naps, ns), ns);
	T_CHECK_INT_EQ(errno, 77);
	(void)i;
}

static void sleeps(int i, uint32_t *seed)
{
	rg_duration d = draw(seed, 2 * MIX_NS);
	int64_t before = thread_now();

	T_CHECK_INT_EQ(rg_sleep(d), 0);
	T_CHECK_INT_GE(thread_now() - before, d);
	(void)i;
}

static char sent[COPIES], got[COPIES];

static void writes(int i, uint32_t *seed)
{
	char text[256];
	size_t n = 1 + draw(seed, sizeof text);

	for (size_t k = 0; k < n; k++)
		text[k] = sent[i]++;
	T_CHECK_INT_EQ(rg_write_full(ring_pipes[i][1], text, n), n);
}

static void reads(int i, uint32_t *seed)
{
	char text[256];
	ssize_t n = rg_read(ring_pipes[i][0], text, sizeof text);

	T_CHECK_INT_GT(n, 0);
	for (ssize_t k = 0; k < n; k++)
		T_CHECK_INT_EQ(text[k], got[i]++);
	(void)seed;
}

static rg_chan *chans[COPIES];
static uint64_t chan_sent[COPIES], chan_got[COPIES];

static void sends(int i, uint32_t *seed)
{
	for (uint32_t n = draw(seed, 500); n > 0; n--)
		rg_chan_send(chans[i], &(uint64_t){chan_sent[i]++});
}

static void receives(int i, uint32_t *seed)
{
	uint64_t value;

	if (!rg_chan_recv(chans[i], &value))
		return;
	T_CHECK_INT_EQ(value, chan_got[i]);
	chan_got[i]++;
	(void)seed;
}

static rg_mutex mutex;
static uint64_t guarded[2];

static void locks(int i, uint32_t *seed)
{
	for (int n = 0; n < 100; n++) {
		rg_mutex_lock(&mutex);
		guarded[0]++;
		if (!draw(seed, 50))
			rg_yield();
		guarded[1]++;
		T_CHECK_INT_EQ(guarded[0], guarded[1]);
		rg_mutex_unlock(&mutex);
	}
	(void)i;
}

static void yields(int i, uint32_t *seed)
{
	for (uint32_t n = draw(seed, 1000); n > 0; n--)
		rg_yield();
	(void)i;
}

static void changes_procs(int i, uint32_t *seed)
{
	T_CHECK_INT_GT(rg_gomaxprocs(1 + (int)draw(seed, 6)), 0);
	rg_sleep(draw(seed, 3 * MIX_NS));
	(void)i;
}

static void begins_another(void *arg)
{
	(*(_Atomic int *)arg)++;
}

static _Atomic int ends[COPIES];

static void spawns(int i, uint32_t *seed)
{
	int before = ends[i];
	int n = (int)draw(seed, 400);

	for (int k = 0; k < n; k++)
		T_CHECK_INT_EQ(rg_go(begins_another, &ends[i]), 0);
	while (ends[i] != before + n)
		rg_yield();
}

static void dumps(int i, uint32_t *seed)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	T_CHECK_INT_GE(fd, 0);
	T_CHECK_INT_EQ(rg_dump(fd, 2), 0);
	close(fd);
	rg_sleep(draw(seed, 10 * MIX_NS));
	(void)i;
}

/* ---- all of them ------------------------------------------------------------ */

static struct part {
	char letter;
	bool is_ender; /* goes on until no beginner is left */
	void (*step)(int i, uint32_t *seed);
	_Atomic long steps;
} parts[] = {
	{'s', false, spins, 0},          {'a', false, allocates, 0},
	{'c', false, is_called_back, 0}, {'r', true, reads_raw, 0},
	{'r', false, writes_raw, 0},     {'n', false, naps_raw, 0},
	{'b', false, calls_blocking, 0}, {'t', false, sleeps, 0},
	{'i', false, writes, 0},         {'i', true, reads, 0},
	{'h', false, sends, 0},          {'h', true, receives, 0},
	{'l', false, locks, 0},          {'y', false, yields, 0},
	{'p', false, changes_procs, 0},  {'g', false, spawns, 0},
	{'d', false, dumps, 0},
};

enum { PARTS = sizeof parts / sizeof *parts };

struct copy {
	struct part *part;
	int index;
	uint32_t seed;
};

static struct copy copies[PARTS][COPIES];
static bool leaves_them;
static uint32_t mix_seed;

static bool takes_part(const struct part *p)
{
	const char *letters = getenv("RG_MIX_PARTS");

	return !letters || strchr(letters, p->letter);
}

static void runs(void *arg)
{
	struct copy *c = arg;
	struct part *p = c->part;

	while (!(p->is_ender ? is_over : stop)) {
		p->step(c->index, &c->seed);
		p->steps++;
		/* Some parts never call the runtime. */
		if (!interrupt_is_on())
			rg_yield();
	}
	rg_waitgroup_done(p->is_ender ? &enders : &beginners);
}

static void begin_all(void)
{
	for (int k = 0; k < PARTS; k++) {
		if (!takes_part(&parts[k]))
			continue;
		for (int i = 0; i < COPIES; i++) {
			copies[k][i] = (struct copy){&parts[k], i, mix_seed++};
			rg_waitgroup_add(
				parts[k].is_ender ? &enders : &beginners, 1);
			T_CHECK_INT_EQ(rg_go(runs, &copies[k][i]), 0);
		}
	}
}

/* Nobody waits for a byte or an element that does not come. */
static void end_enders(void)
{
	is_over = 1;
	for (int i = 0; i < COPIES; i++) {
		T_CHECK_INT_EQ(write(raw_pipes[i][1], "x", 1), 1);
		T_CHECK_INT_EQ(write(ring_pipes[i][1], &sent[i], 1), 1);
		rg_chan_close(chans[i]);
	}
}

static void mix(void *arg)
{
	(void)arg;
	begin_all();
	rg_sleep(draw(&mix_seed, ROUND_NS));
	stop = 1;
	if (leaves_them) {
		is_over = 1;
		for (int i = 0; i < COPIES; i++)
			T_CHECK_INT_EQ(write(raw_pipes[i][1], "x", 1), 1);
		return;
	}
	rg_waitgroup_wait(&beginners);
	end_enders();
	rg_waitgroup_wait(&enders);
}

/* ---- rounds, each with a runtime of its own ------------------------------------ */

static void set_up(void)
{
	stop = is_over = 0;
	beginners = enders = (rg_waitgroup){0};
	mutex = (rg_mutex){0};
	guarded[0] = guarded[1] = 0;
	for (int i = 0; i < COPIES; i++) {
		T_CHECK_INT_EQ(pipe2(raw_pipes[i], O_CLOEXEC), 0);
		T_CHECK_INT_EQ(pipe2(ring_pipes[i], O_CLOEXEC), 0);
		chans[i] = rg_chan_make(sizeof(uint64_t), i ? 100 : 0);
		T_CHECK(chans[i] != NULL);
		sent[i] = got[i] = 0;
		chan_sent[i] = chan_got[i] = 0;
		ends[i] = 0;
	}
}

static void clean_up(void)
{
	for (int i = 0; i < COPIES; i++) {
		if (!leaves_them)
			T_CHECK_INT_EQ(chan_sent[i],
				       chan_got[i] + rg_chan_len(chans[i]));
		rg_chan_unref(chans[i]);
		for (int end = 0; end < 2; end++) {
			close(raw_pipes[i][end]);
			close(ring_pipes[i][end]);
		}
	}
}

static _Atomic int mix_ended;

static void mix_and_say(void *arg)
{
	mix(arg);
	mix_ended = 1;
}

/* As a part of a host program. */
static void hosted_round(int procs)
{
	const rg_config config = {.maxprocs = procs};
	int err;

	mix_ended = 0;
	T_CHECK_INT_EQ(rg_start(&config), 0);
	T_CHECK_INT_EQ(rg_go(mix_and_say, NULL), 0);
	while (!mix_ended)
		usleep(1000);
	err = rg_stop(leaves_them ? 0 : RG_SECOND);
	T_CHECK(err == 0 || (leaves_them && err == -ETIMEDOUT));
}

static void mix_of_everything_goes_on(void **state)
{
	const char *text = getenv("RG_MIX_SECONDS");
	int64_t seconds = text ? atoi(text) : 1;
	int64_t until = t_now_ns() + seconds * RG_SECOND;

	(void)state;
	mix_seed = (uint32_t)t_now_ns();
	print_message("seed %u\n", mix_seed);
	T_CHECK_INT_EQ(rg_preempt_allow((const void *)(uintptr_t)spins), 0);
	for (int n = 0; n < 4 || t_now_ns() < until; n++) {
		int procs = 1 + (int)draw(&mix_seed, 4);

		leaves_them = n % 2;
		set_up();
		if (n % 3 == 2)
			hosted_round(procs);
		else
			t_run_with(procs, mix, NULL);
		clean_up();
	}
	for (int k = 0; k < PARTS; k++)
		if (takes_part(&parts[k]))
			T_CHECK_INT_GT(parts[k].steps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mix_of_everything_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
