// SPDX-License-Identifier: MIT
/*
 * test_sem - the weighted semaphore: SEMANTICS 64, with Go's TestWeighted*,
 * -LargeAcquireDoesntStarve and -AllocCancelDoesntStarve; sync/sem.c's I1 to I4.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

/* Zeroed memory with n units. */
static rg_sem sem_of(int64_t n)
{
	rg_sem s = {0};

	rg_sem_release(&s, n);
	return s;
}

static void must_acquire(rg_sem *s, int64_t n)
{
	T_CHECK_INT_EQ(rg_sem_acquire(s, n), 0);
}

static int64_t units_of(const rg_sem *s)
{
	return (int64_t)(s->state_ >> 1);
}

/* ---- basics ------------------------------------------------------------------- */

static void try_body(void *arg)
{
	rg_sem s = {0};

	(void)arg;
	T_CHECK(rg_sem_try_acquire(&s, 0));
	T_CHECK(!rg_sem_try_acquire(&s, 1));
	rg_sem_release(&s, 2);
	T_CHECK(!rg_sem_try_acquire(&s, 3));
	T_CHECK(rg_sem_try_acquire(&s, 1));
	must_acquire(&s, 1);
	must_acquire(&s, 0);
	T_CHECK(!rg_sem_try_acquire(&s, 1));
	rg_sem_release(&s, 1);
	T_CHECK(rg_sem_try_acquire(&s, 1));
	rg_sem_release(&s, 0);
	T_CHECK_INT_EQ(s.state_, 0);
	rg_sem_release(&s, INT64_C(1) << 62);
	T_CHECK(rg_sem_try_acquire(&s, INT64_C(1) << 62));
	T_CHECK_INT_EQ(s.state_, 0);
}

static void sem_zero_value_is_empty_and_release_adds(void **state)
{
	(void)state;
	run_both(try_body, NULL);
	try_body(NULL);
}

static void acquire_negative(void *arg)
{
	rg_sem s = {0};

	(void)arg;
	rg_sem_acquire(&s, -1);
}

static void try_negative(void *arg)
{
	rg_sem s = {0};

	(void)arg;
	rg_sem_try_acquire(&s, INT64_MIN);
}

static void release_negative(void *arg)
{
	rg_sem s = sem_of(5);

	(void)arg;
	rg_sem_release(&s, -1);
}

static void overflows(void *arg)
{
	rg_sem s = sem_of(1);

	(void)arg;
	rg_sem_release(&s, INT64_MAX);
}

static void sem_misuse_panics(void **state)
{
	(void)state;
	abort_both(acquire_negative, "semaphore: negative weight -1");
	abort_both(try_negative, "semaphore: negative weight");
	abort_both(release_negative, "semaphore: negative weight -1");
	abort_both(overflows, "semaphore: overflow");
}

/* ---- order ---------------------------------------------------------------------- */

struct request {
	rg_sem *s;
	int64_t n;
	rg_ctx *ctx;        /* or NULL */
	_Atomic int result; /* 1: still waiting */
};

static void request(void *arg)
{
	struct request *r = arg;

	if (r->ctx)
		rg_ctx_unref(rg_ctx_bind(r->ctx));
	atomic_store(&r->result, rg_sem_acquire(r->s, r->n));
}

static void *request_t(void *r)
{
	request(r);
	return NULL;
}

static struct request wants(rg_sem *s, int64_t n, rg_ctx *ctx)
{
	struct request r = {.s = s, .n = n, .ctx = ctx, .result = 1};

	return r;
}

/* Starts r and waits until it is queued as the nth. */
static void queue_up(struct request *r, size_t nth)
{
	must_go(request, r);
	WAIT_FOR(parklot_count(r->s) == nth);
}

static int result(struct request *r)
{
	return atomic_load(&r->result);
}

static void fifo_body(void *arg)
{
	rg_sem s = sem_of(3);
	struct request large = wants(&s, 5, NULL), small = wants(&s, 1, NULL);
	struct request two = wants(&s, 2, NULL);

	(void)arg;
	queue_up(&large, 1);
	queue_up(&small, 2);
	queue_up(&two, 3);
	/* There would be enough for the small one, but it is not its turn. */
	T_CHECK(!rg_sem_try_acquire(&s, 1));
	T_CHECK(!rg_sem_try_acquire(&s, 0));
	rg_sem_release(&s, 1);
	T_CHECK_INT_EQ(parklot_count(&s), 3);
	rg_sem_release(&s, 2);
	WAIT_FOR(result(&large) == 0 && result(&small) == 0);
	T_CHECK_INT_EQ(result(&two), 1);
	T_CHECK_INT_EQ(parklot_count(&s), 1);
	rg_sem_release(&s, 7);
	wait_all();
	T_CHECK_INT_EQ(result(&two), 0);
	T_CHECK_INT_EQ(units_of(&s), 5);
	T_CHECK(rg_sem_try_acquire(&s, 5));
	T_CHECK_INT_EQ(s.state_, 0);
}

