// SPDX-License-Identifier: MIT
/* kvinfo - the text of INFO, section by section. */
#include "examples/kv/kvserver.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "examples/kv/kvtext.h"

const char *const kv_version = "7.0.0";

static void info_server(struct kvclient *c, struct kvbuf *t)
{
	int64_t up = (rg_now() - c->server->started) / RG_SECOND;
	struct utsname os;

	if (uname(&os) == 0)
		kvbuf_printf(t, "os:%s %s %s\r\n", os.sysname, os.release,
			     os.machine);
	kvbuf_printf(t,
		     "redis_version:%s\r\nredis_mode:standalone\r\n"
		     "ringgo_version:%d.%d.%d\r\narch_bits:%d\r\n"
		     "multiplexing_api:io_uring\r\nprocess_id:%d\r\n"
		     "listening_on:%s\r\nprocs:%d\r\n"
		     "uptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\n",
		     kv_version, RINGGO_VERSION_MAJOR, RINGGO_VERSION_MINOR,
		     RINGGO_VERSION_PATCH, (int)(8 * sizeof(long)), getpid(),
		     rg_listener_addr(c->server->listener), rg_gomaxprocs(0),
		     (long long)up, (long long)(up / 86400));
}

static void info_clients(struct kvclient *c, struct kvbuf *t)
{
	int n;

	rg_mutex_lock(&c->server->lock);
	n = c->server->n_clients;
	rg_mutex_unlock(&c->server->lock);
	kvbuf_printf(t, "connected_clients:%d\r\nmaxclients:%d\r\n", n,
		     c->server->options.max_clients);
}

static void info_memory(struct kvclient *c, struct kvbuf *t)
{
	struct kvstore_sums sums = kvstore_sum(c->server->store, false);
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (f) {
		if (fscanf(f, "%*d %ld", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	kvbuf_printf(t,
		     "used_memory:%lld\r\nused_memory_human:%lldK\r\n"
		     "used_memory_rss:%lld\r\nmaxmemory:0\r\n"
		     "maxmemory_policy:noeviction\r\n",
		     (long long)sums.bytes, (long long)(sums.bytes / 1024),
		     (long long)pages * sysconf(_SC_PAGESIZE));
}

static void info_persistence(struct kvclient *c, struct kvbuf *t)
{
	int64_t at;

	rg_mutex_lock(&c->server->lock);
	at = c->server->last_save;
	rg_mutex_unlock(&c->server->lock);
	kvbuf_printf(
		t, "loading:0\r\naof_enabled:0\r\nrdb_last_save_time:%lld\r\n",
		(long long)at);
}

static void info_stats(struct kvclient *c, struct kvbuf *t)
{
	struct kvstore_sums sums = kvstore_sum(c->server->store, false);
	struct kvserver *s = c->server;

	kvbuf_printf(t,
		     "total_connections_received:%lld\r\n"
		     "total_commands_processed:%lld\r\n"
		     "rejected_connections:%lld\r\nexpired_keys:%lld\r\n"
		     "evicted_keys:0\r\nkeyspace_hits:%lld\r\n"
		     "keyspace_misses:%lld\r\n",
		     (long long)atomic_load_explicit(&s->connections,
						     memory_order_relaxed),
		     (long long)atomic_load_explicit(&s->commands,
						     memory_order_relaxed),
		     (long long)atomic_load_explicit(&s->rejected,
						     memory_order_relaxed),
		     (long long)sums.expired, (long long)sums.hits,
		     (long long)sums.misses);
}

static void info_replication(struct kvclient *c, struct kvbuf *t)
{
	(void)c;
	kvbuf_printf(t, "role:master\r\nconnected_slaves:0\r\n");
}

static void info_cpu(struct kvclient *c, struct kvbuf *t)
{
	struct rusage u = {0};

	(void)c;
	getrusage(RUSAGE_SELF, &u);
	kvbuf_printf(t, "used_cpu_sys:%ld.%06ld\r\nused_cpu_user:%ld.%06ld\r\n",
		     (long)u.ru_stime.tv_sec, (long)u.ru_stime.tv_usec,
		     (long)u.ru_utime.tv_sec, (long)u.ru_utime.tv_usec);
}

static void info_keyspace(struct kvclient *c, struct kvbuf *t)
{
	struct kvstore_sums sums = kvstore_sum(c->server->store, false);

	if (sums.n)
		kvbuf_printf(t, "db0:keys=%lld,expires=%lld,avg_ttl=0\r\n",
			     (long long)sums.n, (long long)sums.n_expiring);
}

static const struct {
	const char *name, *title;
	void (*add)(struct kvclient *c, struct kvbuf *t);
} sections[] = {
	{"server", "Server", info_server},
	{"clients", "Clients", info_clients},
	{"memory", "Memory", info_memory},
	{"persistence", "Persistence", info_persistence},
	{"stats", "Stats", info_stats},
	{"replication", "Replication", info_replication},
	{"cpu", "CPU", info_cpu},
	{"keyspace", "Keyspace", info_keyspace},
};

static bool is_asked_for(const struct kvclient *c, const char *section)
{
	for (int i = 1; i < c->argc; i++)
		if (kvarg_is(c, i, section) || kvarg_is(c, i, "all") ||
		    kvarg_is(c, i, "default") || kvarg_is(c, i, "everything"))
			return true;
	return c->argc == 1;
}

void kvinfo_add(struct kvclient *c, struct kvbuf *text)
{
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		if (is_asked_for(c, sections[i].name)) {
			kvbuf_printf(text, "%s# %s\r\n",
				     text->len ? "\r\n" : "",
				     sections[i].title);
			sections[i].add(c, text);
		}
}
