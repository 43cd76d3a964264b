// SPDX-License-Identifier: MIT
/*
 * local - a goroutine's own variables: a small hash table that hangs on its record.
 *
 * Made when the first value is set, so that goroutines without any pay for a pointer.
 * Open addressing by the key's address, at most three quarters full; a key that was
 * once set keeps its slot, with a NULL value. 8 slots are 144 bytes.
 *
 *   I1  only the goroutine itself touches its table; nothing here is shared.
 *   I2  a value is out of the table before its destructor runs: rg_exit in a
 *       destructor goes on with the others.
 * A foreign thread's table hangs on its pseudo goroutine, and a pthread key, whose
 * value is that goroutine's record, runs local_end when the thread ends.
 * Rejected: an index for each key, handed out at the first use, and an array in the
 * goroutine: that is a registration, with a limit or an array as long as the highest
 * index, and it wants a place in the key that is written at run time.
 */
#include "sched/local.h"

#include <ringgo/local.h>

#include <pthread.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/futexlock.h"
#include "kernel-iface/textmap.h"

enum { FIRST_CAP = 8 };

struct slot {
	const rg_local_key *key; /* NULL: free */
	void *value;
};

struct g_locals {
	uint32_t cap, n; /* cap: a power of two; n: slots with a key */
	struct slot slot[];
};

/* The slot of key, or the free one where it would be. */
static struct slot *find(struct g_locals *t, const rg_local_key *key)
{
	/* Keys are 16 bytes: the low bits tell nothing. */
	uint64_t h = ((uintptr_t)key >> 4) * UINT64_C(0x9E3779B97F4A7C15);
	uint32_t at = (uint32_t)(h >> 32) & (t->cap - 1);

	while (t->slot[at].key && t->slot[at].key != key)
		at = (at + 1) & (t->cap - 1);
	return &t->slot[at];
}

static struct g_locals *table_new(uint32_t cap)
{
	struct g_locals *t = rgk_zalloc(sizeof(*t) + cap * sizeof(struct slot));

	if (t)
		t->cap = cap;
	return t;
}

/* A larger table in its place; one without the keys that have no value. */
static bool grow(struct g *gp)
{
	struct g_locals *old = gp->locals;
	struct g_locals *t = table_new(old ? 2 * old->cap : FIRST_CAP);

	if (!t)
		return false;
	for (uint32_t i = 0; old && i < old->cap; i++) {
		if (!old->slot[i].value)
			continue;
		*find(t, old->slot[i].key) = old->slot[i];
		t->n++;
	}
	rgk_free(old);
	gp->locals = t;
	return true;
}

/* ---- foreign threads ---------------------------------------------------------- */

static struct futexlock at_exit_lock; /* of has_at_exit, while it is made */
static bool has_at_exit;
static pthread_key_t at_exit;

static void thread_ends(void *gp)
{
	local_end(gp);
}

static int make_at_exit(void)
{
	int err = 0;

	futexlock_lock(&at_exit_lock);
	if (!has_at_exit)
		err = -pthread_key_create(&at_exit, thread_ends);
	has_at_exit = !err;
	futexlock_unlock(&at_exit_lock);
	return err;
}

/* Its destructors will run. */
static int watch_thread(struct g *gp)
{
	int err = make_at_exit();

	return err ? err : -pthread_setspecific(at_exit, gp);
}

/* ---- public -------------------------------------------------------------------- */

static struct g *owner(const rg_local_key *key, const char *call)
{
	struct g *gp = getg();

	if (!key)
		rg_panic("%s: nil key", call);
	return gp;
}

void *rg_local_get(const rg_local_key *key)
{
	struct g *gp = owner(key, "rg_local_get");

	return gp->locals ? find(gp->locals, key)->value : NULL;
}

int rg_local_set(const rg_local_key *key, void *value)
{
	struct g *gp = owner(key, "rg_local_set");
	struct slot *s = gp->locals ? find(gp->locals, key) : NULL;

	if (!value) {
		if (s)
			s->value = NULL;
		return 0;
	}
	if (gp->kind == G_FOREIGN && !gp->locals) {
		int err = watch_thread(gp);

		if (err)
			return err;
	}
	if (!s || (!s->key && 4 * (gp->locals->n + 1) > 3 * gp->locals->cap)) {
		if (!grow(gp))
			return -ENOMEM;
		s = find(gp->locals, key);
	}
	if (!s->key)
		gp->locals->n++;
	*s = (struct slot){key, value};
	return 0;
}

/* ---- the end ------------------------------------------------------------------- */

/* A value with a destructor, taken out (I2). */
static bool take_one(struct g_locals *t, struct slot *out)
{
	for (uint32_t i = 0; i < t->cap; i++) {
		*out = t->slot[i];
		t->slot[i].value = NULL;
		if (out->value && out->key->destroy_)
			return true;
	}
	return false;
}

RG_CALLS_USER void local_end(struct g *gp)
{
	struct slot s;

	/* The table anew each time: a destructor may set values. */
	while (gp->locals && take_one(gp->locals, &s))
		s.key->destroy_(s.value);
	rgk_free(gp->locals);
	gp->locals = NULL;
}
