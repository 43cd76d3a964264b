/* SPDX-License-Identifier: MIT */
/*
 * kvsnap - the store in a file, and back.
 *
 * A file is the 8 bytes "RINGKV1\n", then for each key a record: 'K', when it expires
 * (8 bytes, ms since 1970, 0 never), the lengths of key and value (4 bytes each), both;
 * then 'E', the number of records (8) and the CRC-64 of everything before it (8).
 * Numbers are little endian. Nothing follows.
 *
 *   I1  Under the file's name there is a whole snapshot at any time, the old one or the
 *       new one: it is written beside it, synchronised, renamed, and the folder is
 *       synchronised.
 *   I2  A snapshot shows one point in time: every shard is locked while it is written.
 */
#ifndef KVSNAP_H
#define KVSNAP_H

#include "examples/kv/kvbuf.h"
#include "examples/kv/kvstore.h"

/* kvsnap_save - 0 or a negative errno; then the old snapshot is as it was. */
int kvsnap_save(struct kvstore *s, const char *path);

/* kvsnap_load - into an empty store: how many keys there are now, those that have
 * expired left out. -ENOENT: no such file. Other failures: *why says what is wrong, for
 * a person; the store has some of the keys. */
int64_t kvsnap_load(struct kvstore *s, const char *path, int64_t max_bulk,
		    struct kvbuf *why);

#endif
