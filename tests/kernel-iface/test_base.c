// SPDX-License-Identifier: MIT
/*
 * base - list, rtlock, futexlock (I1, I3, I4), alloc, cpus: the small things below
 * everything.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/futexlock.h"
#include "kernel-iface/base/list.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/cpus.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct item {
	int value;
	struct list link;
};

static void list_zeroed_head_is_empty_and_usable(void **state)
{
	struct list head = {0};
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	int sum = 0, order = 0;

	(void)state;
	assert_true(list_is_empty(&head));
	assert_null(list_pop_front(&head));
	list_for_each(it, &head) {
		(void)it;
		sum++;
	}
	assert_int_equal(sum, 0);
	list_push_back(&head, &b.link);
	list_push_back(&head, &c.link);
	list_push_front(&head, &a.link);
	list_for_each(it, &head) {
		order = order * 10 + container_of(it, struct item, link)->value;
	}
	assert_int_equal(order, 123);
	list_for_each_safe(it, after, &head) {
		if (container_of(it, struct item, link)->value == 2)
			list_del(it);
	}
	assert_false(list_is_linked(&b.link));
	assert_ptr_equal(list_pop_front(&head), &a.link);
	assert_ptr_equal(list_pop_front(&head), &c.link);
	assert_true(list_is_empty(&head));
}

static struct rtlock lock;
static long counter;

static void *add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200000; i++) {
		rtlock_lock(&lock);
		counter++;
		rtlock_unlock(&lock);
	}
	return NULL;
}

static void rtlock_excludes_threads(void **state)
{
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, add_many, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(counter, 800000);
	assert_true(rtlock_try(&lock));
	assert_false(rtlock_try(&lock));
	assert_true(rtlock_is_held(&lock));
	rtlock_unlock(&lock);
}

static struct futexlock sleeping;
static struct futexcond changed;
static int ready, woken, turn;

static void *add_many_asleep(void *arg)
{
	(void)arg;
	errno = ENOTTY;
	for (int i = 0; i < 200000; i++) {
		futexlock_lock(&sleeping);
		counter++;
		futexlock_unlock(&sleeping);
	}
	T_CHECK_INT_EQ(errno, ENOTTY);
	return NULL;
}

static void futexlock_excludes_threads(void **state)
{
	pthread_t t[4];

	(void)state;
	counter = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, add_many_asleep, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(counter, 800000);
	assert_true(futexlock_try(&sleeping));
	assert_false(futexlock_try(&sleeping));
	futexlock_unlock(&sleeping);
	assert_true(futexlock_try(&sleeping));
	futexlock_unlock(&sleeping);
}

static void *wait_for_turn(void *arg)
{
	(void)arg;
	futexlock_lock(&sleeping);
	ready++;
	while (!turn)
		T_CHECK_INT_EQ(futexcond_wait(&changed, &sleeping, INT64_MAX),
			       0);
	woken++;
	futexcond_broadcast(&changed);
	futexlock_unlock(&sleeping);
	return NULL;
}

static bool all_wait(void *arg)
{
	bool yes;

	(void)arg;
	futexlock_lock(&sleeping);
	yes = ready == 4;
	futexlock_unlock(&sleeping);
	return yes;
}

static void futexcond_broadcast_wakes_all_waiters(void **state)
{
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, wait_for_turn, NULL);
	T_WAIT_UNTIL(all_wait, NULL);
	futexlock_lock(&sleeping);
	assert_int_equal(woken, 0);
	turn = 1;
	futexcond_broadcast(&changed);
	while (woken < 4)
		assert_int_equal(futexcond_wait(&changed, &sleeping, INT64_MAX),
				 0);
	futexlock_unlock(&sleeping);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void futexcond_past_deadline_times_out(void **state)
{
	int64_t until = clock_now() + 20 * RG_MILLISECOND;
	int err = 0;

	(void)state;
	errno = ENOTTY;
	futexlock_lock(&sleeping);
	while (!err)
		err = futexcond_wait(&changed, &sleeping, until);
	assert_int_equal(err, -ETIMEDOUT);
	assert_true(clock_now() >= until);
	assert_int_equal(futexcond_wait(&changed, &sleeping, 0), -ETIMEDOUT);
	assert_int_equal(futexcond_wait(&changed, &sleeping, -1), -ETIMEDOUT);
	assert_false(futexlock_try(&sleeping));
	futexlock_unlock(&sleeping);
	assert_int_equal(errno, ENOTTY);
}

static void alloc_counts_zeroes_and_fails_on_request(void **state)
{
	int64_t before = alloc_live();
	unsigned char *p = rgk_zalloc(1000), *q;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	p[7] = 42;
	q = rgk_realloc(p, 100000);
	assert_int_equal(q[7], 42);
	assert_int_equal(alloc_live(), before + 1);
	p = rgk_zalloc_aligned(100, 64);
	assert_int_equal((uintptr_t)p % 64, 0);
	rgk_free(p);
	alloc_fail_after(1);
	p = rgk_alloc(10);
	assert_non_null(p);
	assert_null(rgk_realloc(q, 200000)); /* q stays valid */
	assert_int_equal(q[7], 42);
	rgk_free(p);
	p = rgk_alloc(10);
	assert_non_null(p);
	alloc_fail_after(-1);
	rgk_free(p);
	rgk_free(q);
	rgk_free(NULL);
	assert_int_equal(alloc_live(), before);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void cpus_quota_is_the_least_on_the_way_up(void **state)
{
	char root[] = "/tmp/ringgo-cpus-XXXXXX", dir[64], path[96];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(dir, sizeof dir, "%s/a", root);
	assert_int_equal(mkdir(dir, 0700), 0);
	write_file(dir, "cpu.max", "150000 100000\n");
	snprintf(path, sizeof path, "%s/b", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(path, "cpu.max", "max 100000\n");
	assert_int_equal(cpus_quota(root, "/a/b", 2), 2); /* 1.5 up */
	write_file(path, "cpu.max", "50000 100000\n");
	assert_int_equal(cpus_quota(root, "/a/b", 2), 1);
	assert_int_equal(cpus_quota(root, "/none", 2), 0);
	write_file(dir, "cpu.cfs_quota_us", "400000\n");
	write_file(dir, "cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpus_quota(root, "/a", 1), 4);
	write_file(dir, "cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpus_quota(root, "/a", 1), 0);
	snprintf(path, sizeof path, "rm -r '%s'", root);
	assert_int_equal(system(path), 0);
	assert_in_range(cpus_usable(), 1, cpus_affinity());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_zeroed_head_is_empty_and_usable),
		cmocka_unit_test(rtlock_excludes_threads),
		cmocka_unit_test(futexlock_excludes_threads),
		cmocka_unit_test(futexcond_broadcast_wakes_all_waiters),
		cmocka_unit_test(futexcond_past_deadline_times_out),
		cmocka_unit_test(alloc_counts_zeroes_and_fails_on_request),
		cmocka_unit_test(cpus_quota_is_the_least_on_the_way_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
