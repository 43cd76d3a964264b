// SPDX-License-Identifier: MIT
/*
 * tcp_echo - sends back whatever it receives; one goroutine a connection.
 *
 *	tcp_echo [ADDRESS]	default 127.0.0.1:7000; port 0 picks one
 *	printf 'hello\n' | nc -N 127.0.0.1 7000
 */
#include <ringgo.h>

#include <stdio.h>

static void echo(void *arg)
{
	rg_conn *c = arg;
	char buf[2048];
	ssize_t n;

	while ((n = rg_conn_read(c, buf, sizeof buf)) > 0)
		if (rg_conn_write(c, buf, (size_t)n) < 0)
			break;
	rg_conn_close(c);
}

static int app(void *arg)
{
	const char *address = arg;
	rg_listener *l;
	rg_conn *c;
	int err = rg_listen("tcp", address, &l);

	if (err < 0)
		goto failed;
	printf("listening on %s\n", rg_listener_addr(l));
	while ((err = rg_listener_accept(l, &c)) >= 0)
		if (rg_go(echo, c) < 0)
			rg_conn_close(c); /* no memory: the next may have */
	rg_listener_close(l);
failed:
	fprintf(stderr, "tcp_echo: %s: %s\n", address, rg_strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	static char address[] = "127.0.0.1:7000";

	setvbuf(stdout, NULL, _IOLBF, 0);
	return rg_run(NULL, app, argc > 1 ? argv[1] : address) != 0;
}