static void sem_first_come_first_served(void **state)
{
	(void)state;
	run_both(fifo_body, NULL);
}

struct starve {
	rg_sem s;
	_Atomic bool stop;
};

static void hold_one(void *arg)
{
	struct starve *w = arg;

	while (!atomic_load(&w->stop)) {
		must_acquire(&w->s, 1);
		rg_yield();
		rg_sem_release(&w->s, 1);
	}
}

static void starve_body(void *arg)
{
	struct starve w = {.s = sem_of(4)};

	(void)arg;
	for (int i = 0; i < 8; i++)
		must_go(hold_one, &w);
	for (int i = 0; i < 50; i++) {
		must_acquire(&w.s, 4);
		rg_yield();
		rg_sem_release(&w.s, 4);
	}
	atomic_store(&w.stop, true);
	wait_all();
	T_CHECK_INT_EQ(units_of(&w.s), 4);
}

static void sem_large_request_is_not_starved(void **state)
{
	(void)state;
	run_both(starve_body, NULL);
}

/* ---- contexts ------------------------------------------------------------------- */

static void cancelled_body(void *arg)
{
	rg_sem s = sem_of(1);
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct request r = wants(&s, 2, ctx), after = wants(&s, 1, ctx);

	(void)arg;
	queue_up(&r, 1);
	rg_ctx_cancel(ctx, -EIO);
	WAIT_FOR(result(&r) != 1);
	T_CHECK_INT_EQ(result(&r), -ECANCELED);
	T_CHECK_INT_EQ(s.state_, 2);
	/* It has ended before: not even what is free. */
	must_go(request, &after);
	wait_all();
	T_CHECK_INT_EQ(result(&after), -ECANCELED);
	T_CHECK_INT_EQ(s.state_, 2);
	rg_ctx_unref(ctx);
}

static void sem_acquire_ends_with_its_context(void **state)
{
	(void)state;
	run_both(cancelled_body, NULL);
}

static void deadline_body(void *arg)
{
	rg_sem s = {0};
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 5 * RG_MILLISECOND);
	struct request r = wants(&s, 1, ctx);

	(void)arg;
	must_go(request, &r);
	wait_all();
	T_CHECK_INT_EQ(result(&r), -ETIMEDOUT);
	T_CHECK_INT_EQ(s.state_, 0);
	rg_ctx_unref(ctx);
}

static void sem_acquire_ends_at_the_deadline(void **state)
{
	(void)state;
	run_both(deadline_body, NULL);
}

/* Who waited behind a request that is given up gets what there is. */
static void gives_way_body(void *arg)
{
	rg_sem s = sem_of(5);
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct request large = wants(&s, 6, ctx), a = wants(&s, 2, NULL);
	struct request b = wants(&s, 3, NULL), c = wants(&s, 1, NULL);

	(void)arg;
	queue_up(&large, 1);
	queue_up(&a, 2);
	queue_up(&b, 3);
	queue_up(&c, 4);
	rg_ctx_cancel(ctx, 0);
	WAIT_FOR(result(&a) == 0 && result(&b) == 0);
	T_CHECK_INT_EQ(result(&large), -ECANCELED);
	T_CHECK_INT_EQ(result(&c), 1);
	rg_sem_release(&s, 1);
	wait_all();
	T_CHECK_INT_EQ(s.state_, 0);
	rg_ctx_unref(ctx);
}

static void sem_cancelled_request_gives_way_to_the_next(void **state)
{
	(void)state;
	run_both(gives_way_body, NULL);
}

/* From the middle and the end of the queue. */
static void middle_body(void *arg)
{
	rg_sem s = {0};
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct request a = wants(&s, 1, NULL), b = wants(&s, 1, ctx);
	struct request c = wants(&s, 1, NULL), d = wants(&s, 1, ctx);

	(void)arg;
	queue_up(&a, 1);
	queue_up(&b, 2);
	queue_up(&c, 3);
	queue_up(&d, 4);
	rg_ctx_cancel(ctx, 0);
	WAIT_FOR(result(&b) == -ECANCELED && result(&d) == -ECANCELED);
	T_CHECK_INT_EQ(parklot_count(&s), 2);
	rg_sem_release(&s, 1);
	WAIT_FOR(result(&a) == 0);
	T_CHECK_INT_EQ(result(&c), 1);
	rg_sem_release(&s, 1);
	wait_all();
	T_CHECK_INT_EQ(s.state_, 0);
	rg_ctx_unref(ctx);
}

