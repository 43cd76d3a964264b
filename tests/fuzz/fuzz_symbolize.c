// SPDX-License-Identifier: MIT
/*
 * fuzz_symbolize - the reader of ELF files and line programs, fed with anything.
 *
 * The input is an image of a file; it is copied to where it ends at the end of
 * an allocation, so that the address sanitizer sees a byte read too far. Asked
 * for are the addresses where things begin and end, and some from the input.
 * Attacks I2 of symbolize.c and I1 to I4 of dwarfline.c.
 *
 * The seeds are tiny programs with lines of DWARF 5 (also -gdwarf64), 4 and 2 and
 * a stripped object, made from a C file of three functions and a header by
 *	cc -O1 -g -gdwarf-N -fdebug-prefix-map=$PWD=/seed -nostdlib -static \
 *		-fno-asynchronous-unwind-tables -Wl,--build-id \
 *		-Wl,-z,noseparate-code
 */
#include "kernel-iface/symbolize.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void ask(const struct symbolize_image *im, uint64_t addr)
{
	struct sym_frame f = {0};
	struct dwarfline_pos pos;
	char path[300];
	size_t n;

	if (symbolize_image_function(im, addr, &f)) {
		require(strlen(f.function) < im->len);
		require(f.function_offset <= addr);
	}
	if (!dwarfline_find(&im->lines, addr, &pos))
		return;
	require(pos.line > 0);
	n = dwarfline_path(&im->lines, &pos, path, sizeof(path));
	require(n < sizeof(path) && (!n || strlen(path) == n));
}

static void ask_around(const struct symbolize_image *im, uint64_t addr)
{
	ask(im, addr - 1);
	ask(im, addr);
	ask(im, addr + 1);
}

static void check_index(const struct dwarfline *d)
{
	const struct dwarfline_seq *s;
	size_t i, j;

	for (i = 0; i < d->n_seqs; i++) {
		s = &d->seqs[i];
		require(s->lo < s->hi && s->n > 0);
		require(s->first <= d->n_rows && s->n <= d->n_rows - s->first);
		require(i == 0 || d->seqs[i - 1].lo <= s->lo);
		require(d->rows[s->first].addr == s->lo);
		for (j = 1; j < s->n; j++)
			require(d->rows[s->first + j - 1].addr <
				d->rows[s->first + j].addr);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct symbolize_image im;
	uint64_t addr;
	size_t i;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	if (symbolize_image_open(&im, copy, len)) {
		check_index(&im.lines);
		for (i = 0; i < PROBES && i < im.lines.n_seqs; i++) {
			ask_around(&im, im.lines.seqs[i].lo);
			ask_around(&im, im.lines.seqs[i].hi);
		}
		for (i = 0; i < PROBES && i < im.lines.n_rows; i++)
			ask(&im, im.lines.rows[i].addr);
		for (i = 0; i < PROBES && 8 * i + 8 <= len; i++) {
			memcpy(&addr, data + 8 * i, 8);
			ask(&im, addr);
		}
		for (addr = 0x400000; addr < 0x400800; addr += 7)
			ask(&im, addr);
		symbolize_image_close(&im);
	}
	free(copy);
	return 0;
}
