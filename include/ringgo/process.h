/* SPDX-License-Identifier: MIT */
/*
 * ringgo/process.h - child processes: starting, feeding, waiting, ending them.
 *
 *	rg_command *c = rg_command_new("sort", NULL, NULL);
 *
 * A command is one child process with its arguments, folder, environment and three
 * streams, as Go's os/exec has it. It is started once. A goroutine of the library
 * waits for its end from the start on, so that no zombie is left whatever the owner
 * does; others feed its input and gather its output, so that full pipes stop nobody.
 * When the context that was given or bound at the start ends, so does the child.
 *
 * The child starts with no signal blocked, SIGPIPE as by default, and without any
 * descriptor of ours but its three streams.
 *
 * fork(2) while a runtime runs: the child may call exec(3), _exit(2) and what waits for
 * nobody (rg_now, rg_chan_try_send, ...). A call that needs the runtime ends it with
 * "ringgo: panic: the runtime does not survive fork: use rg_command or exec", and so
 * does returning from its goroutine. system(3), popen(3) and posix_spawn(3) are safe
 * but block the worker they are called on: use rg_blocking. SIGPIPE is ignored in what
 * such a child executes unless it resets that.
 */
#ifndef RINGGO_PROCESS_H
#define RINGGO_PROCESS_H

#include <ringgo/base.h>

#include <sys/resource.h>
#include <sys/wait.h>

RG_BEGIN_DECLS

typedef struct rg_command rg_command;

/* rg_stdio.how: where a stream of the child comes from or goes to. */
#define RG_STDIO_NULL    0 /* /dev/null */
#define RG_STDIO_INHERIT 1 /* our own stream of the same number */
#define RG_STDIO_FD      2 /* fd, which stays ours; lent until the start returned */
#define RG_STDIO_PIPE    3 /* a pipe; rg_command_pipe is our end */
#define RG_STDIO_BUFFER                                                        \
	4 /* in: the child reads data; out, err: gathered in buf */
#define RG_STDIO_SAME 5 /* err only: where out goes */

typedef struct rg_stdio {
	int how;
	int fd;
	const void *data; /* both lent until the child's end was waited for */
	void *buf;
	size_t size; /* bytes of data, or of room in buf */
} rg_stdio;

/* rg_command_options.flags */
#define RG_COMMAND_GROUP                                                       \
	1u /* a process group of its own, which gets the signals */
#define RG_COMMAND_SESSION                                                     \
	2u /* a session of its own: no terminal; implies GROUP */
#define RG_COMMAND_KEEP_FDS                                                    \
	4u /* descriptors without FD_CLOEXEC stay open in it */

typedef struct rg_command_options {
	const char *dir;        /* NULL: ours */
	const char *const *env; /* "NAME=value", ..., NULL; NULL: ours */
	rg_stdio in, out, err;
	rg_ctx *ctx; /* NULL: the one bound at the start */
	/* What the child gets when the context ends. 0: SIGKILL. Another one is
	 * followed by SIGKILL after wait_delay. */
	int cancel_signal;
	/*
	 * That, and how long after the child's end its pipes are still served when
	 * somebody else holds them (a grandchild). 0: 5 seconds when the context
	 * ended, no limit when the child ended by itself. RG_FOREVER: no limit.
	 */
	rg_duration wait_delay;
	unsigned flags;
	uint64_t reserved_[4]; /* zero */
} rg_command_options;

typedef struct rg_command_result {
	int exit_code; /* 0 to 255; -1: a signal ended it */
	int signal;    /* that signal; 0: it exited */
	bool has_core; /* dumped */
	bool is_truncated; /* more output than room: the rest was read and dropped */
	bool is_cut;       /* pipes were given up after wait_delay */
	size_t out_len, err_len; /* bytes in the buffers */
	struct rusage
		usage; /* the child's, and of its own waited-for children */
} rg_command_result;