static void sem_cancelled_requests_leave_the_queue(void **state)
{
	(void)state;
	run_both(middle_body, NULL);
}

/* Both ends of a wait at once; on one P the goroutine runs after both. */
static void first_body(void *arg)
{
	rg_sem s = {0};
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct request r = wants(&s, 1, ctx), next = wants(&s, 1, NULL);

	queue_up(&r, 1);
	queue_up(&next, 2);
	if (arg) {
		rg_ctx_cancel(ctx, 0);
		rg_sem_release(&s, 1);
	} else {
		rg_sem_release(&s, 1);
		rg_ctx_cancel(ctx, 0);
	}
	T_CHECK_INT_EQ(result(&r), 1);
	wait_all();
	T_CHECK_INT_EQ(result(&r), -ECANCELED);
	T_CHECK_INT_EQ(result(&next), 0);
	T_CHECK_INT_EQ(s.state_, 0);
	rg_ctx_unref(ctx);
}

static void sem_grant_and_cancellation_at_once_give_it_to_the_next(void **state)
{
	(void)state;
	t_run_with(1, first_body, NULL);
	t_run_with(1, first_body, (void *)1);
}

/* ---- storms ---------------------------------------------------------------------- */

enum { UNITS = 6, STORM_G = 60, STORM_N = 400, STORM_T = 2 };

struct storm {
	rg_sem s;
	_Atomic int64_t held, taken, cancelled;
};

static void storm(void *arg)
{
	struct storm *w = arg;

	for (int i = 0; i < STORM_N; i++) {
		int64_t n = i % UNITS + 1;

		if (i % 5 == 0) {
			if (!rg_sem_try_acquire(&w->s, n))
				continue;
		} else {
			must_acquire(&w->s, n);
		}
		T_CHECK_INT_LE(atomic_fetch_add(&w->held, n) + n, UNITS);
		if (i % 3 == 0)
			rg_yield();
		atomic_fetch_sub(&w->held, n);
		rg_sem_release(&w->s, n);
	}
}

static void *storm_t(void *w)
{
	storm(w);
	return NULL;
}

static void storm_body(void *arg)
{
	struct storm w = {.s = sem_of(UNITS)};
	pthread_t t[STORM_T];

	(void)arg;
	for (int i = 0; i < STORM_T; i++)
		must_thread(&t[i], storm_t, &w);
	for (int i = 0; i < STORM_G; i++)
		must_go(storm, &w);
	for (int i = 0; i < STORM_T; i++)
		must_join(t[i]);
	wait_all();
	T_CHECK_INT_EQ(w.s.state_, 2 * UNITS);
	T_CHECK_INT_EQ(parklot_count(&w.s), 0);
}

static void sem_storm_never_gives_more_than_there_is(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

/* Requests whose contexts end at any moment: no unit is lost or doubled. */
static void impatient(void *arg)
{
	struct storm *w = arg;

	for (int i = 0; i < 40; i++) {
		rg_ctx *ctx = rg_ctx_with_timeout(rg_ctx_background(),
						  i % 4 * 50 * RG_MICROSECOND);
		int64_t n = i % UNITS + 1;
		int err;

		T_CHECK(ctx != NULL);
		rg_ctx_unref(rg_ctx_bind(ctx));
		err = rg_sem_acquire(&w->s, n);
		rg_ctx_unref(rg_ctx_bind(NULL));
		if (!err) {
			T_CHECK_INT_LE(atomic_fetch_add(&w->held, n) + n,
				       UNITS);
			rg_yield();
			atomic_fetch_sub(&w->held, n);
			rg_sem_release(&w->s, n);
			atomic_fetch_add(&w->taken, 1);
		} else {
			T_CHECK_INT_EQ(err, -ETIMEDOUT);
			atomic_fetch_add(&w->cancelled, 1);
		}
		rg_ctx_unref(ctx);
	}
}

static void impatient_body(void *arg)
{
	struct storm w = {.s = sem_of(UNITS)};

	(void)arg;
	for (int i = 0; i < STORM_G; i++)
		must_go(impatient, &w);
	wait_all();
	T_CHECK_INT_EQ(w.s.state_, 2 * UNITS);
	T_CHECK_INT_EQ(parklot_count(&w.s), 0);
	T_CHECK_INT_EQ(atomic_load(&w.taken) + atomic_load(&w.cancelled),
		       40 * STORM_G);
	T_CHECK_INT_GT(atomic_load(&w.cancelled), 0);
}

static void sem_cancellations_lose_no_unit(void **state)
{
	(void)state;
	run_both(impatient_body, NULL);
}

/* Who acquires frees it. */
static void acquire_and_free(void *arg)
{
	rg_sem *s = arg;

	must_acquire(s, 2);
	memset(s, 0xa5, sizeof *s);
	free(s);
}

static void free_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		rg_sem *s = calloc(1, sizeof *s);

		T_CHECK(s != NULL);
		must_go(acquire_and_free, s);
		if (i % 2)
			rg_yield();
		rg_sem_release(s, 2);
	}
	wait_all();
}

