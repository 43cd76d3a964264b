// SPDX-License-Identifier: MIT
/*
 * dwarfline - an index over .debug_line.
 *
 * A unit of .debug_line is a header (file and directory tables) and a program
 * for a small state machine that emits rows (address, file, line). All programs
 * are run twice: once to count, once to store into a mapping of the right size.
 * Sequences are then sorted by address; a look-up is one binary search over the
 * sequences and one over the rows of the sequence. Tables are read only when a
 * path is wanted.
 *
 *   I1  bytes are read through a cursor that cannot leave its section; the first
 *       read that would sets `bad`, and every later one gives 0.
 *   I2  each turn of a loop over input consumes at least one byte of it, so time
 *       and rows are bounded by the section's length: 16 bytes a row, one row a
 *       byte at most.
 *   I3  rows of a sequence grow strictly; rows that step back are left out.
 *   I4  nothing is stored beyond the counted size, even if the file changes
 *       between the two runs.
 *   I5  no malloc, no lock, no stdio, no recursion: it runs in a crash handler.
 *
 * Called by symbolize.c only, in any context.
 *
 * Rejected: running the programs anew at each look-up (a dump of many stacks
 * pays for it thousands of times); .debug_aranges (clang writes none);
 * quicksort (bad input makes it quadratic) and merge sort (a second mapping).
 *
 * Sources: DWARF 5 section 6.2, DWARF 2 to 4 section 6.2.
 */
#include "kernel-iface/dwarfline.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel-iface/base/check.h"

/* The DWARF constants used here; <dwarf.h> belongs to a library of its own. */
enum {
	DW_LNS_copy = 1,
	DW_LNS_advance_pc = 2,
	DW_LNS_advance_line = 3,
	DW_LNS_set_file = 4,
	DW_LNS_const_add_pc = 8,
	DW_LNS_fixed_advance_pc = 9,
	DW_LNE_end_sequence = 1,
	DW_LNE_set_address = 2,
	DW_LNCT_path = 1,
	DW_LNCT_directory_index = 2,
	DW_FORM_data2 = 0x05,
	DW_FORM_data4 = 0x06,
	DW_FORM_data8 = 0x07,
	DW_FORM_string = 0x08,
	DW_FORM_block = 0x09,
	DW_FORM_block1 = 0x0a,
	DW_FORM_data1 = 0x0b,
	DW_FORM_strp = 0x0e,
	DW_FORM_udata = 0x0f,
	DW_FORM_data16 = 0x1e,
	DW_FORM_line_strp = 0x1f,
};

/* How many sequences before the nearest one may still cover an address: they
 * overlap only in odd files. */
#define OVERLAP_MAX 16

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "reads little-endian");
static_assert(sizeof(struct dwarfline_row) == 16, "the documented cost");

/* ---- reading bytes ------------------------------------------------------- */

struct cursor {
	const uint8_t *p, *end;
	bool bad; /* an access went beyond end */
};

static struct cursor cursor_at(const struct dwarfline_span *s, uint64_t offset)
{
	struct cursor c = {NULL, NULL, true};

	if (offset < s->len) {
		c.p = s->p + offset;
		c.end = s->p + s->len;
		c.bad = false;
	}
	return c;
}

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static void skip(struct cursor *c, uint64_t n)
{
	if (n <= left(c)) {
		c->p += n;
	} else {
		c->p = c->end;
		c->bad = true;
	}
}

/* n <= 8 bytes, least significant first. */
static uint64_t get(struct cursor *c, size_t n)
{
	uint64_t v = 0;

	if (n > left(c)) {
		skip(c, n);
		return 0;
	}
	memcpy(&v, c->p, n);
	c->p += n;
	return v;
}

/* A signed number comes as its two's complement: sums wrap like the machine's.
 * Bits beyond 64 are dropped. */
static uint64_t get_leb(struct cursor *c, bool is_signed)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)get(c, 1);
		if (shift < 64) {
			v |= (uint64_t)(byte & 0x7f) << shift;
			shift += 7;
		}
	} while (byte & 0x80);
	if (is_signed && shift < 64 && (byte & 0x40))
		v |= ~UINT64_C(0) << shift;
	return v;
}

static uint64_t get_uleb(struct cursor *c)
{
	return get_leb(c, false);
}

