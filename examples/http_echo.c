// SPDX-License-Identifier: MIT
/*
 * http_echo - answers any method and target, after it has read the whole body, with
 * the line "METHOD TARGET BODYLEN"; 400 and the end of the connection if reading
 * the body fails. /slow answers after two seconds. SIGTERM and SIGINT end it
 * gracefully: requests in progress are still answered.
 *
 *	http_echo [PORT]	default 8080; 0 picks one
 */
#include <ringgo.h>

#include <signal.h>
#include <stdio.h>

static void echo(rg_http_writer *w, rg_http_request *r, void *arg)
{
	rg_duration delay = arg ? *(rg_duration *)arg : 0;
	char buf[8192];
	long long len = 0;
	ssize_t n;

	while ((n = rg_http_body_read(r, buf, sizeof buf)) > 0)
		len += n;
	if (n < 0) {
		rg_http_status(w, 400);
		rg_http_set_header(w, "Connection", "close");
		rg_http_printf(w, "body: %s\n", rg_strerror((int)n));
		return;
	}
	rg_sleep(delay);
	rg_http_printf(w, "%s %s %lld\n", rg_http_method(r), rg_http_target(r),
		       len);
}

static void end_on_signal(void *arg)
{
	static const int signals[] = {SIGTERM, SIGINT};
	rg_http_server *server = arg;
	rg_chan *c = rg_make(int, 1);

	if (!c || rg_signal_notify(c, signals, 2) < 0)
		return; /* then a signal ends the program as usual */
	rg_recv(c, &(int){0});
	rg_http_server_shutdown(server, NULL);
	rg_signal_stop(c);
	rg_chan_unref(c);
}

static int serve(const char *address)
{
	static rg_duration slow = 2 * RG_SECOND;
	const rg_http_server_options options = {.header_timeout =
							10 * RG_SECOND};
	rg_http_server *server = rg_http_server_new(&options);
	rg_waitgroup ending = {0};
	rg_listener *listener;
	int err = server ? rg_listen("tcp", address, &listener) : -ENOMEM;

	if (!err)
		err = rg_http_handle("*", echo, NULL);
	if (!err)
		err = rg_http_handle("/slow", echo, &slow);
	if (!err)
		err = rg_waitgroup_go(&ending, end_on_signal, server);
	if (err < 0)
		return err;
	printf("listening on http://%s/\n", rg_listener_addr(listener));
	fflush(stdout);
	err = rg_http_server_serve(server, listener);
	if (err == -ECANCELED) {
		rg_waitgroup_wait(&ending); /* until all are answered */
		err = 0;
	}
	rg_http_server_free(server);
	return err;
}

static int app(void *arg)
{
	const char *port = arg;
	char address[64];
	int err;

	snprintf(address, sizeof address, "127.0.0.1:%s", port);
	err = serve(address);
	if (err < 0)
		fprintf(stderr, "http_echo: %s: %s\n", address,
			rg_strerror(err));
	return err < 0;
}

int main(int argc, char **argv)
{
	static char port[] = "8080";

	return rg_run(NULL, app, argc > 1 ? argv[1] : port) != 0;
}
