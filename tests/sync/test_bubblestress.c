// SPDX-License-Identifier: MIT
/*
 * Many synctest bubbles, and long lives in one: each idle moment is found, once (I2,
 * I3 of sched/bubble.h), also with several Ps.
 */
#include "tests/sync/bubbletest.h"

/* ---- storms -------------------------------------------------------------------------- */

enum { BUBBLES = 2000, AT_ONCE = 8, WORKERS = 6, ROUNDS = 5 };

struct storm {
	rg_chan *work;
	rg_waitgroup wg;
	int64_t sum;
	rg_mutex m;
};

static void storm_worker(void *arg)
{
	struct storm *s = arg;
	int64_t v;

	while (rg_chan_recv(s->work, &v)) {
		rg_sleep(v * RG_MILLISECOND);
		rg_mutex_lock(&s->m);
		s->sum += v;
		rg_mutex_unlock(&s->m);
	}
}

static void storm_bubble(void *arg)
{
	struct storm s = {.work = rg_chan_make(8, 1)};
	rg_time start = rg_now();

	(void)arg;
	T_CHECK_INT_EQ(start, EPOCH_NS);
	for (int i = 0; i < WORKERS; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&s.wg, storm_worker, &s), 0);
	for (int64_t i = 1; i <= WORKERS * ROUNDS; i++)
		rg_chan_send(s.work, &i);
	rg_chan_close(s.work);
	rg_waitgroup_wait(&s.wg);
	T_CHECK_INT_EQ(s.sum, WORKERS * ROUNDS * (WORKERS * ROUNDS + 1) / 2);
	T_CHECK(rg_now() - start >= WORKERS * ROUNDS * RG_MILLISECOND);
	rg_synctest_wait();
	rg_chan_unref(s.work);
}

static void storm_one_after_the_other(void *arg)
{
	for (int i = 0; i < BUBBLES / AT_ONCE; i++)
		T_CHECK_INT_EQ(rg_synctest_run(storm_bubble, arg), 0);
}

static void storm_body(void *arg)
{
	for (int i = 0; i < AT_ONCE; i++)
		must_go(storm_one_after_the_other, arg);
	wait_all();
}

static void bubble_storm_of_many_at_once_keeps_the_counts(void **state)
{
	(void)state;
	t_run_with(1, storm_body, NULL);
	t_run_with(2, storm_body, NULL);
	t_run_with(4, storm_body, NULL);
}

/* Pairs that hand over at every step: each pass could be taken for an idle one. */
static void echo(void *arg)
{
	rg_chan **c = arg;
	int64_t v;

	while (rg_chan_recv(c[0], &v))
		rg_chan_send(c[1], &v);
}

static void never(void *flag)
{
	*(bool *)flag = true;
}

static void pingpong_body(void *arg)
{
	rg_chan *c[2] = {rg_chan_make(8, 0), rg_chan_make(8, 0)};
	bool fired = false;
	rg_time start = rg_now();
	rg_timer *t = rg_after_func(1, never, &fired);
	int64_t back;

	(void)arg;
	go(echo, c);
	for (int64_t i = 0; i < 50000; i++) {
		rg_chan_send(c[0], &i);
		rg_chan_recv(c[1], &back);
		T_CHECK_INT_EQ(back, i);
	}
	T_CHECK(!fired);
	T_CHECK_INT_EQ(rg_now(), start);
	rg_chan_close(c[0]);
	rg_sleep(2);
	T_CHECK(fired);
	rg_timer_free(t);
	rg_chan_unref(c[0]);
	rg_chan_unref(c[1]);
}

static void bubble_never_idle_while_somebody_is_readied(void **state)
{
	(void)state;
	bubble_run(pingpong_body);
}

/* ---- programs drawn by chance ------------------------------------------------------ */

enum { SEEDS = 150, ACTORS = 12, STEPS = 40, CHANS = 3 };

struct program {
	rg_chan *c[CHANS];
	rg_waitgroup wg;
	uint64_t seed;
	_Atomic int64_t sent, received;
};

