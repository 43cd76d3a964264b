// SPDX-License-Identifier: MIT
/*
 * demo_service - what `make run` starts: a small service with a live debug page.
 * The port is the first argument, else PORT, else 8080. Ctrl-C ends it.
 */
#include <ringgo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void slow(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)arg;
	rg_sleep(2 * RG_SECOND);
	rg_http_printf(w, "%s: goroutine %llu slept 2 s, others ran\n",
		       rg_http_path(r), (unsigned long long)rg_goid());
}

static void hello(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r, (void)arg;
	rg_http_write(w, "hello, world\n", 13);
}

static void stats(rg_http_writer *w, rg_http_request *r, void *arg)
{
	FILE *f = fopen("/proc/self/statm", "re");
	rg_stats s = {0};
	long pages = 0;

	(void)r, (void)arg;
	if (f && fscanf(f, "%*d %ld", &pages) >= 0)
		fclose(f);
	rg_stats_read(&s, sizeof s);
	rg_http_set_header(w, "Content-Type", "application/json");
	rg_http_printf(w,
		       "{\"goroutines\":%ld,\"procs\":%ld,\"switches\":%ld,"
		       "\"ring_enters\":%ld,\"ring_sqes\":%ld,"
		       "\"ring_cqes\":%ld,\"rss_bytes\":%ld}\n",
		       s.goroutines, s.procs, s.switches, s.ring_enters,
		       s.ring_sqes, s.ring_cqes, pages * 4096);
}

static void end_on_signal(void *server)
{
	rg_chan *c = rg_make(int, 1);

	if (!c || rg_signal_notify(c, (int[]){SIGINT, SIGTERM}, 2) < 0)
		return; /* then a signal ends the program as usual */
	rg_recv(c, &(int){0});
	rg_signal_stop(c);
	rg_chan_unref(c);
	rg_http_server_shutdown(server, NULL);
}

static int serve(void *address)
{
	rg_http_server *server = rg_http_server_new(NULL);
	rg_waitgroup ending = {0};
	rg_listener *l;
	int err = server ? rg_listen("tcp", address, &l) : -ENOMEM;

	if (err || (err = rg_http_handle("/", slow, NULL)) ||
	    (err = rg_http_handle("/hello", hello, NULL)) ||
	    (err = rg_http_handle("/stats", stats, NULL)) ||
	    (err = rg_debug_handle(NULL)) ||
	    (err = rg_waitgroup_go(&ending, end_on_signal, server))) {
		fprintf(stderr, "demo_service: cannot serve on %s: %s%s\n",
			(char *)address, rg_strerror(err),
			err == -EADDRINUSE ? "; try another PORT=" : "");
		rg_http_server_free(server);
		return 1;
	}
	printf("ringgo demo on http://%1$s/  (Ctrl-C ends it)\n"
	       "  for i in 1 2 3; do curl http://%1$s/$i & done; wait\n"
	       "  curl http://%1$s/hello\n  curl http://%1$s/stats\n"
	       "  in a browser: http://%1$s/debug/\n",
	       rg_listener_addr(l));
	fflush(stdout);
	err = rg_http_server_serve(server, l);
	if (err == -ECANCELED)
		rg_waitgroup_wait(&ending);
	rg_http_server_free(server);
	return err != -ECANCELED;
}

int main(int argc, char **argv)
{
	const char *env = getenv("PORT");
	char address[64];

	snprintf(address, sizeof address, "127.0.0.1:%s",
		 argc > 1      ? argv[1]
		 : env && *env ? env
			       : "8080");
	return rg_run(NULL, serve, address);
}
