// SPDX-License-Identifier: MIT
/*
 * http_client - fetch a list of URLs at once, one goroutine each, and collect
 * the status lines through one channel, in the order in which they arrive.
 *
 *	http_client URL...
 */
#include <ringgo.h>

#include <stdio.h>

struct job {
	const char *url;
	rg_chan *results;
};

struct result {
	const char *url;
	char status[64];
	int64_t body_len;
};

static int fetch(const char *url, struct result *res)
{
	char buf[4096];
	rg_http_response *resp;
	ssize_t n;
	int err = rg_http_get(url, &resp);

	if (err < 0)
		return err;
	snprintf(res->status, sizeof res->status, "%s",
		 rg_http_response_status_text(resp));
	while ((n = rg_http_response_read(resp, buf, sizeof buf)) > 0)
		res->body_len += n;
	rg_http_response_close(resp);
	return (int)n;
}

static void fetcher(void *arg)
{
	const struct job *job = arg;
	struct result res = {.url = job->url};
	int err = fetch(job->url, &res);

	if (err < 0)
		snprintf(res.status, sizeof res.status, "error: %s",
			 rg_strerror(err));
	rg_send(job->results, res);
}

static int app(void *arg)
{
	char **urls = arg;
	rg_chan *results = rg_make(struct result, 0);
	int started = 0, failed = 0;
	rg_time start = rg_now();

	if (!results)
		return 1;
	for (; urls[started]; started++) {
		struct job job = {urls[started], results};

		if (rg_go_copy(fetcher, &job, sizeof job) < 0)
			break;
	}
	for (int i = 0; i < started; i++) {
		struct result res;

		rg_recv(results, &res);
		printf("%-32s %s, %lld bytes\n", res.url, res.status,
		       (long long)res.body_len);
		failed += res.status[0] == 'e';
	}
	printf("%d of %d fetched in %.2f s\n", started - failed, started,
	       (double)(rg_now() - start) / (double)RG_SECOND);
	rg_chan_unref(results);
	return failed || urls[started];
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: http_client URL...\n");
		return 2;
	}
	return rg_run(NULL, app, argv + 1) != 0;
}
