// SPDX-License-Identifier: MIT
/*
 * debugenv - RINGGO_DEBUG is parsed, and what cannot be used is said (I1 to I3).
 */
#include "tests/support/rgtest.h"

#include <stdlib.h>

#include "sched/debugenv.h"

static char said[4096];

static int keep(struct textbuf *b, const char *p, size_t n)
{
	(void)b;
	assert_true(strlen(said) + n < sizeof said);
	strncat(said, p, n);
	return 0;
}

static int parse(const char *text, struct debugenv *out)
{
	char mem[64];
	struct textbuf b;
	int bad;

	said[0] = '\0';
	textbuf_init(&b, mem, sizeof mem, -1, keep);
	bad = debugenv_parse(text, out, &b);
	assert_int_equal(textbuf_flush(&b), 0);
	return bad;
}

static void debugenv_known_keys_are_taken(void **state)
{
	static const struct {
		const char *text;
		int leak;
	} cases[] = {
		{NULL, 0},
		{"", 0},
		{",,,", 0},
		{"leak=1", 1},
		{"leak=2,", 2},
		{",leak=0002", 2},
		{"leak=0", 0},
		{"leak=1,leak=2", 2},
		{"leak=2,leak=0", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct debugenv e = {.leak = 77};

		assert_int_equal(parse(cases[i].text, &e), 0);
		assert_int_equal(e.leak, cases[i].leak);
		assert_string_equal(said, "");
	}
}

static void debugenv_bad_items_are_named_and_leave_the_rest(void **state)
{
	static const struct {
		const char *text, *complaint;
	} cases[] = {
		{"lea=1,leak=1", "\"lea=1\" is unknown: ignored; there are: "},
		{"leak=1,leaks=1", "\"leaks=1\" is unknown"},
		{"leak=1,=1", "\"=1\" is unknown"},
		{"leak=1, leak=1", "\" leak=1\" is unknown"},
		{"a\nb,leak=1", "\"a\\x0ab\" is unknown"},
		{"leak=1,leak", "\"leak\": ignored; it is leak=0 to 2\n"},
		{"leak=1,leak=", "\"leak=\": ignored"},
		{"leak=1,leak=-1", "\"leak=-1\": ignored"},
		{"leak=1,leak=2x", "\"leak=2x\": ignored"},
		{"leak=1,leak=3", "\"leak=3\": ignored"},
		{"leak=1,leak=99999999999999999999", "99999999\": ignored"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct debugenv e;

		assert_int_equal(parse(cases[i].text, &e), 1);
		assert_int_equal(e.leak, 1);
		assert_non_null(strstr(said, "ringgo: RINGGO_DEBUG: "));
		assert_non_null(strstr(said, cases[i].complaint));
	}
}

static void debugenv_every_bad_item_is_counted(void **state)
{
	struct debugenv e;

	(void)state;
	assert_int_equal(parse("x,y=,leak=9,leak=1,z=1", &e), 4);
	assert_int_equal(e.leak, 1);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void start_twice(void *arg)
{
	setenv("RINGGO_DEBUG", "nonsense=1,leak=1", 1);
	t_run(nothing, arg);
	setenv("RINGGO_DEBUG", "leak=x", 1);
	t_run(nothing, arg);
}

static void debugenv_complains_once_in_the_process(void **state)
{
	char *out = t_expect_output(start_twice, NULL, 0);
	char *first;

	(void)state;
	first = strstr(out, "ringgo: RINGGO_DEBUG: \"nonsense=1\" is unknown");
	assert_non_null(first);
	assert_null(
		strstr(first + strlen("ringgo: RINGGO_DEBUG"), "RINGGO_DEBUG"));
	free(out);
}

static void starts_and_reads(void *arg)
{
	setenv("RINGGO_DEBUG", "leak=2", 1);
	t_run(nothing, arg);
	T_CHECK_INT_EQ(debugenv.leak, 2);
	unsetenv("RINGGO_DEBUG");
	t_run(nothing, arg);
	T_CHECK_INT_EQ(debugenv.leak, 0);
}

static void debugenv_is_read_at_each_start(void **state)
{
	(void)state;
	t_expect_exit(starts_and_reads, NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debugenv_known_keys_are_taken),
		cmocka_unit_test(
			debugenv_bad_items_are_named_and_leave_the_rest),
		cmocka_unit_test(debugenv_every_bad_item_is_counted),
		cmocka_unit_test(debugenv_complains_once_in_the_process),
		cmocka_unit_test(debugenv_is_read_at_each_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