/* NULL (and bad) when no NUL follows within the section. */
static const char *get_string(struct cursor *c)
{
	const char *s = (const char *)c->p;
	const uint8_t *nul;

	nul = left(c) ? memchr(c->p, 0, left(c)) : NULL;
	if (!nul) {
		skip(c, (uint64_t)left(c) + 1);
		return NULL;
	}
	c->p = nul + 1;
	return s;
}

/* ---- unit headers -------------------------------------------------------- */

struct unit {
	struct cursor program;
	struct cursor tables;   /* of directories and files */
	const uint8_t *std_len; /* operands of opcode i: std_len[i - 1] */
	uint64_t offset;        /* of the header in the section */
	unsigned version;
	uint8_t offset_size; /* 4, or 8 in the 64-bit form */
	uint8_t min_inst, line_range, opcode_base;
	int8_t line_base;
};

/* The part of the header that says how to run the program. */
static bool read_machine(struct unit *u, struct cursor *c)
{
	uint64_t max_ops = 1;

	u->min_inst = (uint8_t)get(c, 1);
	if (u->version >= 4)
		max_ops = get(c, 1);
	skip(c, 1); /* default_is_stmt: rows count whether statement or not */
	u->line_base = (int8_t)get(c, 1);
	u->line_range = (uint8_t)get(c, 1);
	u->opcode_base = (uint8_t)get(c, 1);
	if (!u->opcode_base || !u->line_range || max_ops > 1)
		return false; /* more than one op: VLIW, not our machines */
	u->std_len = c->p;
	skip(c, u->opcode_base - 1U);
	u->tables = *c;
	return !c->bad;
}

/* Reads the header at `offset`. *next is where the following unit begins, in
 * any case beyond `offset`. False: not a unit this code understands. */
static bool read_unit(const struct dwarfline_span *line, uint64_t offset,
		      struct unit *u, uint64_t *next)
{
	struct cursor c = cursor_at(line, offset);
	uint64_t len;

	*u = (struct unit){.offset = offset, .offset_size = 4};
	*next = line->len;
	len = get(&c, 4);
	if (len == 0xffffffff) {
		u->offset_size = 8;
		len = get(&c, 8);
	} else if (len >= 0xfffffff0) {
		return false;
	}
	if (c.bad || len > left(&c))
		return false;
	c.end = c.p + len;
	*next = (uint64_t)(c.end - line->p);

	u->version = (unsigned)get(&c, 2);
	if (u->version < 2 || u->version > 5)
		return false;
	if (u->version == 5 && get(&c, 2) != 8)
		return false; /* address_size 8, segment_selector_size 0 */
	len = get(&c, u->offset_size);
	if (c.bad || len > left(&c))
		return false;
	u->program = (struct cursor){c.p + len, c.end, false};
	c.end = u->program.p;
	return read_machine(u, &c);
}

/* ---- running a program --------------------------------------------------- */

/* The registers that matter, and the sequence being collected. */
struct machine {
	struct dwarfline *d; /* rows and seqs are NULL while counting */
	size_t max_rows, max_seqs;
	uint64_t addr, line, file;
	uint64_t first;    /* row the sequence began with, <= d->n_rows */
	uint64_t lo, last; /* addresses of its first and newest row */
	bool open;         /* it has a row */
};

static void reset(struct machine *m)
{
	m->addr = 0;
	m->line = 1;
	m->file = 1;
	m->first = m->d->n_rows;
	m->open = false;
}

static uint32_t clamp(uint64_t v)
{
	return v <= UINT32_MAX ? (uint32_t)v : 0;
}

static void emit_row(struct machine *m)
{
	struct dwarfline *d = m->d;

	if (!m->open) {
		m->open = true;
		m->lo = m->addr;
	} else if (m->addr < m->last) {
		return;
	} else if (m->addr == m->last && d->n_rows > m->first) {
		d->n_rows--; /* the last word about an address holds */
	}
	m->last = m->addr;
	if (d->n_rows == m->max_rows)
		return;
	if (d->rows)
		d->rows[d->n_rows] = (struct dwarfline_row){
			m->addr, clamp(m->line), clamp(m->file)};
	d->n_rows++;
}

