// SPDX-License-Identifier: MIT
/* kvhash - see the header. */
#include "examples/kv/kvhash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t kvhash(const uint64_t seed[2], const void *data, size_t n)
{
	uint64_t v[4] = {
		seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
		seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
	const char *p = data;
	uint64_t word;

	for (size_t left = n; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		sip_word(v, le64toh(word));
	}
	word = 0;
	memcpy(&word, p, n % 8);
	sip_word(v, le64toh(word) | (uint64_t)n << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the checksum ------------------------------------------------------------------ */

static uint64_t crc_table[256];

void kvcrc_init(void)
{
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xc96c5795d7870f42 : c >> 1;
		crc_table[i] = c;
	}
}

uint64_t kvcrc(uint64_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	crc = ~crc;
	for (; n; n--)
		crc = crc_table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}
