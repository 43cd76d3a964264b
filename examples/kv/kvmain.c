// SPDX-License-Identifier: MIT
/*
 * kv_server - a small server of keys and values that speaks Redis' protocol.
 *
 * It starts from its snapshot, serves until SIGTERM, SIGINT or SHUTDOWN, answers what it
 * has read by then, and leaves a snapshot: what it has acknowledged is in it. More
 * signals of the kind change nothing: supervisors like to send them to a process and to
 * its group.
 */
#include "examples/kv/kvserver.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "examples/kv/kvhash.h"
#include "examples/kv/kvsnap.h"

enum {
	SPARE_FDS = 32, /* what is open besides clients */
};
static const rg_duration stop_grace = 5 * RG_SECOND;
static const rg_duration expire_every = 100 * RG_MILLISECOND;

static void accept_clients(void *arg)
{
	struct kvserver *s = arg;
	rg_conn *conn;
	int err;

	while (!(err = rg_listener_accept(s->listener, &conn)))
		kvclient_start(s, conn);
	rg_chan_try_send(s->stop, &err); /* full: it is stopping already */
}

static void expire_keys(void *arg)
{
	struct kvserver *s = arg;

	while (rg_sleep(expire_every) == 0)
		kvstore_expire(s->store, rg_unix_nano() / RG_MILLISECOND);
	rg_waitgroup_done(&s->expiring);
}

/* 0, or a negative errno and it was said why. */
static int load(struct kvserver *s)
{
	struct kvbuf why = {0};
	int64_t n;

	if (!s->options.snapshot)
		return 0;
	n = kvsnap_load(s->store, s->options.snapshot, s->options.max_bulk,
			&why);
	if (n >= 0) {
		fprintf(stderr, "kv: %lld keys from %s\n", (long long)n,
			s->options.snapshot);
		s->last_save = rg_unix_nano() / RG_SECOND;
	} else if (n != -ENOENT) {
		fprintf(stderr,
			"kv: cannot load %s: %.*s. Move it away to start "
			"empty.\n",
			s->options.snapshot, (int)why.len, why.data);
	}
	kvbuf_free(&why);
	return n < 0 && n != -ENOENT ? (int)n : 0;
}

static int save(struct kvserver *s)
{
	int err = 0;

	if (!s->options.snapshot || s->is_save_unwanted)
		return 0;
	err = kvsnap_save(s->store, s->options.snapshot);
	if (err)
		fprintf(stderr, "kv: cannot save to %s: %s\n",
			s->options.snapshot, rg_strerror(err));
	else
		fprintf(stderr, "kv: %lld keys to %s\n",
			(long long)kvstore_sum(s->store, false).n,
			s->options.snapshot);
	return err;
}

static int start_listening(struct kvserver *s)
{
	const char *address = s->options.address;
	bool is_unix = strncmp(address, "unix:", 5) == 0;
	int err = rg_listen(is_unix ? "unix" : "tcp",
			    is_unix ? address + 5 : address, &s->listener);

	if (err) {
		fprintf(stderr, "kv: cannot listen on %s: %s\n", address,
			rg_strerror(err));
		return err;
	}
	printf("kv: listening on %s\n", rg_listener_addr(s->listener));
	fflush(stdout);
	return 0;
}

/* Serve until somebody says stop; every client is gone afterwards. The listener is
 * closed. */
static int serve(struct kvserver *s)
{
	rg_ctx *life = rg_ctx_with_cancel(rg_ctx_background());
	const rg_go_options background = {.name = "expire", .ctx = life};
	rg_waitgroup accepting = {0};
	int err = life ? 0 : -ENOMEM, why = 0;

	rg_waitgroup_add(&s->expiring, 1);
	if (!err)
		err = rg_go_with(&background, expire_keys, s);
	if (err)
		rg_waitgroup_done(&s->expiring);
	if (!err)
		err = rg_waitgroup_go(&accepting, accept_clients, s);
	if (!err)
		rg_chan_recv(s->stop, &why);
	rg_listener_close(s->listener);
	rg_waitgroup_wait(&accepting);
	kvclient_stop_all(s, stop_grace);
	rg_waitgroup_wait(&s->running);
	if (life) {
		rg_ctx_cancel(life, 0);
		rg_waitgroup_wait(&s->expiring); /* it uses the store */
		rg_ctx_unref(life);
	}
	err = err ? err : why < 0 ? why : 0;
	if (err)
		fprintf(stderr, "kv: cannot serve: %s\n", rg_strerror(err));
	return err;
}

