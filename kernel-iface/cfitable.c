// SPDX-License-Identifier: MIT
/*
 * cfitable - see cfitable.h.
 */
#include "kernel-iface/cfitable.h"

#include <dlfcn.h>

#if CFITABLE_IS_KNOWN

enum { ROWS_MAX = 4 };

/* Encodings of pointers, DW_EH_PE_*. */
enum {
	PE_ABSPTR = 0x00,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_FORMAT = 0x0f,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,

	PE_OMIT = 0xff,
};

struct machine {
	const struct fde *fde;
	uintptr_t location, target;
	struct row row, initial;
	struct row saved[ROWS_MAX];
	unsigned nsaved;
	bool is_bad;
};

static int64_t read_format(struct cursor *c, uint8_t encoding)
{
	switch (encoding & PE_FORMAT) {
	case PE_UDATA2:
		return (int64_t)read_fixed(c, 2);
	case PE_SDATA2:
		return sign_extend(read_fixed(c, 2), 16);
	case PE_UDATA4:
		return (int64_t)read_fixed(c, 4);
	case PE_SDATA4:
		return sign_extend(read_fixed(c, 4), 32);
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return (int64_t)read_fixed(c, 8);
	default:
		c->is_bad = true;
		return 0;
	}
}

/* A pointer by absolute or pc-relative encoding. */
static uintptr_t read_pointer(struct cursor *c, uint8_t encoding)
{
	uintptr_t here = (uintptr_t)c->at;
	uintptr_t value = (uintptr_t)read_format(c, encoding);

	switch (encoding & ~PE_FORMAT & 0xff) {
	case 0:
		return value;
	case PE_PCREL:
		return value + here;
	default:
		c->is_bad = true;
		return 0;
	}
}

/* ---- from a pc to its FDE ---- */

struct table_entry {
	int32_t start, fde; /* from the table's header */
};

/* The cursor over the record at `at`, past its length; end is the record's. */
static struct cursor open_record(const uint8_t *at,
				 const struct dl_find_object *object)
{
	const uint8_t *lo = object->dlfo_map_start, *hi = object->dlfo_map_end;
	struct cursor c = {.is_bad = true};
	uint32_t len;

	if (at < lo || at > hi - 8)
		return c;
	memcpy(&len, at, sizeof len);
	if (!len || len >= 0xfffffff0 || len > (size_t)(hi - at - 4))
		return c;
	c.at = at + 4;
	c.end = c.at + len;
	c.is_bad = false;
	return c;
}

static bool parse_cie(struct fde *f, struct cursor *c)
{
	const char *augmentation;
	uint8_t version;

	if (read_fixed(c, 4))
		return false;
	version = (uint8_t)read_fixed(c, 1);
	augmentation = (const char *)c->at;
	while (has_bytes(c, 1) && *c->at++)
		;
	f->code_align = read_uleb(c);
	f->data_align = read_sleb(c);
	if (version == 1 ? read_fixed(c, 1) != CFI_PC : read_uleb(c) != CFI_PC)
		return false;
	if ((version != 1 && version != 3) || augmentation[0] != 'z')
		return false;
	read_uleb(c);
	for (const char *p = augmentation + 1; *p && !c->is_bad; p++) {
		uint8_t encoding;

		switch (*p) {
		case 'R':
			f->encoding = (uint8_t)read_fixed(c, 1);
			break;
		case 'L':
			read_fixed(c, 1);
			break;
		case 'P':
			encoding = (uint8_t)read_fixed(c, 1);
			read_format(c, encoding);
			break;
		case 'S':
			f->is_signal = true;
			break;
		default:
			return false;
		}
	}
	f->initial = *c;
	return !c->is_bad;
}

static bool parse_fde(struct fde *f, const uint8_t *at,
		      const struct dl_find_object *object)
{
	struct cursor c = open_record(at, object), cie;
	uint64_t len;

	if (c.is_bad)
		return false;
	at = c.at;
	cie = open_record(at - (int32_t)read_fixed(&c, 4), object);
	if (cie.is_bad || !parse_cie(f, &cie))
		return false;
	f->start = read_pointer(&c, f->encoding);
	f->end = f->start + (uintptr_t)read_format(&c, f->encoding);
	len = read_uleb(&c);
	if (!has_bytes(&c, len))
		return false;
	c.at += len;
	f->program = c;
	f->base = object->dlfo_map_start;
	return !c.is_bad;
}

