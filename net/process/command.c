// SPDX-License-Identifier: MIT
/*
 * command - rg_command: the public face of child processes; see command.h.
 *
 * A start makes the pipes, the goroutines of the buffers, the child and the minder, in
 * this order: what can fail comes before the child as far as possible, and goroutines
 * of buffers whose child was never born end by themselves, because the other ends of
 * their pipes are closed.
 *
 * Callers: goroutines and foreign threads.
 */
#include "net/process/command.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/io.h>

#include "kernel-iface/alloc.h"
#include "sched/sched.h"

/* ---- life ---- */

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		rgk_free(list[i]);
	rgk_free(list);
}

static char **copy_list(const char *const *list)
{
	size_t n = count(list);
	char **copy = rgk_zalloc((n + 1) * sizeof *copy);

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = rgk_strdup(list[i]);
		if (copy[i])
			continue;
		free_list(copy);
		return NULL;
	}
	return copy;
}

static void destroy(rg_command *c)
{
	rg_chan_unref(c->ends);
	rg_chan_unref(c->done);
	rg_ctx_unref(c->ctx);
	rg_ctx_unref(c->o.ctx);
	free_list(c->argv);
	free_list(c->env);
	rgk_free((void *)(uintptr_t)c->path);
	rgk_free((void *)(uintptr_t)c->dir);
	rgk_free(c);
}

static bool copy_all(rg_command *c, const char *path, const char *const *argv)
{
	const char *const alone[] = {path, NULL};

	c->path = rgk_strdup(path);
	c->argv = copy_list(argv ? argv : alone);
	c->dir = c->o.dir ? rgk_strdup(c->o.dir) : NULL;
	c->env = c->o.env ? copy_list(c->o.env) : NULL;
	c->ends = rg_chan_make(0, STREAMS);
	c->done = rg_chan_make(0, 0);
	return c->path && c->argv && (!c->o.dir || c->dir) &&
	       (!c->o.env || c->env) && c->ends && c->done;
}

rg_command *rg_command_new(const char *path, const char *const *argv,
			   const rg_command_options *options)
{
	rg_command *c = rgk_zalloc(sizeof *c);

	if (!c)
		return NULL;
	if (options)
		c->o = *options;
	if (c->o.ctx)
		rg_ctx_ref(c->o.ctx);
	c->pidfd = -1;
	for (int i = 0; i < STREAMS; i++)
		c->streams[i] = (struct command_stream){
			.command = c, .number = i, .our_end = -1};
	if (copy_all(c, path, argv))
		return c;
	destroy(c);
	return NULL;
}

static bool has_minder(const rg_command *c)
{
	/* C1 acquire, pairs with C2: all that the start has set. */
	return atomic_load_explicit(&c->is_running, memory_order_acquire);
}

void rg_command_free(rg_command *c)
{
	if (!c)
		return;
	if (has_minder(c)) {
		(void)rg_command_kill(c); /* -ESRCH: has ended */
		rg_chan_recv(c->done, NULL);
	}
	for (int i = 0; i < STREAMS; i++)
		(void)rg_command_close_pipe(c, i);
	destroy(c);
}

/* ---- start ---- */

static void close_ours(rg_command *c)
{
	for (int i = 0; i < STREAMS; i++)
		command_close_all(&c->streams[i].our_end, 1);
}

static int start_child(rg_command *c)
{
	int theirs[STREAMS];
	int err = command_pipes(c, theirs);

	if (err)
		return err;
	err = command_serve(c);
	if (!err)
		err = command_spawn(c, theirs);
	command_close_all(theirs, STREAMS);
	if (!err) {
		err = command_mind(c);
		if (!err)
			return 0;
		command_kill_unminded(c);
	}
	/* Nobody holds the other ends, as a rule: a fork of the host's may, for
	 * the time until its exec. */
	(void)command_settle(c, RG_FOREVER);
	close_ours(c);
	return err;
}

