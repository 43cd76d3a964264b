/* SPDX-License-Identifier: MIT */
/*
 * ringgo/process.h - child processes: waiting for them without stalling a worker.
 *
 * fork(2) and the runtime: a child that only calls exec(3) or _exit(2) is safe.
 */
#ifndef RINGGO_PROCESS_H
#define RINGGO_PROCESS_H

#include <ringgo/base.h>

#include <sys/wait.h>

RG_BEGIN_DECLS

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
 * Context: goroutine or foreign thread, a runtime running (else -ESRCH); parks unless
 * WNOHANG is given.
 */
RG_API int rg_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options);
#endif

RG_END_DECLS

#endif
