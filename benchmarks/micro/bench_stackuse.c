// SPDX-License-Identifier: MIT
/*
 * bench_stackuse - how much stack calls take that a goroutine may make: the figures
 * behind the default size of a stack. Each runs in a goroutine of its own on 256 KiB
 * that were painted before; the deepest byte that changed counts, from the frame
 * above the call. Bytes; the first call of each, as lazy binding goes deepest.
 */
#include "benchmarks/support/bench.h"

#include <netdb.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256 * 1024, PAINTED = 200 * 1024, OWN = 256 };
enum { PAINT = 0xa7 };

struct use {
	const char *name;
	void (*call)(void);
	size_t bytes;
	rg_waitgroup *done;
};

static char text[8192];
static volatile double huge = 1e300;

static void first_call(void)
{
	if (getppid() == 1)
		puts("");
}

static void print_int(void)
{
	snprintf(text, sizeof text, "%d %s", 42, "forty-two");
}

static void print_huge(void)
{
	snprintf(text, sizeof text, "%f %.300f", huge, huge);
}

static void print_file(void)
{
	FILE *f = fopen("/dev/null", "we");

	if (!f)
		bench_fail("/dev/null cannot be opened");
	fprintf(f, "%f", huge);
	fclose(f);
}

static void local_time(void)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof text, "%A, %d %B %Y %H:%M:%S", &tm);
}

static void sort(void)
{
	static double v[10000];

	for (int i = 0; i < 10000; i++)
		v[i] = i * 7919 % 10007;
	bench_sort(v, 10000);
}

static void regex(void)
{
	regex_t re;

	if (regcomp(&re, "^([a-z]+|[0-9]*)*@(x|y)+$", REG_EXTENDED))
		bench_fail("regcomp");
	regexec(&re, "abc123abc@xyxyxy", 0, NULL, 0);
	regfree(&re);
}

static void resolve(void)
{
	struct addrinfo *found = NULL;

	if (!getaddrinfo("localhost", "80", NULL, &found))
		freeaddrinfo(found);
}

static void dial(void)
{
	rg_listener *l;
	rg_conn *c;

	if (rg_listen("tcp", "127.0.0.1:0", &l))
		bench_fail("rg_listen");
	if (rg_dial("tcp", rg_listener_addr(l), &c))
		bench_fail("rg_dial");
	rg_conn_close(c);
	rg_listener_close(l);
}

/* paint - from PAINTED bytes below `top` up to its own frame. Below the stack pointer,
 * where nobody else writes: signals have a stack of their own. */
static __attribute__((noinline)) void paint(char *top)
{
	volatile char *end = (char *)__builtin_frame_address(0) - OWN;

	for (volatile char *p = top - PAINTED; p < end; p++)
		*p = (char)PAINT;
}

/* unpainted - how far below `top` the last byte is that is not paint. */
static __attribute__((noinline)) size_t unpainted(const char *top)
{
	const volatile char *p = top - PAINTED;

	while (p < top && *p == (char)PAINT)
		p++;
	return (size_t)(top - p);
}

static void measure(void *arg)
{
	struct use *u = arg;
	char *top = __builtin_frame_address(0);

	paint(top);
	u->call();
	u->bytes = unpainted(top);
	rg_waitgroup_done(u->done);
}

static struct use uses[] = {
	{.name = "stack_first_call", .call = first_call},
	{.name = "stack_snprintf", .call = print_int},
	{.name = "stack_snprintf_1e300", .call = print_huge},
	{.name = "stack_fprintf_1e300", .call = print_file},
	{.name = "stack_strftime", .call = local_time},
	{.name = "stack_qsort", .call = sort},
	{.name = "stack_regex", .call = regex},
	{.name = "stack_getaddrinfo", .call = resolve},
	{.name = "stack_rg_dial", .call = dial},
};

static int run(void *arg)
{
	static const rg_go_options options = {.stack_size = ROOM};
	rg_waitgroup done = {0};

	(void)arg;
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
		uses[i].done = &done;
		rg_waitgroup_add(&done, 1);
		if (rg_go_with(&options, measure, &uses[i]))
			bench_fail("rg_go_with");
		rg_waitgroup_wait(&done);
	}
	return 0;
}

int main(void)
{
	if (rg_run(NULL, run, NULL))
		return 1;
	for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
		printf("{\"bench\":\"%s\",\"impl\":\"ringgo\",\"procs\":1,"
		       "\"unit\":\"B\",\"median\":%zu,\"min\":%zu,\"max\":%zu,"
		       "\"reps\":1,\"n\":1}\n",
		       uses[i].name, uses[i].bytes, uses[i].bytes,
		       uses[i].bytes);
	return 0;
}
