// SPDX-License-Identifier: MIT
/*
 * optable - the table of opcodes; see the header.
 */
#include "kernel-iface/optable.h"

#include <stddef.h>

#define OP_ENTRY(op, text, fam, how, major, minor)                             \
	[op] = {.name = (text),                                                \
		.family = (fam),                                               \
		.cancel = (how),                                               \
		.kernel_major = (major),                                       \
		.kernel_minor = (minor)},
static const struct op_info table[] = {OP_TABLE(OP_ENTRY)};

#define OP_ONE(op, text, fam, how, major, minor) +1
static_assert(sizeof(table) / sizeof(table[0]) == RGK_OP_COUNT,
	      "the table ends at the last opcode");
static_assert(0 OP_TABLE(OP_ONE) == RGK_OP_COUNT,
	      "each opcode has exactly one line");

static const struct op_info unknown = {.name = "unknown",
				       .family = OP_RING,
				       .cancel = OP_CANCEL_QUEUED,
				       .kernel_major = 255,
				       .kernel_minor = 255};

const struct op_info *op_info(unsigned opcode)
{
	return opcode < RGK_OP_COUNT ? &table[opcode] : &unknown;
}

const char *op_name(unsigned opcode)
{
	return op_info(opcode)->name;
}

bool op_info_is_since(const struct op_info *info, unsigned major,
		      unsigned minor)
{
	return major > info->kernel_major ||
	       (major == info->kernel_major && minor >= info->kernel_minor);
}

const char *op_family_name(unsigned family)
{
	static const char *const names[] = {[OP_NET] = "net",
					    [OP_FILE] = "file",
					    [OP_WAIT] = "wait",
					    [OP_RING] = "ring"};

	return family < sizeof(names) / sizeof(names[0]) ? names[family]
							 : "unknown";
}
