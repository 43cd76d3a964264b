/* SPDX-License-Identifier: MIT */
/*
 * symbolize - from program counters to "function, file:line, object+offset".
 *
 * For dumps and panics: open, ask for as many program counters as there are,
 * close. What is known of the process is what was mapped when it was opened.
 *
 * Context: any thread, any goroutine with 8 KiB of stack, and the handler of a
 * crash: no malloc, no lock, no stdio, no dynamic linker; only open, stat, read,
 * readlink, mmap, munmap and close. One symbolizer serves one thread at a time.
 * errno is overwritten: a signal handler that returns saves it.
 */
#ifndef RGK_SYMBOLIZE_H
#define RGK_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-iface/dwarfline.h"

struct symbolizer;

struct sym_frame {
	const char *function; /* as in the symbol table; NULL: unknown */
	uint64_t function_offset;
	const char *file;       /* NULL: unknown, and line is 0 */
	unsigned line;          /* else at least 1 */
	const char *object;     /* path of the ELF file, or "[vdso]" */
	uint64_t object_offset; /* what `addr2line -e object` takes */
};

/*
 * symbolize_open - read what is mapped. NULL: no memory or no /proc. Costs one
 * pass over the list of mappings; a file is opened by the first question about
 * it. The first 512 executable mappings of the first 256 files are seen.
 */
struct symbolizer *symbolize_open(void);

/*
 * symbolize_pc - say what lies at pc. is_return_address: pc follows a call, and
 * the call is what is asked for (pc - 1 is looked up; offsets are those of pc).
 * False: no file is mapped executable there; *out is then zeroed. True: object
 * is set and the rest is as good as the files' symbols and lines allow. Without
 * a readable ELF file, object_offset is the offset into the file.
 * The strings live until symbolize_close.
 */
bool symbolize_pc(struct symbolizer *s, uintptr_t pc, bool is_return_address,
		  struct sym_frame *out);

void symbolize_close(struct symbolizer *s); /* NULL is nothing */

/*
 * One ELF file by itself, by link-time addresses: what the above is made of.
 * Every byte of it may be wrong.
 */
struct symbolize_symbol;

struct symbolize_image {
	const uint8_t *base; /* the whole file; any alignment */
	size_t len;
	uint64_t sections, segments; /* offsets of the two tables of headers */
	size_t n_sections, n_segments;
	struct symbolize_symbol *symbols; /* sorted; a mapping of map_len */
	size_t n_symbols, map_len;
	struct dwarfline_span names; /* string table of symbols */
	bool has_symtab;             /* they are from .symtab, not .dynsym */
	struct dwarfline_span build_id;
	struct dwarfline lines;
};

/*
 * symbolize_image_open - index the len bytes at base, which must outlive *im.
 * False: not an executable or shared object of this machine's class; *im is then
 * zeroed. An image without symbols or lines, or no memory for an index, is not a
 * failure: less is known.
 */
bool symbolize_image_open(struct symbolize_image *im, const void *base,
			  size_t len);

/* symbolize_image_function - set function and function_offset for addr; false,
 * with nothing set, when no symbol covers it. Lines: dwarfline_find. */
bool symbolize_image_function(const struct symbolize_image *im, uint64_t addr,
			      struct sym_frame *out);

/* Gives the indexes back, not the bytes at base. */
void symbolize_image_close(struct symbolize_image *im);

#endif
