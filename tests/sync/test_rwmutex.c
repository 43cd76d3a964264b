// SPDX-License-Identifier: MIT
/*
 * test_rwmutex - the reader/writer mutex: SEMANTICS 51 to 53; sync/rwmutex.c's I1 to I4
 * by order, storms, owners that free it, and runtimes that end with waiters.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

static size_t waiting_writers(const rg_rwmutex *m)
{
	return parklot_count(m);
}

static size_t waiting_readers(const rg_rwmutex *m)
{
	return parklot_count((const char *)m + 1);
}

/* ---- misuse ----------------------------------------------------------------- */

static void unlock_fresh(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_unlock(&m);
}

static void unlock_twice(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_lock(&m);
	rg_rwmutex_unlock(&m);
	rg_rwmutex_unlock(&m);
}

static void unlock_read_locked(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_rlock(&m);
	rg_rwmutex_unlock(&m);
}

static void rwmutex_unlock_of_unlocked_panics(void **state)
{
	(void)state;
	abort_both(unlock_fresh, "panic: Unlock of unlocked RWMutex");
	abort_both(unlock_twice, "panic: Unlock of unlocked RWMutex");
	abort_both(unlock_read_locked, "panic: Unlock of unlocked RWMutex");
}

static void runlock_fresh(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_runlock(&m);
}

static void runlock_twice(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_rlock(&m);
	rg_rwmutex_runlock(&m);
	rg_rwmutex_runlock(&m);
}

static void runlock_write_locked(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	rg_rwmutex_lock(&m);
	rg_rwmutex_runlock(&m);
}

static void rwmutex_runlock_of_unlocked_panics(void **state)
{
	(void)state;
	abort_both(runlock_fresh, "panic: RUnlock of unlocked RWMutex");
	abort_both(runlock_twice, "panic: RUnlock of unlocked RWMutex");
	abort_both(runlock_write_locked, "panic: RUnlock of unlocked RWMutex");
}

/* ---- basics ----------------------------------------------------------------- */

static void try_body(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	T_CHECK(rg_rwmutex_try_lock(&m));
	T_CHECK(!rg_rwmutex_try_lock(&m));
	T_CHECK(!rg_rwmutex_try_rlock(&m));
	rg_rwmutex_unlock(&m);
	T_CHECK(rg_rwmutex_try_rlock(&m));
	T_CHECK(rg_rwmutex_try_rlock(&m));
	T_CHECK(!rg_rwmutex_try_lock(&m));
	rg_rwmutex_runlock(&m);
	T_CHECK(!rg_rwmutex_try_lock(&m));
	rg_rwmutex_runlock(&m);
	T_CHECK(rg_rwmutex_try_lock(&m));
	rg_rwmutex_unlock(&m);
	T_CHECK_INT_EQ(m.state_, 0);
}

static void rwmutex_try_takes_only_what_is_free(void **state)
{
	(void)state;
	run_both(try_body, NULL);
}

static void unlock_it(void *m)
{
	rg_rwmutex_unlock(m);
}

static void runlock_it(void *m)
{
	rg_rwmutex_runlock(m);
}

static void other_body(void *arg)
{
	rg_rwmutex m = {0};

	(void)arg;
	for (int i = 0; i < 100; i++) {
		rg_rwmutex_lock(&m);
		must_go(unlock_it, &m);
		rg_rwmutex_rlock(&m);
		must_go(runlock_it, &m);
	}
	rg_rwmutex_lock(&m);
	rg_rwmutex_unlock(&m);
	wait_all();
	T_CHECK_INT_EQ(m.state_, 0);
}

static void rwmutex_may_be_unlocked_by_another(void **state)
{
	(void)state;
	run_both(other_body, NULL);
}

/* ---- who goes when ------------------------------------------------------------ */

struct world {
	rg_rwmutex m;
	_Atomic int inside; /* readers */
	_Atomic int nlog;
	_Atomic bool go_on;
	char log[64];
};

