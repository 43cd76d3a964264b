// SPDX-License-Identifier: MIT
/*
 * bench_file - 64 goroutines read 4 KiB at random from a file of 256 MiB that lies in
 * the page cache: CPU time of the process (user and system) per read. The second row is
 * one goroutine that makes bare pread system calls. The file is in /var/tmp, since
 * /tmp may be a tmpfs. Twin: gobench/file.go.
 */
#include "benchmarks/support/bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { READERS = 64, BLOCK = 4096, BLOCKS = 65536 };

/* Block i begins with i. Made at the first call, for the whole process. */
static int file_fd(void)
{
	static int fd = -1;
	char name[] = "/var/tmp/rg-bench-XXXXXX";
	static uint64_t block[BLOCK / sizeof(uint64_t)];

	if (fd >= 0)
		return fd;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0 || unlink(name))
		bench_fail("file: no file in /var/tmp");
	for (block[0] = 0; block[0] < BLOCKS; block[0]++)
		if (write(fd, block, BLOCK) != BLOCK)
			bench_fail("file: cannot write 256 MiB");
	return fd;
}

struct reader {
	rg_waitgroup *done;
	ssize_t (*read)(int fd, void *buf, size_t n, off_t off);
	uint64_t seed;
	int64_t n;
};

static void reader(void *arg)
{
	struct reader *r = arg;
	uint64_t *buf = malloc(BLOCK), x = r->seed;
	int fd = file_fd();

	for (int64_t i = 0; buf && i < r->n; i++) {
		uint64_t at;

		x = x * 6364136223846793005u + 1442695040888963407u;
		at = x >> 48;
		if (r->read(fd, buf, BLOCK, (off_t)at * BLOCK) != BLOCK ||
		    *buf != at)
			bench_fail("file: block %d is wrong", (int)at);
	}
	free(buf);
	rg_waitgroup_done(r->done);
}

static void run(int readers, int64_t n,
		ssize_t (*read)(int, void *, size_t, off_t), double *out)
{
	rg_waitgroup done = {0};
	struct reader r = {&done, read, 0, n / readers};
	double cpu;

	file_fd();
	cpu = bench_cpu_seconds();
	rg_waitgroup_add(&done, readers);
	for (r.seed = 1; r.seed <= (uint64_t)readers; r.seed++)
		bench_go_copy(reader, &r, sizeof r);
	rg_waitgroup_wait(&done);
	out[0] = (bench_cpu_seconds() - cpu) * 1e9 / (double)n;
}

static void file_read(int64_t n, double *out)
{
	run(READERS, n, rg_pread, out);
}

static void file_bare(int64_t n, double *out)
{
	run(1, n, pread, out);
}

static const struct bench_row rows[] = {
	{.name = "file_read",
	 .n = 640000,
	 .figure = {{"file_read", "ns/op"}},
	 .once = file_read},
	{.name = "file_bare",
	 .n = 640000,
	 .figure = {{"file_bare", "ns/op"}},
	 .once = file_bare},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