/* The last entry that starts at or before pc. */
static const struct table_entry *search(const struct table_entry *t, size_t n,
					int64_t pc)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &t[lo - 1] : NULL;
}

bool cfitable_find(uintptr_t pc, struct fde *f)
{
	struct dl_find_object object;
	const struct table_entry *entry;
	const uint8_t *header;
	struct cursor c;
	uint64_t n;

	memset(f, 0, sizeof *f);
	if (_dl_find_object((void *)pc, &object) || !object.dlfo_eh_frame)
		return false;
	header = object.dlfo_eh_frame;
	if (header[0] != 1 || header[2] == PE_OMIT ||
	    header[3] != (PE_DATAREL | PE_SDATA4))
		return false;
	c.at = header + 4;
	c.end = object.dlfo_map_end;
	c.is_bad = false;
	read_format(&c, header[1]);
	n = (uint64_t)read_format(&c, header[2]);
	if (c.is_bad || !has_bytes(&c, n * sizeof *entry))
		return false;
	entry = search((const struct table_entry *)(const void *)c.at, n,
		       (int64_t)(pc - (uintptr_t)header));
	return entry && parse_fde(f, header + entry->fde, &object) &&
	       pc >= f->start && pc < f->end;
}

/* ---- the program ---- */

static void set_rule(struct machine *m, uint64_t reg, enum rule rule, int64_t n)
{
	if (reg >= CFI_REGISTERS)
		return; /* a vector register, say */
	if (n != (int32_t)n)
		m->is_bad = true;
	m->row.rule[reg] = (uint8_t)rule;
	m->row.n[reg] = (int32_t)n;
}

static void restore_rule(struct machine *m, uint64_t reg)
{
	if (reg >= CFI_REGISTERS)
		return;
	m->row.rule[reg] = m->initial.rule[reg];
	m->row.n[reg] = m->initial.n[reg];
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t n)
{
	if (reg >= CFI_REGISTERS || n != (int32_t)n)
		m->is_bad = true;
	m->row.cfa_is_expression = false;
	m->row.cfa_register = (uint8_t)reg;
	m->row.cfa_n = (int32_t)n;
}

/* A block of an expression: what is kept is where it starts. */
static int64_t skip_block(struct machine *m, struct cursor *c)
{
	const uint8_t *start = c->at;
	uint64_t len = read_uleb(c);

	if (!has_bytes(c, len)) {
		m->is_bad = true;
		return 0;
	}
	c->at += len;
	return start - m->fde->base;
}

static void push_row(struct machine *m)
{
	if (m->nsaved == ROWS_MAX)
		m->is_bad = true;
	else
		m->saved[m->nsaved++] = m->row;
}

static void pop_row(struct machine *m)
{
	if (!m->nsaved)
		m->is_bad = true;
	else
		m->row = m->saved[--m->nsaved];
}

/* The instructions that say where the frame is. */
static bool run_cfa(struct machine *m, struct cursor *c, uint8_t op)
{
	int64_t scale = m->fde->data_align;
	uint64_t reg;

	switch (op) {
	case 0x0c: /* def_cfa */
		reg = read_uleb(c);
		set_cfa(m, reg, (int64_t)read_uleb(c));
		return true;
	case 0x0d: /* def_cfa_register */
		set_cfa(m, read_uleb(c), m->row.cfa_n);
		return true;
	case 0x0e: /* def_cfa_offset */
		set_cfa(m, m->row.cfa_register, (int64_t)read_uleb(c));
		return true;
	case 0x0f: /* def_cfa_expression */
		m->row.cfa_n = (int32_t)skip_block(m, c);
		m->row.cfa_is_expression = true;
		return true;
	case 0x12: /* def_cfa_sf */
		reg = read_uleb(c);
		set_cfa(m, reg, read_sleb(c) * scale);
		return true;
	case 0x13: /* def_cfa_offset_sf */
		set_cfa(m, m->row.cfa_register, read_sleb(c) * scale);
		return true;
	default:
		return false;
	}
}

