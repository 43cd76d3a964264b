// SPDX-License-Identifier: MIT
/*
 * callsuser - wherever the runtime calls a user's function with nothing half done, that
 * function can be preempted by a switch of stacks (RG_CALLS_USER, kernel-iface/textmap.h):
 * a signal to oneself in each of them is decided as it would be by the scheduler.
 */
#include "tests/support/rgtest.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/safepoint.h"
#include "kernel-iface/textmap.h"
#include "sched/g.h"
#include "sched/getg.h"

static struct safepoint decided;
static int nprobes;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct g *gp = getg();
	const struct safepoint_flow flow = {(uintptr_t)gp->stack_lo,
					    (uintptr_t)gp->stack_hi};

	(void)sig;
	(void)info;
	safepoint_decide(context, &flow, &decided);
	nprobes++;
}

/* Called by user code that the runtime called. In libc, so at its return. */
static RG_NOINLINE void probe(const char *where)
{
	int before = nprobes;

	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2);
	if (nprobes != before + 1 || decided.verdict != SAFEPOINT_HIJACK)
		t_fail_at(__FILE__, __LINE__, "in %s: %s at %#lx", where,
			  safepoint_name(decided.verdict),
			  (unsigned long)decided.pc);
}

/* As an argument. */
static void *who(const char *name)
{
	return (void *)(uintptr_t)name;
}

/* ---- user code of all shapes ------------------------------------------------ */

static void plain(void *where)
{
	probe(where);
	/* Not the last thing: else the caller's frame could be gone. */
	__asm__ volatile("" ::: "memory");
}

static int with_result(void *where)
{
	plain(where);
	return 0;
}

static void *with_pointer(void *where)
{
	plain(where);
	return where;
}

static int with_value(void *where, void **value)
{
	plain(where);
	*value = where;
	return 0;
}

static bool with_entry(const void *key, void *value, void *where)
{
	(void)key;
	(void)value;
	plain(where);
	return true;
}

static void *make_item(void)
{
	plain(who("rg_pool_get"));
	return (void *)&nprobes;
}

static void destroy_item(void *item)
{
	(void)item;
	plain(who("rg_pool_free"));
}

static void start(void (*fn)(void *arg), void *where)
{
	T_CHECK_INT_EQ(rg_go(fn, where), 0);
	t_wait_goroutines(1);
}

/* ---- in goroutines ---------------------------------------------------------- */

static void defers(void *unused)
{
	(void)unused;
	rg_defer(plain, who("a defer"));
}

static void exits(void *unused)
{
	(void)unused;
	rg_defer(plain, who("a defer at rg_exit"));
	rg_exit();
}

static void has_local(void *unused)
{
	static const rg_local_key key = RG_LOCAL_KEY(plain);

	(void)unused;
	T_CHECK_INT_EQ(rg_local_set(&key, who("a local's destructor")), 0);
}

static void calls_once(void *unused)
{
	rg_once once = {0};
	rg_once_value value = {0};

	(void)unused;
	rg_once_do(&once, plain, who("rg_once_do"));
	rg_once_value_get(&value, with_pointer, who("rg_once_value_get"));
}

static void calls_labels(void *unused)
{
	const rg_label label = {"key", "value"};

	(void)unused;
	T_CHECK_INT_EQ(rg_labels_do(&label, 1, plain, who("rg_labels_do")), 0);
}

static void calls_singleflight(void *unused)
{
	rg_singleflight s = {0};

	(void)unused;
	T_CHECK_INT_EQ(rg_singleflight_do(&s, "key", with_value,
					  who("rg_singleflight_do"), NULL,
					  NULL),
		       0);
}

static void calls_map(void *unused)
{
	rg_map *m = rg_map_new(0, NULL);

	(void)unused;
	T_CHECK(m != NULL);
	T_CHECK_INT_EQ(rg_map_store(m, "key", (void *)&nprobes), 0);
	rg_map_range(m, with_entry, who("rg_map_range"));
	rg_map_free(m);
}

static void calls_pool(void *unused)
{
	rg_pool *p = rg_pool_new(make_item, destroy_item);

	(void)unused;
	T_CHECK(p != NULL);
	rg_pool_put(p, rg_pool_get(p));
	rg_pool_free(p);
}