static uint32_t draw(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % n;
}

/* A sleep is exact: the clock neither ran on while somebody was awake, nor stood
 * still when nobody was. */
static void step_sleep(struct program *p, uint64_t *rng)
{
	rg_time end = rg_now() + draw(rng, 5) * RG_MILLISECOND;

	T_CHECK_INT_EQ(rg_sleep(end - rg_now()), 0);
	if (rg_now() != end)
		T_FAIL("seed %lld: slept %lld ns too long", (long long)p->seed,
		       (long long)(rg_now() - end));
}

static void step_select(struct program *p, uint64_t *rng)
{
	rg_time end = rg_now() + (1 + draw(rng, 4)) * RG_MILLISECOND;
	int64_t out = 1, in = 0;
	rg_case cases[] = {RG_SEND(p->c[draw(rng, CHANS)], &out),
			   RG_RECV(p->c[draw(rng, CHANS)], &in)};
	int i = rg_select_until(cases, 2, end);

	if (i == -ETIMEDOUT ? rg_now() != end : rg_now() > end)
		T_FAIL("seed %lld: select ended at %lld ns from its deadline",
		       (long long)p->seed, (long long)(rg_now() - end));
	/* Relaxed: read after the wait group. */
	if (i == 0)
		atomic_fetch_add_explicit(&p->sent, 1, memory_order_relaxed);
	if (i == 1)
		atomic_fetch_add_explicit(&p->received, in,
					  memory_order_relaxed);
}

static void count_up(void *n)
{
	atomic_fetch_add_explicit((_Atomic int64_t *)n, 1,
				  memory_order_relaxed);
}

/* One after_func, that ran before the sleep's end, or was stopped. */
static void step_timer(struct program *p, uint64_t *rng)
{
	_Atomic int64_t ran = 0;
	rg_timer *t =
		rg_after_func(draw(rng, 3) * RG_MILLISECOND, count_up, &ran);
	bool stopped = draw(rng, 2) && rg_timer_stop(t);

	T_CHECK_INT_EQ(rg_sleep(3 * RG_MILLISECOND), 0);
	if (atomic_load_explicit(&ran, memory_order_relaxed) != !stopped)
		T_FAIL("seed %lld: after_func ran %lld times",
		       (long long)p->seed, (long long)ran);
	rg_timer_free(t);
}

static void actor(void *arg)
{
	struct program *p = arg;
	uint64_t rng = p->seed * 1000003 + rg_goid();

	for (int i = 0; i < STEPS; i++)
		switch (draw(&rng, 4)) {
		case 0:
			step_sleep(p, &rng);
			break;
		case 1:
			step_timer(p, &rng);
			break;
		case 2:
			rg_yield();
			break;
		default:
			step_select(p, &rng);
		}
}

static void program_body(void *arg)
{
	struct program p = {.seed = *(const uint64_t *)arg};
	int64_t left = 0;

	for (int i = 0; i < CHANS; i++)
		p.c[i] = rg_chan_make(8, (size_t)i);
	for (int i = 0; i < ACTORS; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&p.wg, actor, &p), 0);
	rg_waitgroup_wait(&p.wg);
	for (int i = 0; i < CHANS; i++) {
		left += (int64_t)rg_chan_len(p.c[i]);
		rg_chan_unref(p.c[i]);
	}
	T_CHECK_INT_EQ(p.sent, p.received + left);
}

static void programs_body(void *arg)
{
	(void)arg;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		T_CHECK_INT_EQ(rg_synctest_run(program_body, &seed), 0);
}

static void bubble_clock_is_exact_in_drawn_programs(void **state)
{
	(void)state;
	t_run_with(1, programs_body, NULL);
	t_run_with(2, programs_body, NULL);
	t_run_with(4, programs_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bubble_storm_of_many_at_once_keeps_the_counts),
		cmocka_unit_test(bubble_never_idle_while_somebody_is_readied),
		cmocka_unit_test(bubble_clock_is_exact_in_drawn_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
