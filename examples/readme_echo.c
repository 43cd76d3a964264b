// SPDX-License-Identifier: MIT
/*
 * readme_echo - the program that README.md opens with; tests/readme.sh compares.
 *
 *	readme_echo ADDRESS	e.g. 127.0.0.1:7000
 */
#include <ringgo.h>
#include <stdio.h>

static void echo(void *conn)
{
	char buf[4096];

	for (ssize_t n; (n = rg_conn_read(conn, buf, sizeof buf)) > 0;)
		if (rg_conn_write(conn, buf, (size_t)n) < 0)
			break;
	rg_conn_close(conn);
}

static int serve(void *address)
{
	rg_listener *l;
	rg_conn *c;
	int err = rg_listen("tcp", address, &l);

	fprintf(stderr, "echo on %s: %s\n", (char *)address, rg_strerror(err));
	while (!err && !(err = rg_listener_accept(l, &c)))
		if (rg_go(echo, c) < 0)
			rg_conn_close(c);
	return err;
}

int main(int argc, char **argv)
{
	return rg_run(NULL, serve, argv[argc - 1]) != 0;
}
