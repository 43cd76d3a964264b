// SPDX-License-Identifier: MIT
/*
 * test_labels - labels of goroutines: setting, inheritance, scopes, dumps; I1 of
 * sched/labels.h.
 */
#include "tests/support/rgtest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "sched/labels.h"
#include "sched/sched.h"

#define SET(...)                                                               \
	do {                                                                   \
		const rg_label l_[] = {__VA_ARGS__};                           \
		T_CHECK_INT_EQ(rg_labels_set(l_, sizeof l_ / sizeof *l_), 0);  \
	} while (0)

static rg_waitgroup all;

static void must_go(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_waitgroup_go(&all, fn, arg), 0);
}

static void wait_all(void)
{
	rg_waitgroup_wait(&all);
	t_wait_goroutines(1);
}

static void run_both(void (*fn)(void *arg))
{
	t_run_with(1, fn, NULL);
	t_run_with(2, fn, NULL);
}

/* ---- setting --------------------------------------------------------------------- */

static void set_body(void *arg)
{
	char key[] = "k", value[] = "v";

	(void)arg;
	T_CHECK(rg_label_get("k") == NULL);
	T_CHECK(rg_label_get(NULL) == NULL);
	SET({key, value});
	key[0] = value[0] = 'x'; /* copied */
	T_CHECK_STR_EQ(rg_label_get("k"), "v");
	T_CHECK(rg_label_get("x") == NULL);
	SET({"z", "26"}, {"a", ""}, {"k", "1"}, {"k", "2"});
	T_CHECK_STR_EQ(rg_label_get("k"), "2");
	T_CHECK_STR_EQ(rg_label_get("z"), "26");
	T_CHECK_STR_EQ(rg_label_get("a"), "");
	SET({"k", NULL}, {"none", NULL});
	T_CHECK(rg_label_get("k") == NULL);
	T_CHECK_STR_EQ(rg_label_get("z"), "26");
	T_CHECK_INT_EQ(rg_labels_set(NULL, 0), 0);
	T_CHECK_STR_EQ(rg_label_get("z"), "26");
	SET({"z", NULL}, {"a", NULL});
	T_CHECK(labels_of(getg()) == NULL);
}

static void labels_set_adds_replaces_and_removes(void **state)
{
	(void)state;
	run_both(set_body);
}

static void not_called(void *arg)
{
	(void)arg;
	T_FAIL("called");
}

