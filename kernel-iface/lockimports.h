/* SPDX-License-Identifier: MIT */
/*
 * lockimports - can an object's own code hold a lock that belongs to its thread?
 *
 * A goroutine that is switched away from in the midst of its instructions resumes on
 * the same thread only, and others run there meanwhile. If it holds what belongs to the
 * thread, or what only it can give back, the next one on the thread that wants it
 * gets it (a recursive mutex: no exclusion) or blocks the thread for good (any
 * other). No frame and no register tells that such a lock is held; but who takes
 * one calls a function that an object imports, and imports are seen:
 *
 *   mutexes         pthread_mutex_*lock, _rwlock_*, _spin_*, mtx_*lock, flockfile,
 *                   std::mutex (inlined to these), libc++'s, GLib's g_mutex_lock, and
 *                   what other libraries offer: a name with "mutex", or with "lock"
 *                   that is not part of "clock" or "block"
 *   waiting under   pthread_cond_*wait, cnd_*, and what stands for a lock as a count
 *   one             or a queue: sem_*, semop, pthread_barrier_wait, std::future
 *   once, guards    pthread_once, call_once, __cxa_guard_acquire: a function of the
 *                   user's runs while it is held, in frames that look like others
 *   OpenMP          all of GOMP_*, omp_*_lock and __kmpc_*: its teams are threads
 *   Python          PyGILState_Ensure, PyEval_*: the thread's interpreter lock
 *
 *   I1  a lock that the object takes by a function of these lists is found: an import
 *       that code uses has a relocation, whatever the symbol table's length. (It
 *       cannot be had from DT_GNU_HASH: an object that exports nothing has an empty one.)
 *   I2  what is found too much costs speed only: the thread is stopped instead.
 *
 * Not found: a lock made of atomics (a spinning waiter is preempted in its turn, so it
 * ends) or on syscall(SYS_futex), functions looked up by dlsym, lock functions with
 * other names. rg_preempt_disable is for these. Locks inside a library's function
 * do not matter: it is left by its return. fcntl is not counted: its usual locks belong
 * to the process and never block their owner, and most who call it want O_NONBLOCK.
 * Rejected: looking at the user's code for calls, as a hijack could hold at returns
 * from lock functions and count: recursion, try, conditions, C++ guards make each
 * function a case, and a count that is wrong once is a deadlock.
 */
#ifndef RGK_LOCKIMPORTS_H
#define RGK_LOCKIMPORTS_H

#include <link.h>
#include <stdbool.h>

/* lockimports_is_lock - by the name alone; rg_* never, they park. */
bool lockimports_is_lock(const char *name);

/*
 * lockimports_first - the first such symbol that the object takes from another one, as
 * in its own string table; NULL: none. Any thread; the object must stay loaded.
 */
const char *lockimports_first(const struct link_map *l);

#endif
