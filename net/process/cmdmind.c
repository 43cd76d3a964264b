// SPDX-License-Identifier: MIT
/*
 * cmdmind - the goroutines of a command: one a buffer, and the minder.
 *
 * They are the library's: the context that is bound to whoever starts the command is
 * bound to the minder while it waits for the child's end, and to nothing else.
 */
#include "net/process/command.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/io.h>
#include <ringgo/runtime.h>
#include <ringgo/timer.h>

#include "kernel-iface/op_wait.h"
#include "sched/fdesc.h"
#include "sched/opwait.h"
#include "sched/timer.h"

/* When a context has ended and nobody said how long: what a well-behaved child needs. */
#define DEFAULT_DELAY (5 * RG_SECOND)

static void unbind(void)
{
	rg_ctx *former = rg_ctx_bind(NULL);

	if (former)
		rg_ctx_unref(former);
}

/* ---- buffers ---- */

/* I4 */
static void end_stream(struct command_stream *s)
{
	rg_command *c = s->command;
	rg_chan *ends = c->ends;
	int fd = -1;

	rg_mutex_lock(&c->lock);
	if (!s->is_cut) {
		fd = s->our_end;
		s->our_end = -1;
	}
	rg_mutex_unlock(&c->lock);
	if (fd >= 0)
		rg_close(fd);
	/* The command may be gone when the send returns; it never parks. */
	rg_chan_send(ends, NULL);
	rg_chan_unref(ends);
}

/* What does not fit is read all the same: else the child would wait for room. */
static void drain(struct command_stream *s, int fd)
{
	char dropped[1024];

	while (rg_read(fd, dropped, sizeof dropped) > 0)
		s->is_truncated = true;
}

static void gather(void *arg)
{
	struct command_stream *s = arg;
	const rg_stdio *to =
		s->number == 1 ? &s->command->o.out : &s->command->o.err;
	int fd = s->our_end;
	ssize_t n = 1;

	unbind();
	while (n > 0 && s->len < to->size) {
		n = rg_read(fd, (char *)to->buf + s->len, to->size - s->len);
		if (n > 0)
			s->len += (size_t)n;
	}
	if (n > 0)
		drain(s, fd);
	end_stream(s);
}

static void feed(void *arg)
{
	struct command_stream *s = arg;
	const rg_stdio *from = &s->command->o.in;

	unbind();
	/* -EPIPE: the child does not want all of it. That is its affair. */
	(void)rg_write_full(s->our_end, from->data, from->size);
	end_stream(s);
}

static int serve_one(rg_command *c, int stream)
{
	const rg_go_options options = {.name = stream ? "command output"
						      : "command input"};
	int err;

	rg_chan_ref(c->ends);
	err = rg_go_with(&options, stream ? gather : feed, &c->streams[stream]);
	if (err)
		rg_chan_unref(c->ends);
	else
		c->nbuffers++;
	return err;
}

int command_serve(rg_command *c)
{
	const int how[STREAMS] = {c->o.in.how, c->o.out.how, c->o.err.how};
	int err = 0;

	for (int i = 0; i < STREAMS && !err; i++)
		if (how[i] == RG_STDIO_BUFFER)
			err = serve_one(c, i);
	return err;
}

/* What they have in flight is cancelled, what they try then is refused. */
static void cut_off(rg_command *c)
{
	rg_mutex_lock(&c->lock);
	for (int i = 0; i < STREAMS; i++) {
		struct command_stream *s = &c->streams[i];
		const rg_stdio *const all[] = {&c->o.in, &c->o.out, &c->o.err};

		if (all[i]->how != RG_STDIO_BUFFER || s->our_end < 0)
			continue;
		s->is_cut = true;
		fdesc_shutdown(s->our_end);
	}
	rg_mutex_unlock(&c->lock);
}

static void close_cut(rg_command *c)
{
	for (int i = 0; i < STREAMS; i++) {
		struct command_stream *s = &c->streams[i];

		if (!s->is_cut)
			continue;
		fdesc_reopen(s->our_end);
		command_close_all(&s->our_end, 1);
	}
}

