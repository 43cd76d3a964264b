// SPDX-License-Identifier: MIT
/*
 * httpblock - see httpblock.h.
 */
#include "net/http/httpblock.h"

#include "kernel-iface/alloc.h"
#include "sched/m.h"

static struct httpblock_stripe *own_stripe(struct httpblock_pool *p)
{
	const struct m *mp = getm();

	return &p->stripes[(mp ? mp->id : 0) & (HTTPBLOCK_STRIPES - 1)];
}

static struct httpblock *take(struct httpblock_stripe *s)
{
	struct httpblock *b;

	rtlock_lock(&s->lock);
	b = s->free;
	if (b) {
		s->free = b->next_free;
		s->n--;
	}
	rtlock_unlock(&s->lock);
	return b;
}

struct httpblock *httpblock_get(struct httpblock_pool *p, rg_conn *conn,
				rg_duration write_timeout)
{
	struct httpblock *b = take(own_stripe(p));

	if (rg_unlikely(!b)) {
		b = rgk_alloc(sizeof(*b));
		if (!b)
			return NULL;
		b->writer.date.second = 0;
		b->writer.fields = b->writer.fields_lent;
	}
	httpin_init(&b->in, conn, b->in_lent, HTTPBLOCK_IN);
	b->out.conn = conn;
	b->out.timeout = write_timeout;
	b->out.err = 0;
	b->out.len = 0;
	b->request.ctx = NULL;
	b->request.more_scratch = NULL;
	return b;
}

void httpblock_put(struct httpblock_pool *p, struct httpblock *b)
{
	struct httpblock_stripe *s = own_stripe(p);
	bool is_kept;

	httpin_reset(&b->in);
	rtlock_lock(&s->lock);
	is_kept = s->n < HTTPBLOCK_KEEP;
	if (is_kept) {
		b->next_free = s->free;
		s->free = b;
		s->n++;
	}
	rtlock_unlock(&s->lock);
	if (!is_kept)
		rgk_free(b);
}

void httpblock_free_all(struct httpblock_pool *p)
{
	for (int i = 0; i < HTTPBLOCK_STRIPES; i++) {
		struct httpblock *b;

		while ((b = take(&p->stripes[i])))
			rgk_free(b);
	}
}