static void has_members(void *unused)
{
	rg_waitgroup w = {0};
	rg_group *g = rg_group_new(rg_ctx_background());
	rg_scope s = RG_SCOPE_INIT(0);

	(void)unused;
	T_CHECK_INT_EQ(rg_waitgroup_go(&w, plain, who("rg_waitgroup_go")), 0);
	rg_waitgroup_wait(&w);
	T_CHECK(g != NULL);
	T_CHECK_INT_EQ(rg_group_go(g, with_result, who("rg_group_go")), 0);
	T_CHECK_INT_EQ(rg_group_wait(g), 0);
	T_CHECK_INT_EQ(rg_scope_go(&s, with_result, who("rg_scope_go")), 0);
	T_CHECK_INT_EQ(rg_scope_end(&s), 0);
}

static void has_timers(void *unused)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());
	rg_ctx_after *after;

	(void)unused;
	T_CHECK(rg_after_func(0, plain, who("rg_after_func")) != NULL);
	T_CHECK(c != NULL);
	after = rg_ctx_after_func(c, plain, who("rg_ctx_after_func"));
	T_CHECK(after != NULL);
	rg_ctx_cancel(c, -ECANCELED);
	rg_ctx_unref(c);
}

static void has_bubble(void *unused)
{
	(void)unused;
	T_CHECK_INT_EQ(rg_synctest_run(plain, who("rg_synctest_run")), 0);
}

static void everything(void *unused)
{
	static void (*const bodies[])(void *) = {
		defers,     exits,        has_local,
		calls_once, calls_labels, calls_singleflight,
		calls_map,  calls_pool,   has_members,
		has_timers, has_bubble};

	(void)unused;
	start(plain, who("rg_go"));
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		start(bodies[i], NULL);
}

static bool can_run(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK};

	safepoint_start();
	/* The tests of other layers are in this program, with their locks. */
	textmap_allow((const void *)(uintptr_t)&probe);
	sigemptyset(&sa.sa_mask);
	nprobes = 0;
	return preempt_is_supported() && !sigaction(SIGUSR2, &sa, NULL);
}

static void callsuser_in_goroutines_is_preemptible(void **state)
{
	(void)state;
	if (!can_run())
		skip();
	t_run_with(1, everything, NULL);
	assert_int_equal(nprobes, 17);
}

/* ---- in a handler of HTTP --------------------------------------------------- */

static rg_http_server *server;

static void on_request(rg_http_writer *w, rg_http_request *r, void *where)
{
	(void)r;
	plain(where);
	rg_http_write(w, "done", 4);
}

static void serve(void *listener)
{
	T_CHECK_INT_EQ(rg_http_server_serve(server, listener), -ECANCELED);
}

static void handler(void *unused)
{
	rg_http_server_options o = {.mux = rg_http_mux_new()};
	rg_waitgroup serving = {0};
	rg_listener *l;
	rg_http_response *resp;
	char url[64];

	(void)unused;
	T_CHECK_INT_EQ(rg_http_mux_handle(o.mux, "/probe", on_request,
					  who("a handler")),
		       0);
	server = rg_http_server_new(&o);
	T_CHECK(server != NULL);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), 0);
	T_CHECK_INT_EQ(rg_waitgroup_go(&serving, serve, l), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/probe",
		 t_port_of(rg_listener_addr(l)));
	for (int i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(rg_http_get(url, &resp), 0);
		T_CHECK_INT_EQ(rg_http_response_status(resp), 200);
		rg_http_response_close(resp);
	}
	T_CHECK_INT_EQ(rg_http_server_shutdown(server, NULL), 0);
	rg_waitgroup_wait(&serving);
	rg_http_server_free(server);
	rg_http_mux_free(o.mux);
}

static void callsuser_in_a_handler_is_preemptible(void **state)
{
	(void)state;
	if (!can_run())
		skip();
	t_run_with(1, handler, NULL);
	assert_int_equal(nprobes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callsuser_in_goroutines_is_preemptible),
		cmocka_unit_test(callsuser_in_a_handler_is_preemptible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
