// SPDX-License-Identifier: MIT
/*
 * runq - attacks I1-I5 of sched/runq.h: every goroutine exactly once, whoever takes.
 */
#include "tests/support/rgtest.h"

#include "sched/g.h"
#include "sched/runq.h"

#include <pthread.h>
#include <stdlib.h>

static struct runq queue, other;
static struct g gs[4096];
static _Atomic int taken[4096];

static void reset(void)
{
	memset(&queue, 0, sizeof queue);
	memset(&other, 0, sizeof other);
	memset(taken, 0, sizeof taken);
}

static void take(const struct g *gp)
{
	atomic_fetch_add_explicit(&taken[gp - gs], 1, memory_order_relaxed);
}

static void runq_is_fifo_and_bounded(void **state)
{
	(void)state;
	reset();
	assert_null(runq_get(&queue));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < RUNQ_SIZE; i++)
			assert_true(runq_put(&queue, &gs[i]));
		assert_false(runq_put(&queue, &gs[RUNQ_SIZE]));
		assert_int_equal(runq_len(&queue), RUNQ_SIZE);
		for (int i = 0; i < RUNQ_SIZE; i++)
			assert_ptr_equal(runq_get(&queue), &gs[i]);
		assert_true(runq_is_empty(&queue));
	}
}

static void runq_next_runs_first_and_is_displaced(void **state)
{
	(void)state;
	reset();
	runq_put(&queue, &gs[0]);
	assert_null(runq_set_next(&queue, &gs[1]));
	assert_ptr_equal(runq_set_next(&queue, &gs[2]), &gs[1]);
	assert_int_equal(runq_len(&queue), 2);
	assert_ptr_equal(runq_get(&queue), &gs[2]);
	assert_ptr_equal(runq_get(&queue), &gs[0]);
	assert_null(runq_get(&queue));
}

static void runq_overflow_moves_a_batch_in_order(void **state)
{
	struct gqueue out = {0};

	(void)state;
	reset();
	for (int i = 0; i < RUNQ_SIZE; i++)
		runq_put(&queue, &gs[i]);
	runq_overflow(&queue, &gs[RUNQ_SIZE], &out);
	assert_int_equal(out.len, RUNQ_BATCH + 1);
	for (int i = 0; i < RUNQ_BATCH; i++)
		assert_ptr_equal(gqueue_pop(&out), &gs[i]);
	assert_ptr_equal(gqueue_pop(&out), &gs[RUNQ_SIZE]);
	assert_null(gqueue_pop(&out));
	assert_ptr_equal(runq_get(&queue), &gs[RUNQ_BATCH]);
}

static void newborns_go_youngest_first_and_are_stolen_oldest_first(void **state)
{
	(void)state;
	for (int alone = 0; alone < 2; alone++) {
		reset();
		queue.is_alone = alone;
		for (int round = 0; round < 3; round++) {
			for (int i = 0; i < NEWBORN_MAX; i++)
				assert_true(runq_bear(&queue, &gs[i]));
			assert_false(runq_bear(&queue, &gs[NEWBORN_MAX]));
			assert_int_equal(runq_len(&queue), NEWBORN_MAX);
			for (int i = NEWBORN_MAX; i-- > 0;)
				assert_ptr_equal(runq_get(&queue), &gs[i]);
			assert_null(runq_get(&queue));
			assert_true(runq_is_empty(&queue));
		}
	}
	queue.is_alone = false;
	for (int i = 0; i < 8; i++)
		runq_bear(&queue, &gs[i]);
	assert_ptr_equal(runq_steal(&other, &queue, true), &gs[0]);
	for (int i = 3; i > 0; i--) /* half of them, the older one */
		assert_ptr_equal(runq_get(&other), &gs[i]);
	assert_null(runq_get(&other));
	for (int i = 7; i > 3; i--)
		assert_ptr_equal(runq_get(&queue), &gs[i]);
	assert_true(runq_is_empty(&queue));
}

static void ring_and_newborns_take_turns(void **state)
{
	int from_ring = 0;

	(void)state;
	reset();
	for (int i = 0; i < 800; i++) {
		runq_put(&queue, &gs[i]);
		runq_bear(&queue, &gs[1000 + i]);
	}
	for (int i = 0; i < 800; i++)
		from_ring += runq_get(&queue) < &gs[1000];
	assert_int_equal(from_ring, 100);
	for (int i = 0; i < 800; i++)
		assert_non_null(runq_get(&queue));
	assert_null(runq_get(&queue));
}

static void newborns_join_the_ring_oldest_first(void **state)
{
	(void)state;
	reset();
	for (int i = 0; i < 10; i++)
		runq_bear(&queue, &gs[i]);
	runq_promote(&queue);
	assert_int_equal(runq_ring_len(&queue), 1);
	runq_settle(&queue);
	assert_false(runq_has_newborn(&queue));
	for (int i = 0; i < 10; i++)
		assert_ptr_equal(runq_get(&queue), &gs[i]);
	/* A full ring takes none, and none is lost. */
	for (int i = 0; i < RUNQ_SIZE; i++)
		runq_put(&queue, &gs[i]);
	runq_bear(&queue, &gs[RUNQ_SIZE]);
	runq_promote(&queue);
	runq_settle(&queue);
	assert_true(runq_has_newborn(&queue));
	assert_int_equal(runq_len(&queue), RUNQ_SIZE + 1);
}

