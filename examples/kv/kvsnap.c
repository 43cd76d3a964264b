// SPDX-License-Identifier: MIT
/* kvsnap - see the header. */
#include "examples/kv/kvsnap.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/kv/kvhash.h"

enum { BUFFER = 64 << 10, RECORD = 17, TRAILER = 17 };
static const char magic[8] = "RINGKV1\n";

/* ---- saving ------------------------------------------------------------------------ */

struct saving {
	rg_writer *writer;
	uint64_t crc;
	int64_t n;
	int err; /* the first one */
};

static void put(struct saving *s, const void *data, size_t n)
{
	ssize_t done = s->err ? 0 : rg_writer_write(s->writer, data, n);

	if (done < 0)
		s->err = (int)done;
	s->crc = kvcrc(s->crc, data, n);
}

static void put_item(struct saving *s, const struct kvitem *it)
{
	uint64_t expires = htole64((uint64_t)it->expires);
	uint32_t key_len = htole32(it->key_len), len = htole32(it->len);
	char head[RECORD] = {'K'};

	memcpy(head + 1, &expires, 8);
	memcpy(head + 9, &key_len, 4);
	memcpy(head + 13, &len, 4);
	put(s, head, sizeof head);
	put(s, it->key, it->key_len);
	put(s, it->value, it->len);
	s->n++;
}

/* All shards are locked. */
static void put_store(struct saving *s, const struct kvstore *store)
{
	char tail[TRAILER] = {'E'};
	uint64_t number;

	put(s, magic, sizeof magic);
	for (int i = 0; i < KV_SHARDS && !s->err; i++) {
		const struct kvshard *shard = &store->shards[i];

		for (size_t b = 0; b < shard->n_buckets && !s->err; b++)
			for (struct kvitem *it = shard->buckets[b]; it;
			     it = it->next)
				put_item(s, it);
	}
	number = htole64((uint64_t)s->n);
	memcpy(tail + 1, &number, 8);
	put(s, tail, 9);
	number = htole64(s->crc);
	put(s, &number, 8);
}

static int write_file(const struct kvstore *store, int fd)
{
	struct saving s = {.writer = rg_writer_new_fd(fd, BUFFER)};

	if (!s.writer)
		return -ENOMEM;
	put_store(&s, store);
	if (!s.err)
		s.err = rg_writer_flush(s.writer);
	if (!s.err)
		s.err = rg_fsync(fd);
	rg_writer_free(s.writer);
	return s.err;
}

/* The name is safe only when the folder that has it is. */
static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd, err;

	if (!folder)
		return -ENOMEM;
	fd = rg_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return fd;
	err = rg_fsync(fd);
	rg_close(fd);
	return err;
}

