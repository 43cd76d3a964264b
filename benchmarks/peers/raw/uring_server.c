// SPDX-License-Identifier: MIT
/*
 * uring_server - TCP echo or HTTP hello as a bare io_uring loop of one thread.
 *
 * One ring (SINGLE_ISSUER, DEFER_TASKRUN); one multishot accept; a connection
 * alternates recv into a buffer of its own and send. All that a round of
 * completions asks for goes out with the next wait: one system call a round.
 * raw.h says what is answered.
 */
#include "raw.h"

#include <liburing.h>

#define ENTRIES 4096
#define BATCH   512

struct conn {
	int fd;
	bool sends;      /* the operation in flight is a send */
	size_t len;      /* bytes in buf: half a request, or the echo */
	const char *out; /* unsent: in raw_replies, or in buf */
	size_t out_len;
	char buf[RAW_BUF];
};

static bool is_http;
static struct io_uring ring;

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		int err = io_uring_submit(&ring);

		sqe = io_uring_get_sqe(&ring);
		if (!sqe)
			raw_die("io_uring_submit", err < 0 ? -err : EBUSY);
	}
	return sqe;
}

static void start_accept(int listener)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, NULL);
}

static void start_recv(struct conn *c)
{
	struct io_uring_sqe *sqe = get_sqe();

	c->sends = false;
	io_uring_prep_recv(sqe, c->fd, c->buf + c->len, RAW_BUF - c->len, 0);
	io_uring_sqe_set_data(sqe, c);
}

static void start_send(struct conn *c)
{
	struct io_uring_sqe *sqe = get_sqe();

	c->sends = true;
	io_uring_prep_send(sqe, c->fd, c->out, c->out_len, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, c);
}

static void accepted(int listener, int fd, unsigned int flags)
{
	struct conn *c;

	if (!(flags & IORING_CQE_F_MORE))
		start_accept(listener);
	if (fd == -ECONNABORTED || fd == -EINTR)
		return;
	if (fd < 0)
		raw_die("accept", -fd);
	c = calloc(1, sizeof *c);
	if (!c)
		raw_die("calloc", ENOMEM);
	c->fd = fd;
	raw_nodelay(fd);
	start_recv(c);
}

/* answer - decide what to send for what buf holds. False: hang up. */
static bool answer(struct conn *c)
{
	size_t used;
	int n;

	if (!is_http) {
		c->out = c->buf;
		c->out_len = c->len;
		c->len = 0;
		return true;
	}
	n = raw_requests(c->buf, c->len, &used);
	if (n < 0 || (n == 0 && c->len == RAW_BUF))
		return false;
	memmove(c->buf, c->buf + used, c->len - used);
	c->len -= used;
	c->out = raw_replies;
	c->out_len = (size_t)n * RAW_REPLY_LEN;
	return true;
}

/* completed - the operation in flight ended: start the next. False: gone. */
static bool completed(struct conn *c, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		(c->sends ? start_send : start_recv)(c);
		return true;
	}
	if (res <= 0)
		return false;
	if (c->sends) {
		c->out += res;
		c->out_len -= (size_t)res;
	} else {
		c->len += (size_t)res;
		if (!answer(c))
			return false;
	}
	(c->out_len ? start_send : start_recv)(c);
	return true;
}

static void handle(int listener, const struct io_uring_cqe *cqe)
{
	struct conn *c = io_uring_cqe_get_data(cqe);

	if (!c) {
		accepted(listener, cqe->res, cqe->flags);
	} else if (!completed(c, cqe->res)) {
		close(c->fd);
		free(c);
	}
}

int main(int argc, char **argv)
{
	struct io_uring_cqe *cqes[BATCH];
	int listener, err;

	is_http = raw_mode(argc, argv);
	err = io_uring_queue_init(ENTRIES, &ring,
				  IORING_SETUP_SINGLE_ISSUER |
					  IORING_SETUP_DEFER_TASKRUN |
					  IORING_SETUP_SUBMIT_ALL);
	if (err)
		raw_die("io_uring_queue_init", -err);
	err = io_uring_register_ring_fd(&ring);
	if (err < 0)
		raw_die("io_uring_register_ring_fd", -err);
	listener = raw_listen(0);
	start_accept(listener);
	for (;;) {
		unsigned int n;

		err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0 && err != -EINTR)
			raw_die("io_uring_submit_and_wait", -err);
		while ((n = io_uring_peek_batch_cqe(&ring, cqes, BATCH))) {
			for (unsigned int i = 0; i < n; i++)
				handle(listener, cqes[i]);
			io_uring_cq_advance(&ring, n);
		}
	}
}