static void note(struct world *w, char what)
{
	w->log[atomic_fetch_add(&w->nlog, 1)] = what;
}

static void parallel_reader(void *arg)
{
	struct world *w = arg;

	rg_rwmutex_rlock(&w->m);
	atomic_fetch_add(&w->inside, 1);
	WAIT_FOR(atomic_load(&w->go_on));
	rg_rwmutex_runlock(&w->m);
}

static void *parallel_thread(void *arg)
{
	parallel_reader(arg);
	return NULL;
}

static void parallel_body(void *arg)
{
	struct world w = {.inside = 0};
	pthread_t t;

	(void)arg;
	must_thread(&t, parallel_thread, &w);
	for (int i = 0; i < 10; i++)
		must_go(parallel_reader, &w);
	WAIT_FOR(atomic_load(&w.inside) == 11);
	atomic_store(&w.go_on, true);
	must_join(t);
	wait_all();
	T_CHECK_INT_EQ(w.m.state_, 0);
}

static void rwmutex_readers_run_in_parallel(void **state)
{
	(void)state;
	run_both(parallel_body, NULL);
}

static void writer(void *arg)
{
	struct world *w = arg;

	rg_rwmutex_lock(&w->m);
	note(w, 'w');
	T_CHECK_INT_EQ(atomic_load(&w->inside), 0);
	rg_rwmutex_unlock(&w->m);
}

static void reader(void *arg)
{
	struct world *w = arg;

	rg_rwmutex_rlock(&w->m);
	atomic_fetch_add(&w->inside, 1);
	note(w, 'r');
	rg_yield();
	atomic_fetch_sub(&w->inside, 1);
	rg_rwmutex_runlock(&w->m);
}

static void blocks_body(void *arg)
{
	struct world w = {.inside = 0};

	(void)arg;
	rg_rwmutex_rlock(&w.m);
	T_CHECK(rg_rwmutex_try_rlock(&w.m));
	must_go(writer, &w);
	WAIT_FOR(waiting_writers(&w.m) == 1);
	T_CHECK(!rg_rwmutex_try_rlock(&w.m));
	must_go(reader, &w);
	must_go(reader, &w);
	WAIT_FOR(waiting_readers(&w.m) == 2);
	rg_rwmutex_runlock(&w.m);
	T_CHECK_INT_EQ(atomic_load(&w.nlog), 0);
	rg_rwmutex_runlock(&w.m);
	wait_all();
	T_CHECK_STR_EQ(w.log, "wrr");
	T_CHECK_INT_EQ(w.m.state_, 0);
}

static void rwmutex_waiting_writer_blocks_new_readers(void **state)
{
	(void)state;
	run_both(blocks_body, NULL);
}

/* w r w r, in this order of arrival, behind a writer: the readers, then the writers. */
static void turns_body(void *arg)
{
	struct world w = {.inside = 0};

	(void)arg;
	rg_rwmutex_lock(&w.m);
	for (size_t i = 1; i <= 5; i++) {
		must_go(writer, &w);
		WAIT_FOR(waiting_writers(&w.m) == i);
		must_go(reader, &w);
		WAIT_FOR(waiting_readers(&w.m) == i);
	}
	rg_rwmutex_unlock(&w.m);
	wait_all();
	T_CHECK_STR_EQ(w.log, "rrrrrwwwww");
	T_CHECK_INT_EQ(w.m.state_, 0);
}

static void rwmutex_waiting_readers_go_before_the_next_writer(void **state)
{
	(void)state;
	run_both(turns_body, NULL);
}

struct numbered {
	struct world *w;
	char name;
};

static void named_writer(void *arg)
{
	struct numbered *n = arg;

	rg_rwmutex_lock(&n->w->m);
	note(n->w, n->name);
	rg_rwmutex_unlock(&n->w->m);
}

