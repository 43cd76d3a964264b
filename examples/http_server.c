// SPDX-License-Identifier: MIT
/*
 * http_server - a concurrent HTTP server: every request takes two seconds, and
 * any number of them take two seconds together.
 *
 *	http_server [ADDRESS]		default 127.0.0.1:8080; port 0 picks one
 *	for i in 1 2 3; do curl http://127.0.0.1:8080/$i & done; wait
 */
#include <ringgo.h>

#include <inttypes.h>
#include <stdio.h>

static void handle(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)arg;
	printf("start %s on goroutine %" PRIu64 "\n", rg_http_target(r),
	       rg_goid());
	rg_sleep(2 * RG_SECOND);
	rg_http_printf(w, "%s took two seconds\n", rg_http_target(r));
	printf("end %s\n", rg_http_target(r));
}

static int serve(const char *address)
{
	rg_http_server *server;
	rg_listener *listener;
	int err = rg_http_handle("/", handle, NULL);

	if (err < 0)
		return err;
	server = rg_http_server_new(NULL);
	if (!server)
		return -ENOMEM;
	err = rg_listen("tcp", address, &listener);
	if (err < 0)
		goto free_server;
	printf("listening on http://%s/\n", rg_listener_addr(listener));
	err = rg_http_server_serve(server, listener);
free_server:
	rg_http_server_free(server);
	return err;
}

static int app(void *arg)
{
	const char *address = arg;
	int err = serve(address);

	fprintf(stderr, "http_server: %s: %s\n", address, rg_strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	static char address[] = "127.0.0.1:8080";

	setvbuf(stdout, NULL, _IOLBF, 0);
	return rg_run(NULL, app, argc > 1 ? argv[1] : address) != 0;
}
