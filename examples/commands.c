// SPDX-License-Identifier: MIT
/*
 * commands - run shell commands at once and print what each of them says, in order.
 *
 *	commands 'uname -r' 'sleep 1; date' 'exit 3'
 *
 * All of them get 2 seconds together: then the bound context ends, and with it those
 * that still run, whole process groups at a time.
 */
#include <ringgo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

struct task {
	const char *script;
	char output[ROOM];
	ssize_t len; /* or a negative errno */
	rg_command_result result;
};

static void run_task(void *arg)
{
	struct task *t = arg;
	const char *const argv[] = {"sh", "-c", t->script, NULL};
	const rg_command_options options = {.err = {.how = RG_STDIO_SAME},
					    .flags = RG_COMMAND_GROUP};
	rg_command *c = rg_command_new("/bin/sh", argv, &options);

	t->len = -ENOMEM;
	if (c)
		t->len = rg_command_output(c, t->output, ROOM, &t->result);
	rg_command_free(c);
}

static void print_task(const struct task *t)
{
	printf("$ %s\n", t->script);
	if (t->len < 0) {
		printf("(%s)\n", rg_strerror((int)t->len));
		return;
	}
	fwrite(t->output, 1, (size_t)t->len, stdout);
	if (t->result.is_truncated)
		printf("(and more)\n");
	if (t->result.signal)
		printf("(%s)\n", strsignal(t->result.signal));
	else if (t->result.exit_code)
		printf("(exit code %d)\n", t->result.exit_code);
}

static int app(void *arg)
{
	char **scripts = arg;
	rg_ctx *limit = rg_ctx_with_timeout(rg_ctx_background(), 2 * RG_SECOND);
	rg_waitgroup all = {0};
	struct task *tasks;
	size_t n = 0;

	while (scripts[n])
		n++;
	tasks = calloc(n + 1, sizeof *tasks);
	if (!limit || !tasks)
		return 1;
	rg_ctx_bind(limit); /* goroutines started from here inherit it */
	for (size_t i = 0; i < n; i++) {
		tasks[i].script = scripts[i];
		if (rg_waitgroup_go(&all, run_task, &tasks[i]) < 0)
			tasks[i].len = -ENOMEM;
	}
	rg_waitgroup_wait(&all);
	for (size_t i = 0; i < n; i++)
		print_task(&tasks[i]);
	free(tasks);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(limit);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: commands COMMAND...\n");
		return 2;
	}
	return rg_run(NULL, app, argv + 1);
}
