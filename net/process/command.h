/* SPDX-License-Identifier: MIT */
/*
 * command - what is behind rg_command, shared by its files: command.c (the public
 * face), cmdspawn.c (streams, posix_spawn), cmdmind.c (the goroutines).
 *
 *   I1  every descriptor made here is O_CLOEXEC from its birth; of a failed start
 *       nothing is left: no descriptor, no goroutine, no child.
 *   I2  a signal is sent while the child is certainly not reaped: through the pidfd, or
 *       to the group under the lock under which it is reaped.
 *   I3  the minder, one goroutine a child, reaps it, then ends the goroutines of the
 *       buffers, then closes `done`, which is the last that it does with the command.
 *   I4  our end of a buffer's pipe is closed by its goroutine, or, if that was cut
 *       off, by the minder once the goroutine has ended: no late read hits a reused
 *       number.
 */
#ifndef RG_NET_COMMAND_H
#define RG_NET_COMMAND_H

#include <ringgo/chan.h>
#include <ringgo/ctx.h>
#include <ringgo/process.h>
#include <ringgo/sync.h>

enum { STREAMS = 3 };

struct command_stream {
	rg_command *command;
	int number;  /* 0, 1, 2 */
	int our_end; /* -1: none. Of a buffer: under the lock */
	bool is_cut; /* under the lock */
	/* its goroutine, then whoever has seen its end */
	size_t len;
	bool is_truncated;
};

struct rg_command {
	/* const after rg_command_new */
	const char *path, *dir;
	char **argv, **env; /* env NULL: ours */
	rg_command_options o;

	/* the caller of rg_command_start, then const */
	_Atomic bool was_started;
	_Atomic bool is_running; /* the start succeeded; done will be closed */
	rg_ctx *ctx;             /* a reference */
	pid_t pid;
	struct command_stream streams[STREAMS];
	int nbuffers;  /* goroutines of buffers */
	rg_chan *ends; /* each sends to it once */
	rg_chan *done; /* closed by the minder */

	rg_mutex lock;
	bool is_reaped; /* under lock */
	int pidfd;      /* under lock, minder */

	/* the minder, then whoever has seen `done` closed */
	int outcome; /* of rg_command_wait */
	rg_command_result result;
};

/* ---- cmdspawn.c ---- */

/* command_check - the options make sense: 0 or -EINVAL. */
int command_check(const rg_command_options *o);

/* command_pipes - make the pipes: our ends into the streams, theirs into theirs[]
 * (-1: none). 0 or negative errno; then none are left. command_close_all - close
 * the n descriptors of fds that are not -1. */
int command_pipes(rg_command *c, int theirs[STREAMS]);
void command_close_all(int *fds, int n);

/* command_spawn - start the child, set pid and pidfd. theirs[] stay the caller's. 0,
 * or a negative errno, and there is no child. On a helper thread. */
int command_spawn(rg_command *c, const int theirs[STREAMS]);

/* command_kill_unminded - the child cannot be minded: end and reap it. */
void command_kill_unminded(rg_command *c);

/* ---- cmdmind.c ---- */

/* command_serve - start the goroutines of the buffers. 0 or negative errno: those that
 * were started are still there. */
int command_serve(rg_command *c);

/* command_settle - until they have ended, at the latest at deadline: then they are cut
 * off. True: they were. */
bool command_settle(rg_command *c, rg_time deadline);

/* command_mind - start the minder. 0 or negative errno. */
int command_mind(rg_command *c);

#endif
