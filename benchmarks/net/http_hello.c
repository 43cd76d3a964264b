// SPDX-License-Identifier: MIT
/*
 * http_hello - an HTTP server on libringgo that says hello.
 *
 * GET /hello is answered by 13 bytes of text, through the public server, mux and
 * handler as a user would write it. Listens on a free port of 127.0.0.1 and
 * prints "listening 127.0.0.1:PORT". Usage: http_hello [--procs N] [--hogs KIND]
 */
#include "benchmarks/support/bench_server.h"

static void hello(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_set_header(w, "Content-Type", "text/plain");
	rg_http_write(w, "Hello, World!", 13);
}

static int serve(void *arg)
{
	rg_http_server_options options = {0};
	rg_http_server *s;
	int err = rg_http_handle("/hello", hello, NULL);

	(void)arg;
	if (err) {
		fprintf(stderr, "http_hello: handle: %s\n", rg_strerror(err));
		return 1;
	}
	s = rg_http_server_new(&options);
	if (!s) {
		fputs("http_hello: out of memory\n", stderr);
		return 1;
	}
	err = rg_http_server_serve(s, server_listen());
	fprintf(stderr, "http_hello: serve: %s\n", rg_strerror(err));
	rg_http_server_free(s);
	return 1;
}

int main(int argc, char **argv)
{
	return server_main(argc, argv, serve);
}
