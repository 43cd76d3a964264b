// SPDX-License-Identifier: MIT
/*
 * lockimports - attacks I1 and I2 of kernel-iface/lockimports.h: names, and objects that
 * a compiler makes on the spot, with what they import in all the ways code can.
 */
#include "tests/support/rgtest.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel-iface/lockimports.h"

static void lockimports_names_of_locks_are_known(void **state)
{
	static const char *const names[] = {
		"pthread_mutex_lock",
		"pthread_mutex_trylock",
		"pthread_mutex_clocklock",
		"pthread_rwlock_rdlock",
		"pthread_rwlock_timedwrlock",
		"pthread_spin_lock",
		"pthread_once",
		"pthread_cond_wait",
		"pthread_cond_clockwait",
		"pthread_barrier_wait",
		"sem_wait",
		"sem_trywait",
		"semop",
		"mtx_lock",
		"mtx_timedlock",
		"cnd_wait",
		"call_once",
		"flock",
		"lockf",
		"flockfile",
		"ftrylockfile",
		"__cxa_guard_acquire",
		"GOMP_critical_start",
		"GOMP_parallel",
		"omp_set_lock",
		"omp_test_nest_lock",
		"__kmpc_critical",
		"g_mutex_lock",
		"g_rw_lock_reader_lock",
		"uv_mutex_lock",
		"SDL_LockMutex",
		"sqlite3_mutex_enter",
		"PyGILState_Ensure",
		"_ZNSt3__15mutex4lockEv",
		"_ZNSt3__111__call_onceERVmPvPFvS2_E",
		"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!lockimports_is_lock(names[i]))
			fail_msg("%s is a lock", names[i]);
}

static void lockimports_names_of_others_are_not(void **state)
{
	static const char *const names[] = {
		"",
		"malloc",
		"printf",
		"clock",
		"clock_gettime",
		"clock_nanosleep",
		"_ZNSt6chrono3_V212steady_clock3nowEv",
		"evutil_make_socket_nonblocking",
		"Block_copy",
		"mlock",
		"munlockall",
		"unlockpt",
		"fcntl",
		"setlocale",
		"lookup",
		"rg_mutex_lock",
		"rg_rwmutex_rlock",
		"rg_sem_acquire",
		"rg_once_do",
		"rg_blocking",
		"pthread_create",
		"pthread_self",
		"__cxa_throw",
		"__cxa_atexit",
		"sem_init",
		"qsort"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (lockimports_is_lock(names[i]))
			fail_msg("%s is no lock", names[i]);
}

/* The first lock that an object of this code imports; "-": none; NULL: no compiler. */
static const char *first_of(const char *code, const char *flags)
{
	static char found[64];
	char dir[] = "/tmp/ringgo-imports-XXXXXX", command[600], so[64];
	const char *cc = getenv("CC"), *name = NULL;
	struct link_map *l;
	void *object;
	FILE *compiler;

	if (!mkdtemp(dir))
		return NULL;
	snprintf(so, sizeof so, "%s/x.so", dir);
	snprintf(command, sizeof command,
		 "%s -shared -fPIC -pthread -O1 -w %s -x c - -o %s",
		 cc && *cc ? cc : "gcc", flags, so);
	compiler = popen(command, "w");
	if (compiler) {
		fputs(code, compiler);
		if (!pclose(compiler)) {
			object = dlopen(so, RTLD_LAZY | RTLD_LOCAL);
			assert_non_null(object);
			assert_int_equal(dlinfo(object, RTLD_DI_LINKMAP, &l),
					 0);
			name = lockimports_first(l);
			snprintf(found, sizeof found, "%s", name ? name : "-");
			name = found;
			dlclose(object);
		}
	}
	unlink(so);
	rmdir(dir);
	return name;
}

#define EXPECT_FIRST(code, flags, expected)                                    \
	do {                                                                   \
		const char *first_ = first_of(code, flags);                    \
                                                                               \
		if (!first_) {                                                 \
			print_message("no compiler\n");                        \
			skip();                                                \
		}                                                              \
		assert_string_equal(first_, expected);                         \
	} while (0)

static void lockimports_objects_are_read_in_all_ways_of_linking(void **state)
{
	static const char calls[] =
		"#include <pthread.h>\n#include <stdio.h>\n"
		"static pthread_mutex_t m;\n"
		"__attribute__((constructor)) static void f(void)\n"
		"{ puts(\"\"); if (getpid() < 0) pthread_mutex_lock(&m); }\n";
	static const char points[] = "#include <semaphore.h>\n"
				     "int (*wait)(sem_t *) = sem_wait;\n";
	static const char innocent[] =
		"#include <stdlib.h>\n#include <time.h>\n"
		"#include <pthread.h>\n"
		"long f(void) { return (long)malloc(clock()); }\n"
		"__attribute__((weak)) int rg_mutex_lock(void *);\n"
		"int (*g)() = rg_mutex_lock;\n"
		"void mutex_of_mine(void) {}\n"
		"void h(void) { mutex_of_mine(); }\n";

	(void)state;
	/* Exports nothing: its hash table says nothing of its imports. */
	EXPECT_FIRST(calls, "-fvisibility=hidden", "pthread_mutex_lock");
	EXPECT_FIRST(calls, "-Wl,-z,lazy -Wl,--hash-style=gnu",
		     "pthread_mutex_lock");
	EXPECT_FIRST(calls, "-fno-plt -Wl,-z,now", "pthread_mutex_lock");
	EXPECT_FIRST(calls, "-Wl,-z,now -Wl,--hash-style=sysv",
		     "pthread_mutex_lock");
	EXPECT_FIRST(points, "", "sem_wait");
	EXPECT_FIRST(innocent, "", "-");
	EXPECT_FIRST("int nothing;", "", "-");
	EXPECT_FIRST("int nothing;", "-nostdlib", "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lockimports_names_of_locks_are_known),
		cmocka_unit_test(lockimports_names_of_others_are_not),
		cmocka_unit_test(
			lockimports_objects_are_read_in_all_ways_of_linking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