bool command_settle(rg_command *c, rg_time deadline)
{
	rg_case one[] = {RG_RECV(c->ends, NULL)};
	bool is_cut = false;

	while (c->nbuffers > 0) {
		if (is_cut || rg_select_until(one, 1, deadline) == 0) {
			if (is_cut)
				rg_chan_recv(c->ends, NULL);
			c->nbuffers--;
			continue;
		}
		cut_off(c);
		is_cut = true;
	}
	close_cut(c);
	return is_cut;
}

/* ---- the minder ---- */

static int await_end(rg_command *c, rg_time deadline)
{
	struct op_sqe s;
	int ret;

	op_poll(&s, c->pidfd, POLLIN);
	ret = opwait_fd_until(c->pidfd, FD_READ, &s, deadline);
	return ret < 0 ? ret : 0;
}

static rg_time delay_from_now(const rg_command *c)
{
	rg_duration d = c->o.wait_delay ? c->o.wait_delay : DEFAULT_DELAY;

	return d == RG_FOREVER ? RG_FOREVER : timer_after(d);
}

/* The context has ended. */
static void terminate(rg_command *c)
{
	int sig = c->o.cancel_signal ? c->o.cancel_signal : SIGKILL;

	(void)rg_command_signal(c, sig);
	/* Without memory for a timer there is no delay. */
	if (sig != SIGKILL && await_end(c, delay_from_now(c)))
		(void)rg_command_signal(c, SIGKILL);
	(void)await_end(c, RG_FOREVER);
}

static void take_status(rg_command_result *r, const siginfo_t *info)
{
	bool has_exited = info->si_code == CLD_EXITED;

	r->exit_code = has_exited ? info->si_status : -1;
	r->signal = has_exited ? 0 : info->si_status;
	r->has_core = info->si_code == CLD_DUMPED;
}

/* 1: reaped, 0: not yet, negative errno: never. */
static int try_reap(rg_command *c)
{
	siginfo_t info;
	int ret;

	info.si_pid = 0;
	rg_mutex_lock(&c->lock);
	/* libc's waitid has no usage. */
	ret = syscall(SYS_waitid, P_PIDFD, c->pidfd, &info, WEXITED | WNOHANG,
		      &c->result.usage)
		      ? -errno
		      : info.si_pid != 0;
	if (ret)
		c->is_reaped = true;
	rg_mutex_unlock(&c->lock);
	if (ret > 0)
		take_status(&c->result, &info);
	return ret;
}

static void reap(rg_command *c)
{
	int ret;

	/* Its end was seen: only a tracer makes this wait. */
	while (!(ret = try_reap(c)))
		(void)rg_sleep(RG_MILLISECOND);
	if (ret < 0)
		c->outcome = ret;
	fdesc_close(c->pidfd);
	c->pidfd = -1;
}

static void publish(rg_command *c)
{
	rg_chan *done = rg_chan_ref(c->done);

	c->result.out_len = c->streams[1].len;
	c->result.err_len = c->streams[2].len;
	c->result.is_truncated =
		c->streams[1].is_truncated || c->streams[2].is_truncated;
	rg_chan_close(done);
	rg_chan_unref(done);
}

static void mind(void *arg)
{
	rg_command *c = arg;
	rg_time deadline;
	int err = await_end(c, RG_FOREVER);
	bool is_patient = !err && !c->o.wait_delay;

	unbind();
	if (err)
		terminate(c);
	c->outcome = err;
	reap(c);
	deadline = is_patient ? RG_FOREVER : delay_from_now(c);
	c->result.is_cut = command_settle(c, deadline);
	publish(c);
}

int command_mind(rg_command *c)
{
	const rg_go_options options = {.name = "command", .ctx = c->ctx};

	/* The only thing that could fail later for lack of memory. */
	if (!fdesc_get(c->pidfd))
		return -ENOMEM;
	return rg_go_with(&options, mind, c);
}