static void end_sequence(struct machine *m, const struct unit *u)
{
	struct dwarfline *d = m->d;
	uint64_t n = d->n_rows - m->first;

	if (m->open && n && m->addr > m->lo && m->lo >= d->sec.text_lo &&
	    m->lo < d->sec.text_hi && d->n_seqs < m->max_seqs) {
		if (d->seqs)
			d->seqs[d->n_seqs] = (struct dwarfline_seq){
				m->lo, m->addr, u->offset, m->first, n};
		d->n_seqs++;
	} else {
		d->n_rows = m->first;
	}
	reset(m);
}

static void run_extended(struct machine *m, struct cursor *c,
			 const struct unit *u)
{
	uint64_t len = get_uleb(c);
	struct cursor operand = *c;
	uint64_t opcode;

	skip(c, len);
	if (c->bad || !len)
		return;
	operand.end = c->p;
	opcode = get(&operand, 1);
	if (opcode == DW_LNE_end_sequence)
		end_sequence(m, u);
	else if (opcode == DW_LNE_set_address && len <= 9)
		m->addr = get(&operand, (size_t)len - 1);
	/* others say nothing about addresses and lines */
}

static void run_standard(struct machine *m, struct cursor *c,
			 const struct unit *u, uint8_t opcode)
{
	unsigned i;

	switch (opcode) {
	case DW_LNS_copy:
		emit_row(m);
		break;
	case DW_LNS_advance_pc:
		m->addr += get_uleb(c) * u->min_inst;
		break;
	case DW_LNS_advance_line:
		m->line += get_leb(c, true);
		break;
	case DW_LNS_set_file:
		m->file = get_uleb(c);
		break;
	case DW_LNS_const_add_pc:
		m->addr += (255U - u->opcode_base) / u->line_range *
			   (uint64_t)u->min_inst;
		break;
	case DW_LNS_fixed_advance_pc:
		m->addr += get(c, 2);
		break;
	default: /* of no interest here, or newer than this code */
		for (i = 0; i < u->std_len[opcode - 1]; i++)
			get_uleb(c);
	}
}

static void run_special(struct machine *m, const struct unit *u, uint8_t opcode)
{
	unsigned adjusted = (unsigned)opcode - u->opcode_base;

	m->addr += adjusted / u->line_range * (uint64_t)u->min_inst;
	m->line += (uint64_t)(int64_t)u->line_base + adjusted % u->line_range;
	emit_row(m);
}

static void run_unit(struct machine *m, const struct unit *u)
{
	struct cursor c = u->program;
	uint8_t opcode;

	reset(m);
	while (!c.bad && left(&c)) {
		opcode = (uint8_t)get(&c, 1);
		if (opcode >= u->opcode_base)
			run_special(m, u, opcode);
		else if (opcode == 0)
			run_extended(m, &c, u);
		else
			run_standard(m, &c, u, opcode);
	}
	m->d->n_rows = m->first; /* a sequence without an end is dropped */
}

static void run_all(struct dwarfline *d, size_t max_rows, size_t max_seqs)
{
	struct machine m = {.d = d, .max_rows = max_rows, .max_seqs = max_seqs};
	struct unit u;
	uint64_t offset, next;

	d->n_rows = 0;
	d->n_seqs = 0;
	for (offset = 0; offset < d->sec.line.len; offset = next)
		if (read_unit(&d->sec.line, offset, &u, &next))
			run_unit(&m, &u);
}

/* ---- the index ----------------------------------------------------------- */

void *dwarfline_pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool is_before(const char *a, const char *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return x[0] != y[0] ? x[0] < y[0] : x[1] < y[1];
}

/* The largest record; leak.c's has 72 bytes. */
enum { RECORD_MAX = 96 };

/* Moves the record at i of a heap of n down to its place. */
static void sift_down(char *r, size_t i, size_t n, size_t size)
{
	char held[RECORD_MAX];
	size_t child;

	memcpy(held, r + i * size, size);
	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n &&
		    is_before(r + child * size, r + (child + 1) * size))
			child++;
		if (!is_before(held, r + child * size))
			break;
		memcpy(r + i * size, r + child * size, size);
	}
	memcpy(r + i * size, held, size);
}