static void order_body(void *arg)
{
	struct world w = {.inside = 0};
	struct numbered n[10];

	(void)arg;
	rg_rwmutex_rlock(&w.m);
	for (int i = 0; i < 10; i++) {
		n[i] = (struct numbered){&w, (char)('a' + i)};
		must_go(named_writer, &n[i]);
		WAIT_FOR(waiting_writers(&w.m) == (size_t)i + 1);
	}
	rg_rwmutex_runlock(&w.m);
	wait_all();
	T_CHECK_STR_EQ(w.log, "abcdefghij");
}

static void rwmutex_writers_get_it_in_order(void **state)
{
	(void)state;
	run_both(order_body, NULL);
}

/* Readers that overlap all the time do not keep a writer out. */
static void overlapping(void *arg)
{
	struct world *w = arg;

	while (!atomic_load(&w->go_on)) {
		rg_rwmutex_rlock(&w->m);
		rg_yield();
		rg_rwmutex_runlock(&w->m);
	}
}

static void starve_body(void *arg)
{
	struct world w = {.inside = 0};

	(void)arg;
	for (int i = 0; i < 4; i++)
		must_go(overlapping, &w);
	for (int i = 0; i < 100; i++) {
		rg_rwmutex_lock(&w.m);
		rg_rwmutex_unlock(&w.m);
		rg_yield();
	}
	atomic_store(&w.go_on, true);
	wait_all();
}

static void rwmutex_writer_is_not_starved(void **state)
{
	(void)state;
	run_both(starve_body, NULL);
}

/* ---- storms ------------------------------------------------------------------- */

enum { STORM_G = 60, STORM_N = 600, STORM_T = 2, WRITE = 10000 };

struct storm {
	rg_rwmutex m;
	_Atomic int
		activity; /* + 1 a reader, + WRITE a writer: as in Go's test */
	int64_t writes;   /* under m */
	_Atomic int64_t expected;
};

static void write_once(struct storm *s, int i)
{
	if (i % 3)
		rg_rwmutex_lock(&s->m);
	else if (!rg_rwmutex_try_lock(&s->m))
		return;
	T_CHECK_INT_EQ(atomic_fetch_add(&s->activity, WRITE), 0);
	s->writes++;
	atomic_fetch_add(&s->expected, 1);
	if (i % 4 == 0)
		rg_yield();
	atomic_fetch_sub(&s->activity, WRITE);
	rg_rwmutex_unlock(&s->m);
}

static void read_once(struct storm *s, int i)
{
	if (i % 3)
		rg_rwmutex_rlock(&s->m);
	else if (!rg_rwmutex_try_rlock(&s->m))
		return;
	T_CHECK_INT_LT(atomic_fetch_add(&s->activity, 1), WRITE);
	if (i % 4 == 0)
		rg_yield();
	atomic_fetch_sub(&s->activity, 1);
	rg_rwmutex_runlock(&s->m);
}

static void storm(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < STORM_N; i++)
		if (i % 7 == 0)
			write_once(s, i);
		else
			read_once(s, i);
}

static void *storm_t(void *s)
{
	storm(s);
	return NULL;
}

static void storm_body(void *arg)
{
	struct storm s = {.writes = 0};
	pthread_t t[STORM_T];
	int threads = arg ? STORM_T : 0;

	for (int i = 0; i < threads; i++)
		must_thread(&t[i], storm_t, &s);
	for (int i = 0; i < STORM_G; i++)
		must_go(storm, &s);
	for (int i = 0; i < threads; i++)
		must_join(t[i]);
	wait_all();
	T_CHECK_INT_EQ(s.writes, atomic_load(&s.expected));
	T_CHECK_INT_EQ(s.m.state_, 0);
	T_CHECK_INT_EQ(waiting_readers(&s.m) + waiting_writers(&s.m), 0);
}

static void rwmutex_storm_excludes(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
	run_both(storm_body, (void *)1);
}

/* Who comes last frees the object, right after another's unlock. */
struct shared {
	rg_rwmutex m;
	_Atomic int left;
};

static void leave_shared(struct shared *s, bool is_last)
{
	if (is_last) {
		memset(s, 0xa5, sizeof *s);
		free(s);
	}
}