int rg_command_start(rg_command *c)
{
	int err;

	if (!sched_is_on())
		return -ESRCH;
	err = command_check(&c->o);
	if (err)
		return err;
	/* Relaxed: elects; what follows is the winner's own. */
	if (atomic_exchange_explicit(&c->was_started, true,
				     memory_order_relaxed))
		return -EALREADY;
	c->ctx = rg_ctx_ref(c->o.ctx ? c->o.ctx : rg_ctx_current());
	err = rg_ctx_err(c->ctx);
	if (!err)
		err = start_child(c);
	/* C2 release, pairs with C1. */
	if (!err)
		atomic_store_explicit(&c->is_running, true,
				      memory_order_release);
	return err;
}

/* ---- wait ---- */

/* 0: the minder is done; or the error of a context that is not the start's. */
static int await_done(rg_command *c)
{
	rg_ctx *now = rg_ctx_current();
	rg_case either[] = {RG_RECV(c->done, NULL), RG_RECV(NULL, NULL)};

	if (now != c->ctx && rg_ctx_done(now))
		either[1] = (rg_case)RG_RECV(rg_ctx_done(now), NULL);
	if (rg_select(either, 2) == 0)
		return 0;
	return rg_ctx_err(now);
}

/* The minder is done. */
static int tell(const rg_command *c, rg_command_result *result)
{
	if (result && c->outcome != -ECHILD)
		*result = c->result;
	return c->outcome;
}

int rg_command_wait(rg_command *c, rg_command_result *result)
{
	int err;

	if (!has_minder(c))
		return -EINVAL;
	err = await_done(c);
	return err ? err : tell(c, result);
}

int rg_command_run(rg_command *c, rg_command_result *result)
{
	int err = rg_command_start(c), outcome;

	if (err)
		return err;
	err = await_done(c);
	if (err) {
		(void)rg_command_kill(c); /* -ESRCH: has ended */
		rg_chan_recv(c->done, NULL);
	}
	outcome = tell(c, result);
	return err ? err : outcome;
}

ssize_t rg_command_output(rg_command *c, void *buf, size_t n,
			  rg_command_result *result)
{
	rg_command_result r = {0};
	int err;

	if (c->o.out.how != RG_STDIO_NULL)
		return -EINVAL;
	c->o.out = (rg_stdio){.how = RG_STDIO_BUFFER, .buf = buf, .size = n};
	err = rg_command_run(c, &r);
	if (result)
		*result = r;
	return err ? err : (ssize_t)r.out_len;
}

/* ---- the rest ---- */

/* I2 */
static int signal_locked(const rg_command *c, int sig)
{
	long ret;

	if (c->is_reaped)
		return -ESRCH;
	if (c->o.flags & (RG_COMMAND_GROUP | RG_COMMAND_SESSION))
		ret = kill(-c->pid, sig);
	else
		ret = syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
	return ret ? -errno : 0;
}

int rg_command_signal(rg_command *c, int sig)
{
	int err;

	if (c->pid <= 0)
		return -ESRCH;
	rg_mutex_lock(&c->lock);
	err = signal_locked(c, sig);
	rg_mutex_unlock(&c->lock);
	return err;
}

int rg_command_kill(rg_command *c)
{
	return rg_command_signal(c, SIGKILL);
}

pid_t rg_command_pid(const rg_command *c)
{
	return c->pid;
}

static bool is_pipe(const rg_command *c, int stream)
{
	const int how[STREAMS] = {c->o.in.how, c->o.out.how, c->o.err.how};

	return stream >= 0 && stream < STREAMS && how[stream] == RG_STDIO_PIPE;
}

int rg_command_pipe(const rg_command *c, int stream)
{
	if (!is_pipe(c, stream) || c->streams[stream].our_end < 0)
		return -EBADF;
	return c->streams[stream].our_end;
}

int rg_command_close_pipe(rg_command *c, int stream)
{
	int fd = rg_command_pipe(c, stream);

	if (fd < 0)
		return fd;
	c->streams[stream].our_end = -1;
	return rg_close(fd);
}