static int save_locked(const struct kvstore *store, const char *path,
		       const char *beside)
{
	int fd = rg_openat(AT_FDCWD, beside,
			   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err, closed;

	if (fd < 0)
		return fd;
	err = write_file(store, fd);
	closed = rg_close(fd);
	err = err ? err : closed;
	if (!err)
		err = rg_renameat(AT_FDCWD, beside, AT_FDCWD, path);
	if (err) {
		rg_unlinkat(AT_FDCWD, beside, 0);
		return err;
	}
	return sync_folder(path);
}

int kvsnap_save(struct kvstore *s, const char *path)
{
	size_t n = strlen(path);
	char *beside = malloc(n + sizeof ".new");
	int err;

	if (!beside)
		return -ENOMEM;
	memcpy(beside, path, n);
	memcpy(beside + n, ".new", sizeof ".new");
	kvstore_lock(s, UINT64_MAX); /* also keeps two SAVEs apart */
	err = save_locked(s, path, beside);
	kvstore_unlock(s, UINT64_MAX);
	free(beside);
	return err;
}

/* ---- loading ----------------------------------------------------------------------- */

struct loading {
	struct kvstore *store;
	rg_reader *reader;
	int64_t left; /* bytes of the file that were not read yet */
	int64_t size;
	int64_t max_bulk;
	int64_t now, n, n_kept;
	uint64_t crc;
	struct kvbuf key, value;
	struct kvbuf *why;
};

/* n more bytes of the file, which go into the checksum. */
static int get(struct loading *l, void *to, size_t n)
{
	ssize_t got = (int64_t)n > l->left
			      ? -ENODATA
			      : rg_reader_read_full(l->reader, to, n, NULL);

	if (got == (ssize_t)n) {
		l->left -= (int64_t)n;
		l->crc = kvcrc(l->crc, to, n);
		return 0;
	}
	if (got >= 0 || got == -ENODATA) {
		kvbuf_printf(l->why,
			     "it ends after %lld whole keys: the file was cut",
			     (long long)l->n);
		return -EBADMSG;
	}
	kvbuf_printf(l->why, "it cannot be read: %s", rg_strerror((int)got));
	return (int)got;
}

static int bad(struct loading *l, const char *what)
{
	kvbuf_printf(l->why, "%s at byte %lld, behind %lld keys", what,
		     (long long)(l->size - l->left), (long long)l->n);
	return -EBADMSG;
}

static int keep(struct loading *l, int64_t expires)
{
	struct kvkey k = kvstore_key(l->store, l->key.data, l->key.len);
	struct kvitem *it;

	if (expires && expires <= l->now)
		return 0;
	it = kvstore_put(&k, kvstore_find(&k, l->now, false), l->value.data,
			 l->value.len);
	if (!it || !kvstore_set_expiry(k.shard, it, expires)) {
		kvbuf_printf(l->why, "not enough memory for its keys");
		return -ENOMEM;
	}
	l->n_kept++;
	return 0;
}

/* The rest of a record, behind its 'K'. */
static int get_record(struct loading *l)
{
	char head[RECORD - 1];
	uint32_t key_len, len;
	uint64_t expires;
	int err = get(l, head, sizeof head);

	if (err)
		return err;
	memcpy(&expires, head, 8);
	memcpy(&key_len, head + 8, 4);
	memcpy(&len, head + 12, 4);
	expires = le64toh(expires);
	key_len = le32toh(key_len);
	len = le32toh(len);
	if (key_len > l->max_bulk || len > l->max_bulk || expires > INT64_MAX)
		return bad(l, "impossible lengths or times");
	if ((int64_t)key_len + len > l->left)
		return bad(l, "a key goes beyond the end (the file was cut, or "
			      "is damaged)");
	l->key.len = l->value.len = 0;
	if (!kvbuf_reserve(&l->key, key_len + 1) ||
	    !kvbuf_reserve(&l->value, len + 1))
		return -ENOMEM;
	l->key.len = key_len;
	l->value.len = len;
	err = get(l, l->key.data, key_len);
	if (!err)
		err = get(l, l->value.data, len);
	if (!err)
		err = keep(l, (int64_t)expires);
	l->n++;
	return err;
}

/* Behind the 'E'. */
static int get_trailer(struct loading *l)
{
	uint64_t n, crc, sum;
	int err = get(l, &n, 8);

	sum = l->crc;
	if (!err)
		err = get(l, &crc, 8);
	if (err)
		return err;
	if (le64toh(crc) != sum)
		kvbuf_printf(l->why,
			     "its checksum is wrong: the file is damaged");
	else if ((int64_t)le64toh(n) != l->n)
		kvbuf_printf(l->why, "it has not as many keys as it says");
	else if (l->left)
		kvbuf_printf(l->why, "%lld bytes follow its end",
			     (long long)l->left);
	else
		return 0;
	return -EBADMSG;
}

static int get_all(struct loading *l)
{
	char text[8], type;
	int err = l->size < (int64_t)sizeof magic ? -EBADMSG : get(l, text, 8);

	if (err || memcmp(text, magic, sizeof magic)) {
		if (!l->why->len)
			kvbuf_printf(l->why,
				     "it is no snapshot of this program");
		return err ? err : -EBADMSG;
	}
	for (;;) {
		err = get(l, &type, 1);
		if (!err && type == 'E')
			return get_trailer(l);
		if (!err)
			err = type == 'K' ? get_record(l)
					  : bad(l, "neither a key nor the end");
		if (err)
			return err;
	}
}

static int load_fd(struct loading *l, int fd)
{
	struct statx st;
	int err = rg_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);

	if (!err && !(l->reader = rg_reader_new_fd(fd, BUFFER)))
		err = -ENOMEM;
	if (!err) {
		l->left = l->size = (int64_t)st.stx_size;
		err = get_all(l);
		rg_reader_free(l->reader);
	}
	if (err && !l->why->len)
		kvbuf_printf(l->why, "%s", rg_strerror(err));
	kvbuf_free(&l->key);
	kvbuf_free(&l->value);
	return err;
}

int64_t kvsnap_load(struct kvstore *s, const char *path, int64_t max_bulk,
		    struct kvbuf *why)
{
	struct loading l = {.store = s,
			    .max_bulk = max_bulk,
			    .now = rg_unix_nano() / RG_MILLISECOND,
			    .why = why};
	int fd = rg_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		kvbuf_printf(why, "%s", rg_strerror(fd));
		return fd;
	}
	err = load_fd(&l, fd);
	rg_close(fd);
	return err ? err : l.n_kept;
}
