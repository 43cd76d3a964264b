// SPDX-License-Identifier: MIT
/*
 * panic - see panic.h for the forms and the invariants.
 *
 * rg_panic leaves the stack that it was called on, which may have little room, for
 * one of its own, as if it were a coroutine: the panicking flow is then a stopped
 * one, and is walked like any other. In signal handlers the report runs on the signal
 * stack: to leave that one would let the next signal overwrite it.
 *
 * All memory is static: there is one report (I1).
 */
#include "sched/panic.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/forked.h"
#include "kernel-iface/probe.h"
#include "sched/dumptext.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/sigframe.h"

enum { SIDE_STACK = 128 * 1024, WHAT_MAX = 1024, DEEP = 50 };

static _Atomic int reporter;  /* tid; 0: nobody */
static const char *reporting; /* the report's first words, for a second fault */

static struct {
	char text[4096];
	char what[WHAT_MAX];
	struct textbuf b;
	struct dumptext d;
	struct gsnap self, other;
	struct freeze_stack stack, bottom;
	size_t depth;             /* frames of an overflown stack */
	struct coro caller, side; /* rg_panic */
	const char *fmt;
	va_list ap;
	bool has_frozen;
} report;

static char side_stack[SIDE_STACK] __attribute__((aligned(4096)));

static int self_tid(void)
{
	return (int)syscall(SYS_gettid);
}

