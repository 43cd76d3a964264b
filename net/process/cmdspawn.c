// SPDX-License-Identifier: MIT
/*
 * cmdspawn - the birth of a command's child: pipes, then posix_spawn on a helper thread.
 *
 * posix_spawn stops the calling thread until the child has called exec, which reads a
 * file: a millisecond and more, too long for a worker. It shares our memory until then
 * (no copy of page tables, no atfork handlers), so nothing of the runtime runs in the
 * child.
 *   S1  what becomes a stream of the child has a number >= 3 here: putting one in place
 *       never overwrites the source of another.
 *   S2  the pidfd is opened before anybody could reap the child; the host's waitpid(-1)
 *       and an ignored SIGCHLD aside, which end in -ECHILD.
 */
#include "net/process/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/runtime.h>

static const rg_stdio *stdio_of(const rg_command *c, int stream)
{
	const rg_stdio *const all[STREAMS] = {&c->o.in, &c->o.out, &c->o.err};

	return all[stream];
}

static bool is_good(const rg_stdio *s, int stream)
{
	switch (s->how) {
	case RG_STDIO_NULL:
	case RG_STDIO_INHERIT:
	case RG_STDIO_PIPE:
		return true;
	case RG_STDIO_FD:
		return s->fd >= 0;
	case RG_STDIO_BUFFER:
		return s->size == 0 || (stream ? s->buf : s->data);
	case RG_STDIO_SAME:
		return stream == 2;
	default:
		return false;
	}
}

int command_check(const rg_command_options *o)
{
	const unsigned known =
		RG_COMMAND_GROUP | RG_COMMAND_SESSION | RG_COMMAND_KEEP_FDS;

	if (!is_good(&o->in, 0) || !is_good(&o->out, 1) || !is_good(&o->err, 2))
		return -EINVAL;
	if (o->cancel_signal < 0 || o->cancel_signal >= NSIG ||
	    o->wait_delay < 0 || o->flags & ~known)
		return -EINVAL;
	return 0;
}

/* ---- pipes ---- */

void command_close_all(int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* S1: another number, if need be; *fd stays open for the caller to close. */
static int lift(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, STREAMS);

	return high < 0 ? -errno : high;
}

static int make_pipe(int stream, int *ours, int *theirs)
{
	int p[2], high;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	*theirs = p[stream ? 1 : 0];
	*ours = p[stream ? 0 : 1];
	if (*theirs >= STREAMS)
		return 0;
	high = lift(*theirs);
	close(*theirs);
	*theirs = high;
	if (high >= 0)
		return 0;
	close(*ours);
	*ours = *theirs = -1;
	return high;
}

static int make_stream(rg_command *c, int stream, int *theirs)
{
	const rg_stdio *s = stdio_of(c, stream);
	int fd;

	switch (s->how) {
	case RG_STDIO_FD:
		fd = lift(s->fd);
		if (fd < 0)
			return fd;
		*theirs = fd;
		return 0;
	case RG_STDIO_PIPE:
	case RG_STDIO_BUFFER:
		return make_pipe(stream, &c->streams[stream].our_end, theirs);
	default:
		return 0;
	}
}

int command_pipes(rg_command *c, int theirs[STREAMS])
{
	int err = 0;

	for (int i = 0; i < STREAMS; i++)
		theirs[i] = -1;
	for (int i = 0; i < STREAMS && !err; i++)
		err = make_stream(c, i, &theirs[i]);
	if (!err)
		return 0;
	command_close_all(theirs, STREAMS);
	for (int i = 0; i < STREAMS; i++)
		command_close_all(&c->streams[i].our_end, 1);
	return err;
}

/* ---- the child ---- */

struct birth {
	rg_command *c;
	const int *theirs;
	int err;
};

/* A positive errno, as all of posix_spawn's family. */
static int place_stream(posix_spawn_file_actions_t *fa, int stream, int how,
			int from)
{
	switch (how) {
	case RG_STDIO_INHERIT:
		return 0;
	case RG_STDIO_NULL:
		return posix_spawn_file_actions_addopen(
			fa, stream, "/dev/null", stream ? O_WRONLY : O_RDONLY,
			0);
	case RG_STDIO_SAME:
		return posix_spawn_file_actions_adddup2(fa, 1, 2);
	default:
		return posix_spawn_file_actions_adddup2(fa, from, stream);
	}
}

static int place_all(const struct birth *b, posix_spawn_file_actions_t *fa)
{
	const rg_command *c = b->c;
	int err = 0;

	for (int i = 0; i < STREAMS && !err; i++)
		err = place_stream(fa, i, stdio_of(c, i)->how, b->theirs[i]);
	if (!err && !(c->o.flags & RG_COMMAND_KEEP_FDS))
		err = posix_spawn_file_actions_addclosefrom_np(fa, STREAMS);
	if (!err && c->dir)
		err = posix_spawn_file_actions_addchdir_np(fa, c->dir);
	return err;
}

static int set_attributes(posix_spawnattr_t *at, unsigned flags)
{
	short what = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, defaults;

	/* The helper's thread has everything blocked, the runtime ignores
	 * SIGPIPE. Handlers do not survive exec. */
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	if (flags & RG_COMMAND_SESSION)
		what |= POSIX_SPAWN_SETSID;
	else if (flags & RG_COMMAND_GROUP)
		what |= POSIX_SPAWN_SETPGROUP; /* 0, by default: its own id */
	/* These two cannot fail with valid sets. */
	posix_spawnattr_setsigmask(at, &none);
	posix_spawnattr_setsigdefault(at, &defaults);
	return posix_spawnattr_setflags(at, what);
}

static void reap_blocking(rg_command *c)
{
	siginfo_t info;

	kill(c->pid, SIGKILL);
	/* ECHILD: somebody else did it. */
	while (waitid(P_PID, (id_t)c->pid, &info, WEXITED) && errno == EINTR)
		;
	c->pid = 0;
}

/* S2 */
static int open_pidfd(rg_command *c)
{
	int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	int err = errno;

	if (fd >= 0) {
		c->pidfd = fd;
		return 0;
	}
	reap_blocking(c);
	return err == ESRCH ? ECHILD : err;
}

static int spawn_with(struct birth *b, posix_spawn_file_actions_t *fa)
{
	rg_command *c = b->c;
	posix_spawnattr_t at;
	int err = posix_spawnattr_init(&at);

	if (err)
		return err;
	err = set_attributes(&at, c->o.flags);
	if (!err)
		err = posix_spawnp(&c->pid, c->path, fa, &at, c->argv,
				   c->env ? c->env : environ);
	posix_spawnattr_destroy(&at);
	if (err)
		c->pid = 0;
	return err ? err : open_pidfd(c);
}

static void *be_born(void *arg)
{
	struct birth *b = arg;
	posix_spawn_file_actions_t fa;

	b->err = posix_spawn_file_actions_init(&fa);
	if (b->err)
		return NULL;
	b->err = place_all(b, &fa);
	if (!b->err)
		b->err = spawn_with(b, &fa);
	posix_spawn_file_actions_destroy(&fa);
	return NULL;
}

int command_spawn(rg_command *c, const int theirs[STREAMS])
{
	struct birth b = {.c = c, .theirs = theirs};

	rg_blocking(be_born, &b);
	return -b.err;
}

static void *reap_on_helper(void *arg)
{
	reap_blocking(arg);
	return NULL;
}

void command_kill_unminded(rg_command *c)
{
	rg_blocking(reap_on_helper, c);
	command_close_all(&c->pidfd, 1);
}
