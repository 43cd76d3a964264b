/* SPDX-License-Identifier: MIT */
/*
 * cfitable - the unwind tables of an object: from a pc to the row of rules for it.
 *
 * The dynamic linker's index names the object and its search table (.eh_frame_hdr);
 * the FDE that it finds and its CIE are programs, run up to the pc. The tables are
 * trusted as far as their object is: what lies within the object's mapping is read.
 * After DWARF 5, 6.4, and the LSB's description of .eh_frame. Used by cfi.c.
 *
 * Any thread, handlers included: no lock, no allocation, no system call.
 */
#ifndef RGK_CFITABLE_H
#define RGK_CFITABLE_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel-iface/cfi.h"

#if defined(__x86_64__) && defined(DLFO_STRUCT_HAS_EH_DBASE)
#define CFITABLE_IS_KNOWN 1
#else
#define CFITABLE_IS_KNOWN 0
#endif

enum rule {
	RULE_SAME,
	RULE_UNDEFINED,
	RULE_OFFSET, /* at CFA + n */
	RULE_VAL_OFFSET,
	RULE_REGISTER,
	RULE_EXPRESSION, /* at the result; n: offset from the program's base */
	RULE_VAL_EXPRESSION,
};

struct row {
	uint8_t rule[CFI_REGISTERS];
	int32_t n[CFI_REGISTERS];
	bool cfa_is_expression;
	uint8_t cfa_register;
	int32_t cfa_n;
};

struct cursor {
	const uint8_t *at, *end;
	bool is_bad;
};

struct fde {
	uintptr_t start, end;  /* code */
	struct cursor initial; /* the CIE's program */
	struct cursor program; /* its own */
	const uint8_t *base;   /* of n in expressions: the object's mapping */
	uint64_t code_align;
	int64_t data_align;
	uint8_t encoding;
	bool is_signal;
};

/* cfitable_find - the FDE of the procedure around pc. */
bool cfitable_find(uintptr_t pc, struct fde *f);

/* cfitable_row - the rules that hold at pc, which lies in *f. False: broken. */
bool cfitable_row(const struct fde *f, uintptr_t pc, struct row *row);

/* ---- bytes ---- */

static inline bool has_bytes(struct cursor *c, size_t n)
{
	if ((size_t)(c->end - c->at) >= n)
		return true;
	c->is_bad = true;
	c->at = c->end;
	return false;
}

static inline uint64_t read_fixed(struct cursor *c, size_t n)
{
	uint64_t value = 0;

	if (!has_bytes(c, n))
		return 0;
	memcpy(&value, c->at, n);
	c->at += n;
	return value;
}

static inline int64_t sign_extend(uint64_t value, unsigned bits)
{
	return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static inline uint64_t read_uleb(struct cursor *c)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (has_bytes(c, 1)) {
		uint8_t byte = *c->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	return value;
}

static inline int64_t read_sleb(struct cursor *c)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (has_bytes(c, 1)) {
		uint8_t byte = *c->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		return shift < 64 ? sign_extend(value, shift) : (int64_t)value;
	}
	return 0;
}

#endif