/*
 * rg_command_new - describe a child. path without a '/' is looked for in $PATH; argv,
 * ending with NULL, begins with the program's name (NULL: path alone). Everything is
 * copied but the buffers; ctx is referenced. options NULL: all zero. NULL: no memory.
 * rg_command_free - a child that still runs is killed and waited for; pipes are
 * closed. c may be NULL. Nobody else uses c any more. Parks; heeds no context. A
 * command that was started is freed before the runtime ends.
 */
RG_API rg_command *rg_command_new(const char *path, const char *const *argv,
				  const rg_command_options *options);
RG_API void rg_command_free(rg_command *c);

/*
 * rg_command_start - start it. 0; what exec(3) or chdir(2) said (-ENOENT, -EACCES,
 * ...); -EMFILE, -EAGAIN, -ENOMEM; -EINVAL: options; the context's error, when it had
 * ended; -EALREADY: was started before; -ESRCH: no runtime. After a failure there is
 * neither child nor pipe. Parks: the work is done on a helper thread.
 */
RG_API int rg_command_start(rg_command *c);

/*
 * rg_command_wait - until the child has ended and its buffers are filled. 0, whatever
 * its exit code; -ECANCELED or -ETIMEDOUT: the context of the start ended it. In both
 * cases *result (may be NULL) is filled. Anybody may wait, again and again.
 * -EINVAL: not started. -ECHILD: somebody else took the status (SIGCHLD ignored).
 * When a context is bound that is not that of the start and ends, its error at once:
 * the child goes on then, and *result is untouched.
 */
RG_API int rg_command_wait(rg_command *c, rg_command_result *result);

/* rg_command_run - start and wait; but any context's end ends the child, and the
 * buffers are the caller's again when it returns. */
RG_API int rg_command_run(rg_command *c, rg_command_result *result);

/* rg_command_output - run with out gathered in buf (n bytes of room); how many bytes
 * there are, or a negative errno as of run. More output than room is no error:
 * result->is_truncated. *result (may be NULL) is zeroed where run would not fill it.
 * -EINVAL: options.out.how is not RG_STDIO_NULL. */
RG_API ssize_t rg_command_output(rg_command *c, void *buf, size_t n,
				 rg_command_result *result);

/*
 * rg_command_signal - send sig to the child (or its group); rg_command_kill: SIGKILL.
 * 0; -ESRCH: not running; -EPERM: it became somebody else; -EINVAL: no such signal. It
 * never reaches another process that got the same number. May park, shortly.
 */
RG_API int rg_command_signal(rg_command *c, int sig);
RG_API int rg_command_kill(rg_command *c);

RG_API pid_t rg_command_pid(const rg_command *c); /* 0: was not started */

/*
 * rg_command_pipe - our end of stream 0, 1 or 2, which must be RG_STDIO_PIPE: for
 * rg_write (0) or rg_read; -EBADF: none. It stays the command's.
 * rg_command_close_pipe - close it early: for stream 0 that is the end of the child's
 * input. 0 or -EBADF. Parks.
 */
RG_API int rg_command_pipe(const rg_command *c, int stream);
RG_API int rg_command_close_pipe(rg_command *c, int stream);

/* Where waitid(2) itself is declared: not with -std=c11 alone. */
#if defined(_POSIX_C_SOURCE) && _POSIX_C_SOURCE >= 200809L
/*
 * rg_waitid - waitid(2): wait for a child's end (WEXITED), stop (WSTOPPED) or going on
 * (WCONTINUED). *info may be NULL. Returns 0, or -ECHILD, -EINVAL, -EFAULT, ...; with
 * WNOHANG also 0 when there is nothing yet: info->si_pid is 0 then. When the bound
 * context ends, its error: no child's status is lost by that. -EINVAL also for
 * __WNOTHREAD: a goroutine's thread is nobody's parent.
 * Before Linux 6.7, and for P_PIDFD, the end of one child is waited for through a
 * pidfd; anything else is then looked for at intervals of 1 to 32 ms.
 * P_ALL takes the children of commands, too: better not beside them.
 * Context: goroutine or foreign thread, a runtime running (else -ESRCH); parks unless
 * WNOHANG is given.
 */
RG_API int rg_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options);
#endif

RG_END_DECLS

#endif