static void drain_takes_all_there_is(void **state)
{
	struct gqueue out = {0};
	struct g *gp;

	(void)state;
	reset();
	runq_set_next(&queue, &gs[0]);
	for (int i = 1; i < 100; i++)
		assert_true(i % 2 ? runq_put(&queue, &gs[i])
				  : runq_bear(&queue, &gs[i]));
	runq_drain(&queue, &out);
	assert_int_equal(out.len, 100);
	while ((gp = gqueue_pop(&out)))
		take(gp);
	for (int i = 0; i < 100; i++)
		assert_int_equal(taken[i], 1);
	assert_true(runq_is_empty(&queue));
}

static void runq_steal_takes_half_rounded_up(void **state)
{
	(void)state;
	for (int n = 0; n < 2 * RUNQ_BATCH; n++) {
		int stolen = 0;

		reset();
		for (int i = 0; i < n; i++)
			runq_put(&queue, &gs[i]);
		if (runq_steal(&other, &queue, false))
			stolen = 1;
		while (runq_get(&other))
			stolen++;
		assert_int_equal(stolen, n - n / 2);
		assert_int_equal(runq_len(&queue), n / 2);
	}
}

static void runq_steal_takes_next_only_when_asked(void **state)
{
	(void)state;
	reset();
	runq_set_next(&queue, &gs[5]);
	assert_null(runq_steal(&other, &queue, false));
	assert_ptr_equal(runq_steal(&other, &queue, true), &gs[5]);
	assert_true(runq_is_empty(&queue));
}

static void gqueue_append_joins(void **state)
{
	struct gqueue a = {0}, b = {0};

	(void)state;
	gqueue_append(&a, &b);
	assert_int_equal(a.len, 0);
	gqueue_push(&b, &gs[1]);
	gqueue_append(&a, &b);
	gqueue_push(&b, &gs[2]);
	gqueue_push(&b, &gs[3]);
	gqueue_append(&a, &b);
	assert_int_equal(a.len, 3);
	assert_int_equal(b.len, 0);
	for (int i = 1; i <= 3; i++)
		assert_ptr_equal(gqueue_pop(&a), &gs[i]);
}

enum { TOTAL = 4096, ROUNDS = 200 };
static _Atomic int left;

static void *thief(void *arg)
{
	struct runq mine;
	struct g *gp;

	(void)arg;
	memset(&mine, 0, sizeof mine);
	while (atomic_load_explicit(&left, memory_order_relaxed) > 0) {
		gp = runq_steal(&mine, &queue, true);
		for (; gp; gp = runq_get(&mine)) {
			take(gp);
			atomic_fetch_sub_explicit(&left, 1,
						  memory_order_relaxed);
		}
	}
	return NULL;
}

static void owner_work(void)
{
	struct gqueue out = {0};
	struct g *gp, *old;

	for (int i = 0; i < TOTAL; i++) {
		old = i % 3 ? &gs[i] : runq_set_next(&queue, &gs[i]);
		if (old && (i % 7 < 3 || !runq_bear(&queue, old)) &&
		    !runq_put(&queue, old))
			runq_overflow(&queue, old, &out);
		if (i % 97 == 0)
			runq_promote(&queue);
		while ((gp = gqueue_pop(&out)) ||
		       (i % 5 == 0 && (gp = runq_get(&queue)))) {
			take(gp);
			atomic_fetch_sub_explicit(&left, 1,
						  memory_order_relaxed);
			if (i % 5 == 0)
				break;
		}
	}
	while ((gp = gqueue_pop(&out)) || (gp = runq_get(&queue))) {
		take(gp);
		atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed);
	}
}

static void runq_thieves_and_owner_take_each_exactly_once(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t t[2];

		reset();
		atomic_store_explicit(&left, TOTAL, memory_order_relaxed);
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, thief, NULL);
		owner_work();
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		for (int i = 0; i < TOTAL; i++)
			assert_int_equal(taken[i], 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runq_is_fifo_and_bounded),
		cmocka_unit_test(runq_next_runs_first_and_is_displaced),
		cmocka_unit_test(runq_overflow_moves_a_batch_in_order),
		cmocka_unit_test(
			newborns_go_youngest_first_and_are_stolen_oldest_first),
		cmocka_unit_test(ring_and_newborns_take_turns),
		cmocka_unit_test(newborns_join_the_ring_oldest_first),
		cmocka_unit_test(drain_takes_all_there_is),
		cmocka_unit_test(runq_steal_takes_half_rounded_up),
		cmocka_unit_test(runq_steal_takes_next_only_when_asked),
		cmocka_unit_test(gqueue_append_joins),
		cmocka_unit_test(runq_thieves_and_owner_take_each_exactly_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