static void refuse_body(void *arg)
{
	const rg_label bad[] = {{"a", "1"}, {"", "2"}}, nil[] = {{NULL, "1"}};
	const rg_label good[] = {{"a", "1"}};

	(void)arg;
	T_CHECK_INT_EQ(rg_labels_set(bad, 2), -EINVAL);
	T_CHECK_INT_EQ(rg_labels_set(nil, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_labels_set(NULL, 1), -EINVAL);
	for (int64_t i = 0; i < 2; i++) {
		alloc_fail_after(i);
		T_CHECK_INT_EQ(rg_labels_set(good, 1), -ENOMEM);
	}
	for (int64_t i = 0; i < 3; i++) {
		alloc_fail_after(i);
		T_CHECK_INT_EQ(rg_labels_do(good, 1, not_called, NULL),
			       -ENOMEM);
	}
	alloc_fail_after(-1);
	T_CHECK(labels_of(getg()) == NULL);
}

static void labels_that_cannot_be_change_nothing(void **state)
{
	(void)state;
	run_both(refuse_body);
}

static void *set_t(void *arg)
{
	const rg_label l = {"a", "1"};

	(void)arg;
	rg_labels_set(&l, 1);
	return NULL;
}

static void set_foreign(void *arg)
{
	pthread_t t;

	(void)arg;
	T_CHECK(rg_label_get("a") == NULL);
	T_CHECK_INT_EQ(pthread_create(&t, NULL, set_t, NULL), 0);
	pthread_join(t, NULL);
}

static void labels_outside_a_goroutine_panic(void **state)
{
	(void)state;
	t_expect_abort(set_foreign, NULL, "outside a goroutine");
}

/* ---- inheritance -------------------------------------------------------------------- */

static void grandchild(void *arg)
{
	(void)arg;
	T_CHECK_STR_EQ(rg_label_get("who"), "child");
	T_CHECK_STR_EQ(rg_label_get("where"), "here");
}

static void child(void *go_on)
{
	T_CHECK_STR_EQ(rg_label_get("who"), "parent");
	rg_chan_recv(go_on, NULL);
	/* The parent's later changes are the parent's alone. */
	T_CHECK_STR_EQ(rg_label_get("who"), "parent");
	SET({"who", "child"});
	must_go(grandchild, NULL);
}

static void inherit_body(void *arg)
{
	rg_chan *go_on = rg_make(int, 0);
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	SET({"who", "parent"}, {"where", "here"});
	for (int i = 0; i < 50; i++)
		must_go(child, go_on);
	for (int i = 0; i < 50; i++)
		rg_yield();
	SET({"who", "changed"});
	rg_chan_close(go_on);
	wait_all();
	T_CHECK_STR_EQ(rg_label_get("who"), "changed");
	SET({"who", NULL}, {"where", NULL});
	T_CHECK_INT_LE(alloc_live() - live, 3 * sched_nps());
	rg_chan_unref(go_on);
}

static void labels_are_inherited_and_copied_on_write(void **state)
{
	(void)state;
	run_both(inherit_body);
}

/* ---- scopes ------------------------------------------------------------------------- */

static void in_scope(void *arg)
{
	const rg_label inner = {"scope", "inner"};

	T_CHECK_STR_EQ(rg_label_get("base"), "1");
	if (!arg) {
		T_CHECK_STR_EQ(rg_label_get("scope"), "inner");
		SET({"base", "2"}); /* undone at its end */
		return;
	}
	T_CHECK_STR_EQ(rg_label_get("scope"), "outer");
	T_CHECK_INT_EQ(rg_labels_do(&inner, 1, in_scope, NULL), 0);
	T_CHECK_STR_EQ(rg_label_get("scope"), "outer");
	T_CHECK_STR_EQ(rg_label_get("base"), "1");
}

static void check_restored(void *arg)
{
	(void)arg;
	T_CHECK(rg_label_get("scope") == NULL);
	T_CHECK_STR_EQ(rg_label_get("base"), "1");
}

static void exits(void *arg)
{
	(void)arg;
	rg_defer((void (*)(void *))rg_waitgroup_done, &all);
	rg_waitgroup_add(&all, 1);
	rg_exit();
}

static void exits_in_scope(void *arg)
{
	const rg_label l = {"scope", "outer"};

	(void)arg;
	SET({"base", "1"});
	rg_defer(check_restored, NULL);
	rg_labels_do(&l, 1, exits, NULL);
}

static void scope_body(void *arg)
{
	const rg_label l = {"scope", "outer"};
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	SET({"base", "1"});
	T_CHECK_INT_EQ(rg_labels_do(&l, 1, in_scope, &live), 0);
	check_restored(NULL);
	must_go(exits_in_scope, NULL);
	wait_all();
	SET({"base", NULL});
	T_CHECK_INT_LE(alloc_live() - live, 3 * sched_nps());
}

static void labels_do_restores_also_by_exit(void **state)
{
	(void)state;
	run_both(scope_body);
}

static void stays_in_scope(void *ready)
{
	rg_waitgroup_done(ready);
	rg_chan_recv(NULL, NULL);
}

static void never_ends(void *ready)
{
	const rg_label l = {"scope", "1"};

	SET({"base", "1"});
	rg_labels_do(&l, 1, stays_in_scope, ready);
}

static void abandon_body(void *arg)
{
	rg_waitgroup ready = {0};

	(void)arg;
	rg_waitgroup_add(&ready, 1);
	T_CHECK_INT_EQ(rg_go(never_ends, &ready), 0);
	rg_waitgroup_wait(&ready);
}

static void labels_of_an_abandoned_goroutine_are_freed(void **state)
{
	int64_t live;

	(void)state;
	t_run_with(2, abandon_body, NULL);
	live = alloc_live();
	t_run_with(2, abandon_body, NULL);
	assert_int_equal(alloc_live(), live);
}

/* ---- dumps ---------------------------------------------------------------------------- */

static void waits(void *go_on)
{
	rg_chan_recv(go_on, NULL);
}

static char *dump(int debug)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	off_t len;
	char *text;

	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(rg_dump(fd, debug), 0);
	len = lseek(fd, 0, SEEK_END);
	text = calloc(1, (size_t)len + 1);
	T_CHECK(text != NULL);
	T_CHECK_INT_EQ(pread(fd, text, (size_t)len, 0), len);
	close(fd);
	return text;
}

static int parked(void)
{
	char *text = dump(2), *at = text;
	int n = 0;

	while ((at = strstr(at, "[chan receive]"))) {
		at++;
		n++;
	}
	free(text);
	return n;
}

static bool all_parked(void *n)
{
	return parked() == *(int *)n;
}

