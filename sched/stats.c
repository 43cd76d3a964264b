// SPDX-License-Identifier: MIT
/*
 * stats - the runtime's counters, summed over Ps and Ms when asked for.
 *
 * Counters live where they are written, without locked instructions; a snapshot may
 * be torn by a few events.
 */
#include <ringgo/runtime.h>

#include <string.h>

#include "kernel-iface/opthread.h"
#include "kernel-iface/probe.h"
#include "sched/blocking.h"
#include "sched/interrupt.h"
#include "sched/sched.h"
#include "sched/trim.h"

static int64_t get(const _Atomic uint64_t *counter)
{
	return (int64_t)atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_ps(rg_stats *s)
{
	struct p *pp;

	sched_for_each_p(pp) {
		s->goroutines_created += get(&pp->created);
		s->steals += get(&pp->steals);
		s->switches += atomic_load_explicit(&pp->schedtick,
						    memory_order_relaxed);
		s->run_queue += runq_len(&pp->runq);
	}
	s->goroutines_created += atomic_load_explicit(&sched.foreign_created,
						      memory_order_relaxed);
	s->run_queue +=
		atomic_load_explicit(&sched.global_len, memory_order_relaxed);
}

static void add_rings(rg_stats *s)
{
	struct m *mp;

	sched_for_each_m(mp)
	{
		/* Relaxed: a look. */
		s->threads += !atomic_load_explicit(&mp->is_gone,
						    memory_order_relaxed);
		s->wakeups += atomic_load_explicit(&mp->wakeups,
						   memory_order_relaxed);
		s->ring_enters += get(&mp->ring.enters);
		s->ring_sqes += get(&mp->ring.sqes);
		s->ring_cqes += get(&mp->ring.cqes);
		s->ring_inflight += ring_inflight(&mp->ring);
		s->ring_overflows += (int64_t)mp->ring.overflows;
		s->ring_sq_full += (int64_t)mp->ring.sq_full;
		s->ring_late_cqes += (int64_t)mp->ring.late_cqes;
		s->ring_cancels += (int64_t)mp->ring.cancels;
	}
}

static void add_stacks(rg_stats *s)
{
	struct p *pp;

	for (unsigned c = 0; c < STACK_CLASSES; c++) {
		int64_t n = (int64_t)stack_slot_count(&sched.stacks[c]);

		s->stacks += n;
		s->stack_bytes_reserved += n * (int64_t)stack_slot_size(c);
		s->stacks_free += sched.gfree_len[c];
		s->stacks_free += (int64_t)stack_vacant_count(&sched.stacks[c]);
	}
	sched_for_each_p(pp) {
		s->stacks_free += pp->gfree_len;
	}
}

int rg_stats_read(rg_stats *out, size_t size)
{
	rg_stats s = {0};

	if (!size || size % sizeof(int64_t))
		return -EINVAL;
	if (!sched_is_on())
		return -ESRCH;
	s.goroutines = rg_num_goroutine();
	s.procs = sched_nprocs();
	s.procs_idle =
		atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed);
	s.timers = timer_count();
	s.blocking_threads = blocking_threads();
	s.blocking_queued = blocking_queued();
	s.tokens_taken = (int64_t)get(&sched.tokens_taken);
	s.preempted = (int64_t)(interrupt_count(INTERRUPT_SWITCHED) +
				interrupt_count(INTERRUPT_HIJACKED));
	s.suspended = (int64_t)interrupt_count(INTERRUPT_SUSPENDED);
	s.kicks = (int64_t)interrupt_count(INTERRUPT_KICKED);
	s.preempt_refused = (int64_t)(interrupt_refused(SAFEPOINT_RUNTIME) +
				      interrupt_count(INTERRUPT_DISABLED) +
				      interrupt_count(INTERRUPT_NO_PAIR));
	s.ring_epoll = probe_engine() == PROBE_EPOLL;
	s.ring_threads = opthread_count();
	add_ps(&s);
	add_rings(&s);
	add_stacks(&s);
	s.stack_bytes_given_back = trim_bytes();
	/* A newer caller's further fields read as zero. */
	memset(out, 0, size);
	memcpy(out, &s, size < sizeof s ? size : sizeof s);
	return 0;
}