static int app(void *arg)
{
	static struct kvserver s;
	static const int signals[] = {SIGTERM, SIGINT};
	int err;

	s.options = *(struct kvoptions *)arg;
	s.started = rg_now();
	s.store = kvstore_new();
	s.stop = rg_make(int, 1);
	if (!s.store || !s.stop) {
		fprintf(stderr, "kv: out of memory\n");
		err = -ENOMEM;
		goto free;
	}
	err = rg_signal_notify(s.stop, signals, 2);
	if (err) {
		fprintf(stderr, "kv: signals: %s\n", rg_strerror(err));
		goto free;
	}
	err = load(&s);
	if (!err)
		err = start_listening(&s);
	if (!err) {
		int saved;

		err = serve(&s);
		saved = save(&s);
		err = err ? err : saved;
	}
free:
	if (s.stop) {
		rg_signal_stop(s.stop);
		rg_chan_unref(s.stop);
	}
	kvstore_free(s.store);
	return err != 0;
}

/* ---- the command line -------------------------------------------------------------- */

static void usage(FILE *f)
{
	fputs("usage: kv_server [-a ADDRESS] [-s FILE] [-m PROCS] [-c CLIENTS] "
	      "[-b BYTES]\n"
	      "  -a  where to listen: host:port or unix:PATH (127.0.0.1:6379)\n"
	      "  -s  snapshot: loaded at the start, saved at the end (none)\n"
	      "  -m  how many processors to use (all)\n"
	      "  -c  how many clients at once (10000)\n"
	      "  -b  how long a key or value may be (536870912)\n",
	      f);
}

/* text as a number from 1 to max; else the program ends. */
static int64_t number(char option, const char *text, int64_t max)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || *end || end == text || v < 1 || v > max) {
		fprintf(stderr, "kv: -%c %s: not a number from 1 to %lld\n",
			option, text, (long long)max);
		exit(2);
	}
	return v;
}

static void parse_options(int argc, char **argv, struct kvoptions *o)
{
	int option;

	while ((option = getopt(argc, argv, "a:s:m:c:b:h")) != -1) {
		switch (option) {
		case 'a':
			o->address = optarg;
			break;
		case 's':
			o->snapshot = optarg;
			break;
		case 'm':
			o->maxprocs = (int)number('m', optarg, 256);
			break;
		case 'c':
			o->max_clients = (int)number('c', optarg, 1000000);
			break;
		case 'b':
			o->max_bulk = number('b', optarg, 512 << 20);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}

/* As many descriptors as we may have; fewer clients if that is not enough. */
static void fit_clients(struct kvoptions *o)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) == 0 &&
	    files.rlim_cur < (rlim_t)o->max_clients + SPARE_FDS &&
	    files.rlim_cur > SPARE_FDS) {
		o->max_clients = (int)(files.rlim_cur - SPARE_FDS);
		fprintf(stderr,
			"kv: %d clients at most: the limit of open "
			"files\n",
			o->max_clients);
	}
}

int main(int argc, char **argv)
{
	struct kvoptions options = {.address = "127.0.0.1:6379",
				    .max_clients = 10000,
				    .max_bulk = 512 << 20};
	rg_config config = {0};

	parse_options(argc, argv, &options);
	fit_clients(&options);
	kvcrc_init();
	kvcommand_init();
	/* app listens for them. This is what counts before and after that. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	config.maxprocs = options.maxprocs;
	return rg_run(&config, app, &options) != 0;
}
