// SPDX-License-Identifier: MIT
/*
 * pipeline - numbers flow through three stages, and all of it ends together.
 *
 * Each stage gets the channels in the direction that it needs. The scope does not end
 * before its goroutines: they may use what lives on the stack below. ^C ends the context
 * bound to them, and with it the slow stage's sleeps. A dump (^\) shows the labels.
 */
#include <ringgo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct stage {
	rg_receiver from;
	rg_sender to;
	int n;
};

static void label(const char *stage)
{
	const rg_label l = {"stage", stage};

	(void)rg_labels_set(&l, 1);
}

static int count(void *arg)
{
	const struct stage *s = arg;

	label("count");
	for (int64_t i = 1; i <= s->n; i++)
		rg_send(s->to, i);
	rg_sender_close(s->to);
	return 0;
}

static int square(void *arg)
{
	const struct stage *s = arg;
	int64_t v;
	int err = 0;

	label("square");
	/* It goes on receiving after an error: who sends must not wait for ever. */
	rg_range(s->from, &v) {
		if (!err)
			err = rg_sleep(RG_MILLISECOND);
		if (!err)
			rg_send(s->to, v * v);
	}
	rg_sender_close(s->to);
	return err;
}

static int64_t add_up(rg_receiver from)
{
	int64_t v, sum = 0;

	rg_range(from, &v)
		sum += v;
	return sum;
}

static int app(void *arg)
{
	static const int signals[] = {SIGINT, SIGTERM};
	rg_chan *numbers = rg_make(int64_t, 4), *squares = rg_make(int64_t, 4);
	struct stage first = {.to = rg_chan_sender(numbers), .n = *(int *)arg};
	struct stage second = {.from = rg_chan_receiver(numbers),
			       .to = rg_chan_sender(squares)};
	rg_ctx *stop;
	int err = rg_ctx_with_signals(rg_ctx_background(), signals, 2, &stop);

	if (!numbers || !squares || err)
		return 1;
	rg_ctx_unref(rg_ctx_bind(stop));
	RG_SCOPE(scope, 0);
	if (rg_scope_go(&scope, count, &first))
		return 1;
	if (rg_scope_go(&scope, square, &second))
		return add_up(second.from) >= 0; /* lets count end */
	printf("the squares up to %d: %lld", first.n,
	       (long long)add_up(rg_chan_receiver(squares)));
	err = rg_scope_end(&scope);
	printf(" (%s)\n", err ? rg_strerror(err) : "all of them");
	rg_chan_unref(numbers);
	rg_chan_unref(squares);
	rg_ctx_unref(stop);
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 20;

	return rg_run(NULL, app, &n) != 0;
}