/* Linkers and assemblers mostly write in order: looking first pays. */
static bool is_sorted(const char *r, size_t n, size_t size)
{
	size_t i;

	for (i = 1; i < n; i++)
		if (is_before(r + i * size, r + (i - 1) * size))
			return false;
	return true;
}

void dwarfline_sort(void *records, size_t n, size_t size)
{
	char *r = records, held[RECORD_MAX];
	size_t i;

	RG_ASSERT(size <= sizeof(held));
	if (is_sorted(r, n, size))
		return;
	for (i = n / 2; i-- > 0;)
		sift_down(r, i, n, size);
	for (i = n; i-- > 1;) {
		memcpy(held, r, size);
		memcpy(r, r + i * size, size);
		memcpy(r + i * size, held, size);
		sift_down(r, 0, i, size);
	}
}

bool dwarfline_build(struct dwarfline *d, const struct dwarfline_sections *sec)
{
	size_t max_rows, max_seqs;
	char *map;

	*d = (struct dwarfline){.sec = *sec};
	run_all(d, SIZE_MAX, SIZE_MAX);
	max_rows = d->n_rows;
	max_seqs = d->n_seqs;
	d->map_len = max_rows * sizeof(*d->rows) + max_seqs * sizeof(*d->seqs);
	map = max_seqs ? dwarfline_pages(d->map_len) : NULL;
	if (!map) {
		*d = (struct dwarfline){0};
		return false;
	}
	d->rows = (void *)map;
	d->seqs = (void *)(map + max_rows * sizeof(*d->rows));
	run_all(d, max_rows, max_seqs);
	dwarfline_sort(d->seqs, d->n_seqs, sizeof(*d->seqs));
	return true;
}

void dwarfline_drop(struct dwarfline *d)
{
	if (d->rows)
		munmap(d->rows, d->map_len);
	*d = (struct dwarfline){0};
}