static void read_and_free(void *arg)
{
	struct shared *s = arg;
	bool is_last;

	rg_rwmutex_rlock(&s->m);
	is_last = atomic_fetch_sub(&s->left, 1) == 1;
	if (is_last) {
		/* The other readers are to be past their unlock, too. */
		rg_rwmutex_runlock(&s->m);
		rg_rwmutex_lock(&s->m);
		rg_rwmutex_unlock(&s->m);
	} else {
		rg_rwmutex_runlock(&s->m);
	}
	leave_shared(s, is_last);
}

static void write_and_free(void *arg)
{
	struct shared *s = arg;
	bool is_last;

	rg_rwmutex_lock(&s->m);
	is_last = atomic_fetch_sub(&s->left, 1) == 1;
	rg_rwmutex_unlock(&s->m);
	if (is_last) {
		rg_rwmutex_lock(&s->m);
		rg_rwmutex_unlock(&s->m);
	}
	leave_shared(s, is_last);
}

static void free_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		struct shared *s = calloc(1, sizeof *s);

		T_CHECK(s != NULL);
		s->left = 4;
		rg_rwmutex_lock(&s->m);
		for (int j = 0; j < 2; j++) {
			must_go(read_and_free, s);
			must_go(write_and_free, s);
		}
		if (i % 2)
			rg_yield();
		rg_rwmutex_unlock(&s->m);
	}
	wait_all();
}

static void rwmutex_may_be_freed_by_the_last_to_unlock(void **state)
{
	(void)state;
	run_both(free_body, NULL);
}

/* ---- the end of a runtime --------------------------------------------------------- */

static void never_reads(void *m)
{
	rg_rwmutex_rlock(m);
	T_FAIL("a goroutine of a runtime that ended got a mutex");
}

static void never_writes(void *m)
{
	rg_rwmutex_lock(m);
	T_FAIL("a goroutine of a runtime that ended got a mutex");
}

static void abandons(void *arg)
{
	rg_rwmutex *m = arg;

	for (int i = 0; i < 3; i++)
		must_go_forever(never_writes, m);
	WAIT_FOR(waiting_writers(m) == 3);
	for (int i = 0; i < 3; i++)
		must_go_forever(never_reads, m);
	WAIT_FOR(waiting_readers(m) == 3);
}

static void rwmutex_waiters_are_forgotten_with_their_runtime(void **state)
{
	rg_rwmutex m = {0};

	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		rg_rwmutex_lock(&m);
		t_run_with(procs, abandons, &m);
		T_CHECK_INT_EQ(waiting_readers(&m) + waiting_writers(&m), 0);
		rg_rwmutex_unlock(&m);
		T_CHECK_INT_EQ(m.state_, 0);
		rg_rwmutex_rlock(&m);
		rg_rwmutex_rlock(&m);
		t_run_with(procs, abandons, &m);
		rg_rwmutex_runlock(&m);
		rg_rwmutex_runlock(&m);
		T_CHECK_INT_EQ(m.state_, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rwmutex_unlock_of_unlocked_panics),
		cmocka_unit_test(rwmutex_runlock_of_unlocked_panics),
		cmocka_unit_test(rwmutex_try_takes_only_what_is_free),
		cmocka_unit_test(rwmutex_may_be_unlocked_by_another),
		cmocka_unit_test(rwmutex_readers_run_in_parallel),
		cmocka_unit_test(rwmutex_waiting_writer_blocks_new_readers),
		cmocka_unit_test(
			rwmutex_waiting_readers_go_before_the_next_writer),
		cmocka_unit_test(rwmutex_writers_get_it_in_order),
		cmocka_unit_test(rwmutex_writer_is_not_starved),
		cmocka_unit_test(rwmutex_storm_excludes),
		cmocka_unit_test(rwmutex_may_be_freed_by_the_last_to_unlock),
		cmocka_unit_test(
			rwmutex_waiters_are_forgotten_with_their_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
