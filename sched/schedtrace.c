// SPDX-License-Identifier: MIT
/*
 * schedtrace - see schedtrace.h.
 */
#include "sched/schedtrace.h"

#include <unistd.h>

#include "sched/debugenv.h"
#include "sched/sched.h"
#include "sched/textbuf.h"

static rg_time begun, next;

static void field(struct textbuf *b, const char *name, int64_t n)
{
	textbuf_str(b, name);
	textbuf_dec(b, (uint64_t)(n > 0 ? n : 0));
}

/* Relaxed, all of them: numbers by themselves. */
static void write_line(rg_time now)
{
	char text[512];
	struct textbuf b;
	struct p *pp;

	textbuf_init(&b, text, sizeof text, STDERR_FILENO, textbuf_write_fd);
	field(&b, "SCHED ", (now - begun) / RG_MILLISECOND);
	field(&b, "ms: gomaxprocs=", sched_nprocs());
	field(&b, " idleprocs=",
	      atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed));
	field(&b, " threads=", sched_nps());
	field(&b, " spinningthreads=",
	      atomic_load_explicit(&sched.nspinning, memory_order_relaxed));
	field(&b, " runqueue=",
	      atomic_load_explicit(&sched.global_len, memory_order_relaxed));
	textbuf_str(&b, " [");
	sched_for_each_p(pp) {
		field(&b, pp->id ? " " : "", runq_len(&pp->runq));
	}
	textbuf_str(&b, "]\n");
	textbuf_flush(&b);
}

rg_duration schedtrace_round(rg_time now)
{
	rg_duration period = debugenv.schedtrace * RG_MILLISECOND;

	if (!period)
		return RG_FOREVER;
	/* The first round of this runtime, or of the next one. */
	if (!begun || next - now > period) {
		begun = now;
		next = now;
	}
	if (now >= next) {
		write_line(now);
		next = now + period;
	}
	return next - now;
}