static void sem_may_be_freed_by_the_last_to_acquire(void **state)
{
	(void)state;
	run_both(free_body, NULL);
}

static void foreign_body(void *arg)
{
	rg_sem s = {0};
	struct request r = wants(&s, 3, NULL);
	pthread_t t;

	(void)arg;
	must_thread(&t, request_t, &r);
	WAIT_FOR(parklot_count(&s) == 1);
	rg_sem_release(&s, 2);
	T_CHECK_INT_EQ(result(&r), 1);
	rg_sem_release(&s, 1);
	must_join(t);
	T_CHECK_INT_EQ(result(&r), 0);
	T_CHECK_INT_EQ(s.state_, 0);
}

static void sem_foreign_thread_waits(void **state)
{
	(void)state;
	run_both(foreign_body, NULL);
}

/* ---- the end of a runtime --------------------------------------------------------- */

struct abandoned {
	rg_sem s;
	struct request r[3];
};

static void abandons(void *arg)
{
	struct abandoned *a = arg;

	for (size_t i = 0; i < 3; i++) {
		a->r[i] = wants(&a->s, 4, NULL);
		must_go_forever(request, &a->r[i]);
		WAIT_FOR(parklot_count(&a->s) == i + 1);
	}
}

static void *cancel_t(void *ctx)
{
	rg_ctx_cancel(ctx, 0);
	return NULL;
}

/* Woken by its context, but there is no time left to run: the thread puts it in the
 * global queue, and the only P does not look there any more. */
static void abandons_cancelled(void *arg)
{
	struct abandoned *a = arg;
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	pthread_t t;

	a->r[0] = wants(&a->s, 4, ctx);
	a->r[1] = wants(&a->s, 4, NULL);
	must_go_forever(request, &a->r[0]);
	WAIT_FOR(parklot_count(&a->s) == 1);
	must_go_forever(request, &a->r[1]);
	WAIT_FOR(parklot_count(&a->s) == 2);
	must_thread(&t, cancel_t, ctx);
	/* Not must_join: it would let others run. */
	pthread_join(t, NULL);
	rg_ctx_unref(ctx);
}

static void check_usable(struct abandoned *a)
{
	T_CHECK_INT_EQ(parklot_count(&a->s), 0);
	T_CHECK(!rg_sem_try_acquire(&a->s, 4));
	T_CHECK(rg_sem_try_acquire(&a->s, 1));
	T_CHECK_INT_EQ(a->s.state_, 2 * 2);
}

static void sem_waiters_are_forgotten_with_their_runtime(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		struct abandoned a = {.s = sem_of(3)};

		t_run_with(procs, abandons, &a);
		check_usable(&a);
		t_run_with(procs, abandons, &a);
		/* The flag is set, but nobody is before this one. */
		must_acquire(&a.s, 2);
		T_CHECK_INT_EQ(a.s.state_, 0);
	}
}

static void sem_cancelled_waiter_is_forgotten_with_its_runtime(void **state)
{
	struct abandoned a = {.s = sem_of(3)};

	(void)state;
	t_run_with(1, abandons_cancelled, &a);
	check_usable(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sem_zero_value_is_empty_and_release_adds),
		cmocka_unit_test(sem_misuse_panics),
		cmocka_unit_test(sem_first_come_first_served),
		cmocka_unit_test(sem_large_request_is_not_starved),
		cmocka_unit_test(sem_acquire_ends_with_its_context),
		cmocka_unit_test(sem_acquire_ends_at_the_deadline),
		cmocka_unit_test(sem_cancelled_request_gives_way_to_the_next),
		cmocka_unit_test(sem_cancelled_requests_leave_the_queue),
		cmocka_unit_test(
			sem_grant_and_cancellation_at_once_give_it_to_the_next),
		cmocka_unit_test(sem_storm_never_gives_more_than_there_is),
		cmocka_unit_test(sem_cancellations_lose_no_unit),
		cmocka_unit_test(sem_may_be_freed_by_the_last_to_acquire),
		cmocka_unit_test(sem_foreign_thread_waits),
		cmocka_unit_test(sem_waiters_are_forgotten_with_their_runtime),
		cmocka_unit_test(
			sem_cancelled_waiter_is_forgotten_with_its_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