static void say(const char *text)
{
	/* Nothing can be done about a stderr that does not take it. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

/* Not abort: it may be what we are inside of. */
RG_COLD static void die_at_once(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t set;

	say("ringgo: panic: ");
	say(reporting);
	say(" (a second fault ended the report)\n");
	sigaction(SIGABRT, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGABRT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGABRT);
	_exit(134);
}

/* I1, I2. Returns for the one who may report. */
static void claim(const char *what)
{
	const struct timespec nap = {0, 10 * RG_MILLISECOND};
	int none = 0, self = self_tid();

	/* R1 acquire, pairs with R2: the memory of a report that ended. */
	while (!atomic_compare_exchange_strong_explicit(&reporter, &none, self,
							memory_order_acquire,
							memory_order_relaxed)) {
		if (none == self)
			die_at_once();
		none = 0;
		nanosleep(&nap, NULL);
	}
	reporting = what;
}

static void unclaim(void)
{
	/* R2 release, pairs with R1. */
	atomic_store_explicit(&reporter, 0, memory_order_release);
}

/* ---- the parts of a report ---- */

static void open_symbols(void *arg)
{
	struct dumptext *d = arg;

	d->symbols = symbolize_open();
}

static void begin(void)
{
	/* The threads of a forked child are its parent's: nobody answers. */
	report.has_frozen = !forked_is_child && freeze_world();
	textbuf_init(&report.b, report.text, sizeof report.text, STDERR_FILENO,
		     textbuf_write_fd);
	report.d = (struct dumptext){.b = &report.b, .now = sched_now()};
}

/* Once the most important words are out. */
static void load_symbols(void)
{
	textbuf_flush(&report.b);
	if (!freeze_guarded(open_symbols, &report.d))
		report.d.symbols = NULL;
}

static void thaw(void)
{
	if (report.has_frozen)
		freeze_thaw();
}

/* The panicking goroutine, or what stands for it on other stacks. */
static void take_self(struct g *gp)
{
	struct m *mp = getm();

	if (gp) {
		gsnap_take(gp, &report.stack, &report.self);
		report.self.state = G_RUNNING;
		return;
	}
	memset(&report.self, 0, sizeof report.self);
	report.self.state = G_RUNNING;
	report.self.kind = mp ? G_ZERO : G_FOREIGN;
	report.self.stack = report.stack;
}

static void print_who(void)
{
	struct textbuf *b = &report.b;
	struct m *mp = getm();

	textbuf_str(b, " [");
	if (report.self.goid) {
		dumptext_who(&report.d, &report.self);
	} else if (mp) {
		textbuf_str(b, "scheduler, worker ");
		textbuf_dec(b, mp->id);
	} else {
		textbuf_str(b, "no goroutine, thread ");
		textbuf_dec(b, (uint64_t)self_tid());
	}
	textbuf_str(b, "]\n");
	seed_print(b);
}

static void print_first_line(const char *what)
{
	textbuf_str(&report.b, "ringgo: panic: ");
	textbuf_str(&report.b, what);
	load_symbols();
	print_who();
}

static void print_others(struct g *self)
{
	struct gsnap_walk walk = {.self = self, .skips_self = true};

	if (forked_is_child)
		return; /* no other goroutine is here */
	while (gsnap_next(&walk, &report.other, 1))
		dumptext_goroutine(&report.d, &report.other);
	textbuf_flush(&report.b);
}

static void print_goroutines(struct g *self)
{
	textbuf_char(&report.b, '\n');
	dumptext_goroutine(&report.d, &report.self);
	textbuf_flush(&report.b);
	print_others(self);
}

/*
 * Where the signal kills, the world stays frozen: a core shows what was printed. A
 * handler of the host's may need what a frozen thread holds.
 */
RG_NORETURN static void finish(void)
{
	struct sigaction sa;

	if (!sigaction(SIGABRT, NULL, &sa) && sa.sa_handler != SIG_DFL)
		thaw();
	abort();
}

/* ---- rg_panic ---- */

static void walk_caller(void *arg)
{
	struct freeze_stack *s = arg;

	s->n = (uint16_t)coro_backtrace(&report.caller, s->pcs, FREEZE_FRAMES);
	s->is_cut = s->n == FREEZE_FRAMES;
	/* Where it stopped is in the switch: of no interest to anybody. */
	s->exact_top = true;
	s->pcs[0] = (uintptr_t)rg_panic;
}

/* The format was checked where rg_panic was called. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_what(void)
{
	vsnprintf(report.what, sizeof report.what, report.fmt, report.ap);
}
#pragma GCC diagnostic pop

static void report_panic(void *transfer)
{
	struct g *gp;

	(void)transfer;
	coro_started();
	gp = is_goroutine() ? getg() : NULL;
	format_what();
	(void)freeze_guarded(walk_caller, &report.stack);
	begin();
	take_self(gp);
	print_first_line(report.what);
	print_goroutines(gp);
	finish();
}

void rg_panic(const char *fmt, ...)
{
	claim(fmt);
	report.fmt = fmt;
	va_start(report.ap, fmt);
	coro_init(&report.side, side_stack, side_stack + SIDE_STACK,
		  report_panic);
	coro_switch(&report.caller, &report.side, NULL, false);
	__builtin_unreachable();
}

RG_COLD static void check_failed(const char *what)
{
	rg_panic("%s", what);
}

void panic_start(void)
{
	rgk_check_hook = check_failed;
}

/* ---- deadlock ---- */

static void report_deadlock(void *transfer)
{
	(void)transfer;
	coro_started();
	begin();
	textbuf_str(&report.b, "ringgo: panic: all goroutines are asleep - "
			       "deadlock!\n");
	seed_print(&report.b);
	textbuf_char(&report.b, '\n');
	load_symbols();
	print_others(NULL);
	finish();
}

void sched_fatal_deadlock(void)
{
	claim("all goroutines are asleep - deadlock!");
	coro_init(&report.side, side_stack, side_stack + SIDE_STACK,
		  report_deadlock);
	coro_switch(&report.caller, &report.side, NULL, false);
	__builtin_unreachable();
}

/* ---- stack overflow ---- */

/* The first DEEP frames to report.stack, the last ones, round and round, to
 * report.bottom. */
static bool add_deep(uintptr_t pc, void *arg)
{
	(void)arg;
	if (report.depth < DEEP)
		report.stack.pcs[report.stack.n++] = pc;
	else
		report.bottom.pcs[(report.depth - DEEP) % DEEP] = pc;
	report.depth++;
	return true;
}

static void walk_deep(void *context)
{
	sigframe_unwind(context, add_deep, NULL);
}

static void print_range(const struct freeze_stack *s)
{
	unsigned first, last;

	dumptext_visible(&report.d, s, &first, &last);
	for (unsigned i = first; i < last; i++)
		dumptext_frame(&report.d, s->pcs[i], s->exact_top && i == 0);
}

/* Puts the oldest of the last frames first. */
static void unroll_bottom(void)
{
	struct freeze_stack *s = &report.bottom;
	size_t behind = report.depth > DEEP ? report.depth - DEEP : 0;
	uintptr_t pcs[DEEP] = {0};

	s->n = (uint16_t)(behind < DEEP ? behind : DEEP);
	for (size_t i = 0; i < s->n; i++)
		pcs[i] = s->pcs[(behind - s->n + i) % DEEP];
	memcpy(s->pcs, pcs, s->n * sizeof pcs[0]);
}

static void print_deep(const struct g *gp)
{
	struct textbuf *b = &report.b;

	textbuf_str(b, "stack of ");
	textbuf_dec(b, (uint64_t)(gp->stack_hi - gp->stack_lo));
	textbuf_str(b, " bytes, ");
	textbuf_dec(b, report.depth);
	textbuf_str(b, " frames deep; rg_config.stack_size, "
		       "rg_go_options.stack_size or RINGGO_STACK make it "
		       "larger\n\n");
	dumptext_header(&report.d, &report.self);
	print_range(&report.stack);
	if (report.depth > 2 * DEEP) {
		textbuf_str(b, "...");
		textbuf_dec(b, report.depth - 2 * DEEP);
		textbuf_str(b, " frames elided...\n");
	}
	print_range(&report.bottom);
	dumptext_tail(&report.d, &report.self);
	textbuf_flush(b);
}

void panic_overflow(struct g *gp, const void *context)
{
	claim("stack overflow");
	report.stack.n = report.bottom.n = 0;
	report.stack.exact_top = true;
	report.depth = 0;
	(void)freeze_guarded(walk_deep, (void *)(uintptr_t)context);
	unroll_bottom();
	begin();
	take_self(gp);
	print_first_line("stack overflow");
	print_deep(gp);
	print_others(gp);
	finish();
}

/* ---- other signals ---- */

static void print_signal(int sig, const siginfo_t *info, const void *context)
{
	struct textbuf *b = &report.b;

	textbuf_str(b, sig == SIGBUS ? "[signal SIGBUS: bus error code="
				     : "[signal SIGSEGV: segmentation "
				       "violation code=");
	if (info->si_code < 0)
		textbuf_char(b, '-');
	textbuf_hex(b, info->si_code < 0 ? 0u - (unsigned)info->si_code
					 : (unsigned)info->si_code);
	textbuf_str(b, " addr=");
	textbuf_hex(b, (uintptr_t)info->si_addr);
	textbuf_str(b, " pc=");
	textbuf_hex(b, sigframe_pc(context));
	textbuf_str(b, "]\n");
}

static void name_fault(int sig, const siginfo_t *info)
{
	struct textbuf b;

	textbuf_init(&b, report.what, sizeof report.what, -1, NULL);
	if (info->si_code > 0) {
		textbuf_str(&b, "unexpected fault address ");
		textbuf_hex(&b, (uintptr_t)info->si_addr);
	} else {
		textbuf_str(&b, sig == SIGBUS ? "SIGBUS" : "SIGSEGV");
		textbuf_str(&b, " from process ");
		textbuf_dec(&b, (uint64_t)info->si_pid);
	}
	textbuf_char(&b, '\0');
}

void panic_fault(int sig, const siginfo_t *info, const void *context)
{
	struct g *gp = freeze_g_of_signal(context);

	claim("unexpected fault address");
	freeze_stack_of_signal(&report.stack, context);
	begin();
	take_self(gp);
	name_fault(sig, info);
	print_first_line(report.what);
	print_signal(sig, info, context);
	print_goroutines(gp);
	thaw();
}

void panic_quit(const void *context)
{
	struct g *gp = freeze_g_of_signal(context);

	claim("SIGQUIT");
	freeze_stack_of_signal(&report.stack, context);
	begin();
	take_self(gp);
	textbuf_str(&report.b, "SIGQUIT: quit\n");
	if (probe_engine() == PROBE_EPOLL)
		textbuf_str(&report.b, "engine: epoll, without io_uring\n");
	seed_print(&report.b);
	load_symbols();
	textbuf_char(&report.b, '\n');
	if (gp)
		dumptext_goroutine(&report.d, &report.self);
	print_others(gp);
}

void panic_quit_end(void)
{
	symbolize_close(report.d.symbols);
	thaw();
	unclaim();
}