static void dump_body(void *arg)
{
	rg_chan *go_on = rg_make(int, 0);
	char *text, longer[300];
	int n = 8;

	(void)arg;
	SET({"req", "1"}, {"path", "/a\"b"});
	for (int i = 0; i < 3; i++)
		must_go(waits, go_on);
	SET({"req", "2"}, {"path", NULL});
	for (int i = 0; i < 4; i++)
		must_go(waits, go_on);
	/* Whole pairs only: what does not fit is left out. */
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	SET({"req", "3"}, {"t", longer});
	must_go(waits, go_on);
	SET({"req", NULL}, {"t", NULL});
	T_WAIT_UNTIL(all_parked, &n);
	text = dump(1);
	T_CHECK_STR_HAS(
		text, "# labels: {\"path\":\"/a\\\"b\", \"req\":\"1\"}\n#\t0x");
	T_CHECK_STR_HAS(text, "# labels: {\"req\":\"2\"}\n#\t0x");
	T_CHECK_STR_HAS(text, "# labels: {\"req\":\"3\"}\n#\t0x");
	T_CHECK_STR_HAS(text, "\n3 @ 0x");
	T_CHECK_STR_HAS(text, "4 @ 0x");
	T_CHECK(!strstr(text, "xxxx"));
	free(text);
	text = dump(2);
	T_CHECK_STR_HAS(text, "# labels {\"req\":\"2\"}, stack ");
	T_CHECK_STR_HAS(
		text, "# labels {\"path\":\"/a\\\"b\", \"req\":\"1\"}, stack ");
	free(text);
	rg_chan_close(go_on);
	wait_all();
	rg_chan_unref(go_on);
}

static void labels_are_shown_by_dumps_and_tell_groups_apart(void **state)
{
	(void)state;
	run_both(dump_body);
}

/* Sets come and go while the world is frozen again and again. */
static const char *const storm_values[] = {"aaaaaaaaaaaaaaaaaaaa", "b",
					   "cccccccc\"cccccccccccccccccc"};
static _Atomic bool storm_over;

static void short_lived(void *arg)
{
	int i = (int)(intptr_t)arg;

	SET({"storm", storm_values[i % 3]});
	rg_yield();
	SET({"storm", storm_values[(i + 1) % 3]});
}

static void storm(void *arg)
{
	for (int i = 0; !atomic_load(&storm_over); i++) {
		SET({"storm", storm_values[i % 3]});
		if (i % 8 == 0)
			must_go(short_lived, (void *)(intptr_t)i);
		rg_yield();
	}
	(void)arg;
}

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static int check_storm(const char *text)
{
	int n = 0;

	while ((text = strstr(text, "# labels {"))) {
		text += strlen("# labels {\"storm\":");
		T_CHECK(starts(text, "\"aaaaaaaaaaaaaaaaaaaa\"}, ") ||
			starts(text, "\"b\"}, ") ||
			starts(text, "\"cccccccc\\\"cccccccccccccccccc\"}, "));
		n++;
	}
	return n;
}

static void storm_body(void *arg)
{
	int seen = 0;

	(void)arg;
	atomic_store(&storm_over, false);
	for (int i = 0; i < 4; i++)
		must_go(storm, NULL);
	for (int i = 0; i < 40 || seen < 40; i++) {
		char *text = dump(2);

		seen += check_storm(text);
		free(text);
		rg_yield();
	}
	atomic_store(&storm_over, true);
	wait_all();
}

static void labels_storm_is_dumped_whole(void **state)
{
	(void)state;
	run_both(storm_body);
}

static void copy_body(void *arg)
{
	char out[16];

	(void)arg;
	T_CHECK_INT_EQ(labels_copy(NULL, out, sizeof out), 0);
	SET({"aa", "11"}, {"bb", "22"}, {"cc", "33"});
	for (size_t size = 0; size <= sizeof out; size++) {
		memset(out, 'x', sizeof out);
		T_CHECK_INT_EQ(labels_copy(labels_of(getg()), out, size),
			       size / 6);
		T_CHECK_MEM_EQ(out, "aa\00011\0bb\00022\0", size / 6 * 6);
		for (size_t i = size / 6 * 6; i < sizeof out; i++)
			T_CHECK_INT_EQ(out[i], i < size ? 0 : 'x');
	}
}

static void labels_copy_takes_whole_pairs(void **state)
{
	(void)state;
	run_both(copy_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_set_adds_replaces_and_removes),
		cmocka_unit_test(labels_that_cannot_be_change_nothing),
		cmocka_unit_test(labels_outside_a_goroutine_panic),
		cmocka_unit_test(labels_are_inherited_and_copied_on_write),
		cmocka_unit_test(labels_do_restores_also_by_exit),
		cmocka_unit_test(labels_of_an_abandoned_goroutine_are_freed),
		cmocka_unit_test(
			labels_are_shown_by_dumps_and_tell_groups_apart),
		cmocka_unit_test(labels_storm_is_dumped_whole),
		cmocka_unit_test(labels_copy_takes_whole_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