static const struct dwarfline_seq *find_seq(const struct dwarfline *d,
					    uint64_t addr)
{
	size_t lo = 0, hi = d->n_seqs, mid, tries;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (d->seqs[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (tries = 0; lo > 0 && tries < OVERLAP_MAX; tries++)
		if (addr < d->seqs[--lo].hi)
			return &d->seqs[lo];
	return NULL;
}

bool dwarfline_find(const struct dwarfline *d, uint64_t addr,
		    struct dwarfline_pos *out)
{
	const struct dwarfline_seq *s = find_seq(d, addr);
	size_t lo, hi, mid;

	if (!s)
		return false;
	lo = s->first; /* its row is at s->lo <= addr */
	hi = s->first + s->n;
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (d->rows[mid].addr <= addr)
			lo = mid;
		else
			hi = mid;
	}
	if (!d->rows[lo].line)
		return false;
	*out = (struct dwarfline_pos){s->unit, d->rows[lo].file,
				      d->rows[lo].line};
	return true;
}

/* ---- file and directory tables ------------------------------------------- */

struct entry {
	const char *name; /* NULL: unknown */
	uint64_t dir;
};

/* DWARF 2 to 4: names end with an empty one; files count from 1. */
static bool find_old(struct cursor c, uint64_t index, bool is_file,
		     struct entry *out)
{
	const char *name;
	uint64_t i, dir;

	for (i = 1; (name = get_string(&c)) && *name; i++) {
		dir = 0;
		if (is_file) {
			dir = get_uleb(&c);
			get_uleb(&c); /* time of modification */
			get_uleb(&c); /* length */
		}
		if (i == index) {
			*out = (struct entry){name, dir};
			return !c.bad;
		}
	}
	return false;
}

/* The file table follows the directory table. */
static struct cursor skip_old_dirs(struct cursor c)
{
	const char *name;

	while ((name = get_string(&c)) && *name)
		;
	return c;
}

static const char *string_in(const struct dwarfline_span *s, uint64_t offset)
{
	struct cursor c = cursor_at(s, offset);

	return c.bad ? NULL : get_string(&c);
}

/* Reads one field of a DWARF 5 entry: a string into *name or else a number.
 * Each known form takes at least one byte (I2); an unknown one is bad. */
static uint64_t get_form(struct cursor *c, uint64_t form, const struct unit *u,
			 const struct dwarfline *d, const char **name)
{
	static const uint8_t data_size[] = {
		[DW_FORM_data1] = 1,
		[DW_FORM_data2] = 2,
		[DW_FORM_data4] = 4,
		[DW_FORM_data8] = 8,
	};
	size_t size;

	*name = NULL;
	switch (form) {
	case DW_FORM_string:
		*name = get_string(c);
		return 0;
	case DW_FORM_line_strp:
		*name = string_in(&d->sec.line_str, get(c, u->offset_size));
		return 0;
	case DW_FORM_strp:
		*name = string_in(&d->sec.str, get(c, u->offset_size));
		return 0;
	case DW_FORM_udata:
		return get_uleb(c);
	case DW_FORM_block:
		skip(c, get_uleb(c));
		return 0;
	case DW_FORM_block1:
		skip(c, get(c, 1));
		return 0;
	case DW_FORM_data16:
		skip(c, 16);
		return 0;
	default:
		size = form < sizeof(data_size) ? data_size[form] : 0;
		c->bad |= !size;
		return get(c, size);
	}
}

/* Reads one entry described by the n pairs (content, form) at `format`. */
static struct entry get_entry(struct cursor *c, struct cursor format, size_t n,
			      const struct unit *u, const struct dwarfline *d)
{
	struct entry e = {NULL, 0};
	uint64_t content, value;
	const char *name;

	while (n-- > 0 && !c->bad) {
		content = get_uleb(&format);
		value = get_form(c, get_uleb(&format), u, d, &name);
		if (content == DW_LNCT_path)
			e.name = name;
		else if (content == DW_LNCT_directory_index)
			e.dir = value;
	}
	return e;
}

/* DWARF 5: a table is a format, a count and entries that count from 0. Leaves
 * *c behind the table when index is beyond it. */
static bool find_new(struct cursor *c, uint64_t index, const struct unit *u,
		     const struct dwarfline *d, struct entry *out)
{
	size_t n_format = (size_t)get(c, 1), i;
	struct cursor format = *c;
	uint64_t n, at;

	for (i = 0; i < 2 * n_format; i++)
		get_uleb(c);
	n = get_uleb(c);
	if (!n_format && n)
		c->bad = true; /* entries of no bytes: endless (I2) */
	for (at = 0; at < n && !c->bad; at++) {
		*out = get_entry(c, format, n_format, u, d);
		if (at == index)
			return !c->bad && out->name;
	}
	return false;
}

/* The path as up to three parts, most significant first; NULL or "" are left
 * out. part[0] is the compilation directory where the table knows it. */
static bool find_parts(const struct dwarfline *d, const struct unit *u,
		       uint64_t file, const char *part[3])
{
	struct cursor c = u->tables;
	struct entry e;

	part[0] = part[1] = NULL;
	if (u->version < 5) {
		if (!find_old(skip_old_dirs(c), file, true, &e))
			return false;
		part[2] = e.name;
		if (e.dir && find_old(u->tables, e.dir, false, &e))
			part[1] = e.name;
		return true;
	}
	find_new(&c, UINT64_MAX, u, d, &e); /* over the directories */
	if (!find_new(&c, file, u, d, &e))
		return false;
	part[2] = e.name;
	c = u->tables;
	if (e.dir && find_new(&c, e.dir, u, d, &e))
		part[1] = e.name;
	c = u->tables;
	if (find_new(&c, 0, u, d, &e))
		part[0] = e.name;
	return true;
}

size_t dwarfline_path(const struct dwarfline *d,
		      const struct dwarfline_pos *pos, char *buf, size_t cap)
{
	const char *part[3];
	size_t len = 0, n, i, from;
	struct unit u;
	uint64_t next;

	if (!read_unit(&d->sec.line, pos->unit, &u, &next) ||
	    !find_parts(d, &u, pos->file, part))
		return 0;
	for (from = 2; from > 0; from--) /* the last absolute part begins it */
		if (part[from] && part[from][0] == '/')
			break;
	for (i = from; i < 3; i++) {
		n = part[i] ? strlen(part[i]) : 0;
		if (!n)
			continue;
		if (n >= cap || len >= cap - n - 1)
			return 0;
		if (len && buf[len - 1] != '/')
			buf[len++] = '/';
		memcpy(buf + len, part[i], n);
		len += n;
	}
	if (!len || len >= cap)
		return 0;
	buf[len] = '\0';
	return len;
}