/* Those that say where a register is. */
static bool run_register(struct machine *m, struct cursor *c, uint8_t op)
{
	int64_t scale = m->fde->data_align;
	uint64_t reg = read_uleb(c);

	switch (op) {
	case 0x05: /* offset_extended */
		set_rule(m, reg, RULE_OFFSET, (int64_t)read_uleb(c) * scale);
		return true;
	case 0x06: /* restore_extended */
		restore_rule(m, reg);
		return true;
	case 0x07: /* undefined */
		set_rule(m, reg, RULE_UNDEFINED, 0);
		return true;
	case 0x08: /* same_value */
		set_rule(m, reg, RULE_SAME, 0);
		return true;
	case 0x09: /* register */
		set_rule(m, reg, RULE_REGISTER, (int64_t)read_uleb(c));
		return true;
	case 0x10: /* expression */
		set_rule(m, reg, RULE_EXPRESSION, skip_block(m, c));
		return true;
	case 0x11: /* offset_extended_sf */
		set_rule(m, reg, RULE_OFFSET, read_sleb(c) * scale);
		return true;
	case 0x14: /* val_offset */
		set_rule(m, reg, RULE_VAL_OFFSET,
			 (int64_t)read_uleb(c) * scale);
		return true;
	case 0x15: /* val_offset_sf */
		set_rule(m, reg, RULE_VAL_OFFSET, read_sleb(c) * scale);
		return true;
	case 0x16: /* val_expression */
		set_rule(m, reg, RULE_VAL_EXPRESSION, skip_block(m, c));
		return true;
	case 0x2f: /* GNU_negative_offset_extended */
		set_rule(m, reg, RULE_OFFSET, -(int64_t)read_uleb(c) * scale);
		return true;
	default:
		return false;
	}
}

static void run_other(struct machine *m, struct cursor *c, uint8_t op)
{
	switch (op) {
	case 0x00: /* nop */
		return;
	case 0x01: /* set_loc */
		m->location = read_pointer(c, m->fde->encoding);
		return;
	case 0x02: /* advance_loc1, 2, 4 */
		m->location += read_fixed(c, 1) * m->fde->code_align;
		return;
	case 0x03:
		m->location += read_fixed(c, 2) * m->fde->code_align;
		return;
	case 0x04:
		m->location += read_fixed(c, 4) * m->fde->code_align;
		return;
	case 0x0a: /* remember_state */
		push_row(m);
		return;
	case 0x0b: /* restore_state */
		pop_row(m);
		return;
	case 0x2e: /* GNU_args_size */
		read_uleb(c);
		return;
	default:
		if (!run_cfa(m, c, op) && !run_register(m, c, op))
			m->is_bad = true;
	}
}

/* Runs until the row for the target is complete. */
static bool run(struct machine *m, struct cursor c)
{
	while (c.at < c.end && !c.is_bad && !m->is_bad) {
		uint8_t byte = *c.at++;
		unsigned low = byte & 0x3f;

		switch (byte >> 6) {
		case 1: /* advance_loc */
			m->location += low * m->fde->code_align;
			break;
		case 2: /* offset */
			set_rule(m, low, RULE_OFFSET,
				 (int64_t)read_uleb(&c) * m->fde->data_align);
			break;
		case 3: /* restore */
			restore_rule(m, low);
			break;
		default:
			run_other(m, &c, byte);
		}
		if (m->location > m->target)
			return !c.is_bad && !m->is_bad;
	}
	return !c.is_bad && !m->is_bad;
}

bool cfitable_row(const struct fde *f, uintptr_t pc, struct row *row)
{
	struct machine m = {.fde = f, .location = f->start, .target = pc};

	if (!run(&m, f->initial))
		return false;
	m.initial = m.row;
	if (!run(&m, f->program))
		return false;
	*row = m.row;
	return true;
}

#else

bool cfitable_find(uintptr_t pc, struct fde *f)
{
	(void)pc;
	(void)f;
	return false;
}

bool cfitable_row(const struct fde *f, uintptr_t pc, struct row *row)
{
	(void)f;
	(void)pc;
	(void)row;
	return false;
}

#endif
