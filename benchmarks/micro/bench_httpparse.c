// SPDX-License-Identifier: MIT
/*
 * bench_httpparse - the time to parse the head of one request: 423 bytes, nine
 * fields, all there at once, as it mostly is on a connection.
 *
 * Prints one JSON line: nanoseconds a request, median, min and max of 9
 * repetitions. The parser is internal to the library, which exports rg_* only,
 * and pure: so this program compiles it in.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/http/httpchar.c"
#include "net/http/httpframing.c"
#include "net/http/httpparse.c"
#include "net/http/httpurl.c"

#define REPETITIONS 9
#define ROUNDS      300000
#define MAX_FIELDS  64

static const char request[] =
	"GET /articles/2010/03/goroutines-for-c.html?page=2&sort=asc "
	"HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) "
	"Firefox/115.0\r\n"
	"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://www.example.com/articles/\r\n"
	"Cookie: session=0123456789abcdef; theme=gra\r\n"
	"Connection: keep-alive\r\n"
	"Cache-Control: max-age=0\r\n"
	"\r\n";

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Nanoseconds for one request; ends the program if the parser does not
 * agree. */
static double run(void)
{
	struct httpfield fields_[MAX_FIELDS];
	struct httpparse p;
	int64_t start = now_ns();

	for (int i = 0; i < ROUNDS; i++) {
		httpparse_init_request(&p, fields_, MAX_FIELDS, NULL);
		if (httpparse_run(&p, request, sizeof(request) - 1) !=
			    HTTPPARSE_OK ||
		    p.head.nfields != 9) {
			fprintf(stderr, "bench_httpparse: %s\n",
				p.reason ? p.reason : "head incomplete");
			exit(1);
		}
		/* Whatever was found counts as used, so it must be found. */
		__asm__ volatile("" : : "r"(&p), "r"(fields_) : "memory");
	}
	return (double)(now_ns() - start) / ROUNDS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	double ns[REPETITIONS];

	run(); /* warm-up */
	for (int i = 0; i < REPETITIONS; i++)
		ns[i] = run();
	qsort(ns, REPETITIONS, sizeof(ns[0]), compare);
	printf("{\"bench\":\"httpparse\",\"unit\":\"ns/request\","
	       "\"bytes\":%zu,\"fields\":9,\"median\":%.1f,\"min\":%.1f,"
	       "\"max\":%.1f,\"n\":%d}\n",
	       sizeof(request) - 1, ns[REPETITIONS / 2], ns[0],
	       ns[REPETITIONS - 1], REPETITIONS);
	return 0;
}
