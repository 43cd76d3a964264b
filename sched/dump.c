// SPDX-License-Identifier: MIT
/*
 * dump - see dump.h for the forms and the invariants; dumpgroup.c for debug 1.
 *
 * A goroutine with little stack left has the work done by another one: the symbols
 * need 8 KiB.
 */
#include "sched/dump.h"

#include <ringgo/runtime.h>

#include <errno.h>
#include <sys/mman.h>

#include "kernel-iface/op_file.h"
#include "sched/opwait.h"
#include "sched/sched.h"
#include "sched/seed.h"

enum { TEXT_SIZE = 256 * 1024, STACK_NEEDED = 20 * 1024 };

struct job {
	int fd;
	dump_body *body;
	void *arg;
	int result;
	struct g *waiter;   /* for whom another goroutine does it */
	struct rtlock lock; /* until the waiter is parked */
};

/* I2. opwait finishes or fails; a short write is gone on with. */
static int write_all(struct textbuf *b, const char *p, size_t n)
{
	while (n) {
		struct op_sqe sqe;
		int done;

		op_write(&sqe, b->fd, p, n, OP_OFF_CURRENT);
		done = opwait_fd_again(b->fd, FD_WRITE, &sqe);
		if (done < 0)
			return done;
		if (done == 0)
			return -EIO;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* The dump is wanted the more when the caller's context has ended. */
static int write_parked(struct textbuf *b, const char *p, size_t n)
{
	struct g *gp = getg();
	struct cancel_token *token = gp->token;
	int err;

	gp->token = NULL;
	err = write_all(b, p, n);
	gp->token = token;
	return err;
}

/* Of the caller nothing but the top changes; it is taken anew each time. */
static void take_self_stack(struct dump *d)
{
	d->self_stack.n = (uint16_t)coro_backtrace_self(d->self_stack.pcs,
							FREEZE_FRAMES, 0);
	d->self_stack.is_cut = d->self_stack.n == FREEZE_FRAMES;
	d->walk.self_stack = &d->self_stack;
}

bool dump_next(struct dump *d)
{
	take_self_stack(d);
	if (!freeze_world())
		return false;
	d->text.now = sched_now();
	d->n = gsnap_next(&d->walk, d->portion, DUMP_PORTION);
	freeze_thaw();
	return d->n > 0;
}

/* The caller comes first, as in Go. */
static void print_self(struct dump *d)
{
	take_self_stack(d);
	d->walk.skips_self = true;
	if (!freeze_world())
		return;
	d->text.now = sched_now();
	gsnap_take(d->walk.self, &d->self_stack, d->portion);
	freeze_thaw();
	dumptext_goroutine(&d->text, d->portion);
}

static int print_all(struct dump *d, void *arg)
{
	(void)arg;
	if (d->walk.self)
		print_self(d);
	while (!d->buf.err && dump_next(d))
		for (size_t i = 0; i < d->n; i++)
			dumptext_goroutine(&d->text, &d->portion[i]);
	if (sched.hooks.dump_end)
		sched.hooks.dump_end(&d->text);
	return textbuf_flush(&d->buf);
}

static int dump_with(struct dump *d, char *mem, const struct job *job)
{
	int err;

	d->portion = (struct gsnap *)(void *)(mem + TEXT_SIZE);
	textbuf_init(&d->buf, mem, TEXT_SIZE, job->fd,
		     is_goroutine() ? write_parked : textbuf_write_fd);
	d->text = (struct dumptext){.b = &d->buf, .symbols = symbolize_open()};
	d->walk = (struct gsnap_walk){.self = is_goroutine() ? getg() : NULL};
	err = job->body(d, job->arg);
	symbolize_close(d->text.symbols);
	return err;
}

static int dump_here(const struct job *job)
{
	size_t len = TEXT_SIZE + DUMP_PORTION * sizeof(struct gsnap) +
		     sizeof(struct dump);
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (mem == MAP_FAILED)
		return -ENOMEM;
	err = dump_with(
		(struct dump *)(void *)(mem + len - sizeof(struct dump)), mem,
		job);
	munmap(mem, len);
	return err;
}

static void dump_for(void *arg)
{
	struct job *job = arg;

	job->result = dump_here(job);
	rtlock_lock(&job->lock);
	rtlock_unlock(&job->lock);
	sched_ready(job->waiter);
}

/* The goroutine that asks is shown as waiting, with its stack. */
static int dump_elsewhere(struct job *job)
{
	struct sched_go_args args = {.fn = dump_for,
				     .arg = job,
				     .name = "dump",
				     .kind = G_SYSTEM,
				     .stack_size = 46 * 1024};
	int err;

	job->waiter = getg();
	rtlock_lock(&job->lock);
	err = sched_go(&args);
	if (err) {
		rtlock_unlock(&job->lock);
		return err;
	}
	sched_park_unlock(&job->lock, WAIT_IO, job);
	return job->result;
}

static bool has_room(void)
{
	char here;
	struct g *gp = getg();

	return !is_goroutine() || &here - gp->stack_lo >= STACK_NEEDED;
}

static int dump_job(struct job *job)
{
	return has_room() ? dump_here(job) : dump_elsewhere(job);
}

int dump_run(int fd, dump_body *body, void *arg)
{
	struct job job = {.fd = fd, .body = body, .arg = arg};

	return dump_job(&job);
}

/* Not through dump_run: that call could leave no frame of rg_dump, which is where
 * the caller's own stack begins. */
int rg_dump(int fd, int debug)
{
	struct job job = {.fd = fd,
			  .body = debug >= 2 ? print_all : dump_grouped};

	if (fd < 0)
		return -EBADF;
	if (debug < 0)
		return -EINVAL;
	if (!sched_is_on())
		return -ESRCH;
	return dump_job(&job);
}
