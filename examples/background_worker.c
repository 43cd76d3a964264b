// SPDX-License-Identifier: MIT
/*
 * background_worker - a goroutine that works at every tick of a ticker, takes
 * jobs from a channel in between, and ends when its context is cancelled.
 */
#include <ringgo.h>

#include <stdio.h>

struct worker {
	rg_ctx *ctx;
	rg_chan *jobs; /* int */
	rg_waitgroup running;
	int ticks, sum;
};

static void work(void *arg)
{
	struct worker *w = arg;
	rg_ticker *ticker = rg_ticker_new(50 * RG_MILLISECOND);
	int job;
	rg_case cases[] = {
		RG_RECV(rg_ctx_done(w->ctx), NULL),
		RG_RECV(ticker ? rg_ticker_chan(ticker) : NULL, NULL),
		RG_RECV(w->jobs, &job),
	};

	for (;;) {
		switch (rg_select(cases, sizeof cases / sizeof *cases)) {
		case 0:
			printf("worker: asked to end (%s)\n",
			       rg_strerror(rg_ctx_err(w->ctx)));
			rg_ticker_free(ticker);
			return;
		case 1:
			printf("worker: tick %d\n", ++w->ticks);
			break;
		default:
			printf("worker: job %d\n", job);
			w->sum += job;
		}
	}
}

static int app(void *arg)
{
	struct worker w = {
		.ctx = rg_ctx_with_cancel(rg_ctx_background()),
		.jobs = rg_make(int, 0),
	};
	int err = w.ctx && w.jobs ? 0 : -ENOMEM;

	(void)arg;
	if (!err)
		err = rg_waitgroup_go(&w.running, work, &w);
	if (err < 0) {
		fprintf(stderr, "background_worker: %s\n", rg_strerror(err));
		return 1;
	}
	for (int job = 1; job <= 3; job++) {
		rg_send(w.jobs, job);
		rg_sleep(120 * RG_MILLISECOND);
	}
	rg_ctx_cancel(w.ctx, 0);
	rg_waitgroup_wait(&w.running);
	printf("main: %d ticks, the jobs add up to %d\n", w.ticks, w.sum);
	rg_chan_unref(w.jobs);
	rg_ctx_unref(w.ctx);
	return 0;
}

int main(void)
{
	return rg_run(NULL, app, NULL) != 0;
}
