/* SPDX-License-Identifier: MIT */
/*
 * dwarfline - from a link-time address to file and line, by .debug_line.
 *
 * Works on bytes already in memory (the sections of one ELF file), of DWARF 2
 * to 5, 32- and 64-bit form, little-endian, and on one index that is built once.
 * Reads no .debug_info: lines only, no inlined frames.
 *
 * Context: any, the handler of a crash included. Needs no more than mmap and
 * munmap; takes no lock; an index may be read by several threads at once.
 */
#ifndef RGK_DWARFLINE_H
#define RGK_DWARFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of one section; len 0 when it is absent. */
struct dwarfline_span {
	const uint8_t *p;
	size_t len;
};

struct dwarfline_sections {
	struct dwarfline_span line;     /* .debug_line */
	struct dwarfline_span line_str; /* .debug_line_str, DWARF 5 */
	struct dwarfline_span str;      /* .debug_str */
	/* Sequences that begin outside belong to functions the linker threw
	 * away (their address is 0): they are ignored. */
	uint64_t text_lo, text_hi;
};

struct dwarfline_row {
	uint64_t addr;
	uint32_t line; /* 0: the compiler names no line */
	uint32_t file; /* index as the unit numbers it */
};

/* A run of rows with growing addresses: one function, one section or one unit.*/
struct dwarfline_seq {
	uint64_t lo, hi;   /* [lo, hi); lo and hi are the sort key */
	uint64_t unit;     /* offset of the unit's header in .debug_line */
	uint64_t first, n; /* of rows[] */
};

/* Zeroed is an empty index. */
struct dwarfline {
	struct dwarfline_sections sec;
	struct dwarfline_row *rows;
	struct dwarfline_seq *seqs;
	size_t n_rows, n_seqs;
	size_t map_len; /* of the one mapping that holds rows and seqs */
};

/* A position: what to hand to dwarfline_path, and the line. */
struct dwarfline_pos {
	uint64_t unit;
	uint32_t file;
	uint32_t line; /* never 0 */
};

/*
 * dwarfline_build - index *sec, whose bytes must outlive *d. False: no line in
 * it, or no memory; *d is then empty and need not be dropped.
 */
bool dwarfline_build(struct dwarfline *d, const struct dwarfline_sections *sec);
void dwarfline_drop(struct dwarfline *d);

/* dwarfline_find - the position of addr. False: unknown. O(log n). */
bool dwarfline_find(const struct dwarfline *d, uint64_t addr,
		    struct dwarfline_pos *out);

/*
 * dwarfline_path - write the file's path, NUL-terminated, joined from the
 * directories as recorded (relative where the compiler recorded no compilation
 * directory, as DWARF before 5 does outside .debug_info). Returns its length;
 * 0: unknown or longer than cap.
 */
size_t dwarfline_path(const struct dwarfline *d,
		      const struct dwarfline_pos *pos, char *buf, size_t cap);

/* Shared with the index of symbols. */

/* Sorts n records of `size` bytes (at most 96, a multiple of 8) that begin with
 * two uint64_t, by these. In place, without recursion, O(n log n) always. */
void dwarfline_sort(void *records, size_t n, size_t size);

/* Zeroed pages, or NULL. Given back by munmap. */
void *dwarfline_pages(size_t len);

#endif
