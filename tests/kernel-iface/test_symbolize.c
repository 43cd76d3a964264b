// SPDX-License-Identifier: MIT
/*
 * test_symbolize - names and lines of program counters.
 *
 * Attacks symbolize.c I1 (a crash handler on a small stack, in a child where
 * malloc, locks, stdio and the loader are traps), I2 (cut and damaged images that
 * end at an unmapped page), I3 (strings compared long after), I5 (aliases), and
 * dwarfline.c I1, I2 (every cut of a unit), I3 (rows that step back), by units
 * written here byte by byte; then compares with addr2line where that is
 * installed. Tests of lines are skipped when built without -g.
 */
#include "kernel-iface/symbolize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Not inlined, not cloned under another name. */
#define OPAQUE __attribute__((noinline, used))

#define SKIP(why)                                                              \
	do {                                                                   \
		print_message("skipped: " why "\n");                           \
		skip();                                                        \
	} while (0)

/* ---- line units, written by hand ----------------------------------------- */

struct bytes {
	uint8_t b[512];
	size_t n;
	size_t size, body, tables; /* of the unit begun last */
};

static void put_bytes(struct bytes *o, const void *bytes, size_t n)
{
	assert_true(o->n + n <= sizeof(o->b));
	memcpy(o->b + o->n, bytes, n);
	o->n += n;
}

static void put(struct bytes *o, uint64_t v, size_t size)
{
	put_bytes(o, &v, size);
}

#define PUT(o, literal) put_bytes(o, literal, sizeof(literal) - 1)

/* line_base is -5, line_range 14, opcode_base 13. */
static void begin_unit(struct bytes *o, unsigned version, size_t size)
{
	o->size = size;
	if (size == 8)
		PUT(o, "\xff\xff\xff\xff");
	put(o, 0, size);
	o->body = o->n;
	put(o, version, 2);
	if (version == 5)
		PUT(o, "\10\0"); /* address_size, segment_selector_size */
	put(o, 0, size);
	o->tables = o->n;
	if (version >= 4)
		PUT(o, "\1"); /* as minimum_instruction_length before it */
	PUT(o, "\1\1\xfb\x0e\x0d");
	PUT(o, "\0\1\1\1\1\0\0\0\1\0\0\1"); /* operands of opcodes */
}

/* Fills in the length, of size bytes, that counts from begin to here. */
static void patch(struct bytes *o, size_t begin)
{
	uint64_t len = o->n - begin;

	memcpy(o->b + begin - o->size, &len, o->size);
}

/* Line programs, as lists of bytes. STEP is a special opcode: it moves both
 * registers and emits a row. */
#define RUN(o, ...)                                                            \
	put_bytes(o, (const uint8_t[]){__VA_ARGS__},                           \
		  sizeof((const uint8_t[]){__VA_ARGS__}))
#define ADDRESS(a)       0, 9, 2, (a)&255, (a) >> 8, 0, 0, 0, 0, 0, 0
#define STEP(addr, line) 13 + 14 * (addr) + (line) + 5
#define COPY             1
#define ADVANCE_PC(n)    2, n
#define ADVANCE_LINE(n)  3, (n)&127
#define SET_FILE(n)      4, n
#define CONST_ADD_PC     8 /* 17 here */
#define FIXED_ADVANCE(n) 9, (n)&255, (n) >> 8
#define END_SEQUENCE     0, 1, 1

static void build(struct dwarfline *d, const struct bytes *line,
		  const struct bytes *strings)
{
	struct dwarfline_sections sec = {{line->b, line->n},
					 {strings->b, strings->n},
					 {strings->b, strings->n},
					 .text_lo = 0x1000,
					 .text_hi = 0x9000};

	dwarfline_build(d, &sec);
}

static void assert_line(const struct dwarfline *d, uint64_t addr,
			const char *path, unsigned line)
{
	struct dwarfline_pos pos;
	char buf[128];

	assert_true(dwarfline_find(d, addr, &pos));
	assert_int_equal(pos.line, line);
	assert_int_equal(dwarfline_path(d, &pos, buf, sizeof(buf)),
			 strlen(path));
	assert_string_equal(buf, path);
	assert_int_equal(dwarfline_path(d, &pos, buf, strlen(path)), 0);
}

static void write_old_unit(struct bytes *o, unsigned version)
{
	begin_unit(o, version, 4);
	PUT(o, "/abs\0rel\0\0"
	       "plain.c\0\0\0\0in_abs.h\0\1\4\5in_rel.h\0\2\0\0\0");
	patch(o, o->tables);
	RUN(o, ADDRESS(0x2000), STEP(0, 8), STEP(4, 1), SET_FILE(2), STEP(4, 2),
	    SET_FILE(3), ADVANCE_LINE(-8), FIXED_ADVANCE(0x100), COPY,
	    CONST_ADD_PC, END_SEQUENCE);
	patch(o, o->body);
}

static void dwarfline_old_versions_give_lines_and_paths(void **state)
{
	struct dwarfline_pos pos;
	struct dwarfline d;
	struct bytes o;
	unsigned version;

	(void)state;
	for (version = 2; version <= 4; version++) {
		o.n = 0;
		write_old_unit(&o, version);
		build(&d, &o, &o);
		assert_int_equal(d.n_seqs, 1);
		assert_line(&d, 0x2000, "plain.c", 9);
		assert_line(&d, 0x2004, "plain.c", 10);
		assert_line(&d, 0x2008, "/abs/in_abs.h", 12);
		assert_line(&d, 0x2108, "rel/in_rel.h", 4);
		assert_line(&d, 0x2118, "rel/in_rel.h", 4);
		assert_false(dwarfline_find(&d, 0x2119, &pos));
		assert_false(dwarfline_find(&d, 0x1fff, &pos));
		dwarfline_drop(&d);
	}
}

/* Directories by line_strp, or strp in the 64-bit form; files by inline string,
 * with every other kind of field beside it. */
static void write_new_unit(struct bytes *o, struct bytes *strings, size_t size)
{
	strings->n = 0;
	PUT(strings, "/comp/dir\0sub\0");
	begin_unit(o, 5, size);
	PUT(o, "\1\1");
	put(o, size == 4 ? 0x1f : 0x0e, 1);
	PUT(o, "\2");
	put(o, 0, size);
	put(o, 10, size);
	/* directory udata, path string, MD5 data16, size block, time data4 */
	PUT(o, "\5\2\x0f\1\x08\5\x1e\4\x09\3\x06\2");
	PUT(o, "\0main.c\0sixteen bytes!!!\2xx\7\0\0\0");
	PUT(o, "\1part.h\0sixteen bytes!!!\0\7\0\0\0");
	patch(o, o->tables);
	RUN(o, ADDRESS(0x3000), SET_FILE(0), STEP(0, 1), SET_FILE(1),
	    STEP(1, 1), ADVANCE_PC(1), END_SEQUENCE);
	patch(o, o->body);
}

static void dwarfline_version_5_gives_lines_and_paths(void **state)
{
	struct bytes o, strings;
	struct dwarfline d;
	size_t size;

	(void)state;
	for (size = 4; size <= 8; size += 4) {
		o.n = 0;
		write_new_unit(&o, &strings, size);
		write_old_unit(&o, 3); /* units follow each other */
		build(&d, &o, &strings);
		assert_int_equal(d.n_seqs, 2);
		assert_line(&d, 0x3000, "/comp/dir/main.c", 2);
		assert_line(&d, 0x3001, "/comp/dir/sub/part.h", 3);
		assert_line(&d, 0x2000, "plain.c", 9);
		dwarfline_drop(&d);
	}
}

static void dwarfline_odd_rows_and_sequences_are_left_out(void **state)
{
	struct bytes o = {.n = 0};
	struct dwarfline_pos pos;
	struct dwarfline d;

	(void)state;
	begin_unit(&o, 2, 4);
	PUT(&o, "\0a.c\0\0\0\0\0");
	patch(&o, o.tables);
	/* Thrown away by the linker: would cover all text. */
	RUN(&o, ADDRESS(0), STEP(0, 1), ADDRESS(0x8fff), END_SEQUENCE);
	/* An address twice, then a step back, then a row without a line. */
	RUN(&o, ADDRESS(0x4000), STEP(0, 4), STEP(0, 3), STEP(2, 2),
	    ADDRESS(0x3000), STEP(0, 1), ADDRESS(0x4004), ADVANCE_LINE(-11),
	    COPY, ADVANCE_PC(4), END_SEQUENCE);
	RUN(&o, ADDRESS(0x5000), STEP(0, 1)); /* no end */
	patch(&o, o.body);
	build(&d, &o, &o);
	assert_int_equal(d.n_seqs, 1);
	assert_line(&d, 0x4001, "a.c", 8);
	assert_line(&d, 0x4003, "a.c", 10);
	assert_false(dwarfline_find(&d, 0x4004, &pos));
	assert_false(dwarfline_find(&d, 0x1000, &pos));
	assert_false(dwarfline_find(&d, 0x3000, &pos));
	assert_false(dwarfline_find(&d, 0x5000, &pos));
	dwarfline_drop(&d);
}

/* The end of enough pages for a copy of this program, followed by no memory:
 * reading one byte too far is a crash. */
static uint8_t *guard;

static int make_guard(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p;

	len = (len + 2 * page - 1) / page * page;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return -1;
	guard = p + len - page;
	return mprotect(guard, page, PROT_NONE);
}

static void ask_line(const struct dwarfline *d, uint64_t addr)
{
	struct dwarfline_pos pos;
	char buf[64];

	if (dwarfline_find(d, addr, &pos))
		dwarfline_path(d, &pos, buf, sizeof(buf));
}

static void dwarfline_cut_and_changed_bytes_are_survived(void **state)
{
	struct dwarfline_sections sec = {.text_lo = 0x1000, .text_hi = 0x9000};
	struct bytes o = {.n = 0}, strings;
	struct dwarfline d;
	uint64_t addr;
	size_t i, n;

	(void)state;
	write_new_unit(&o, &strings, 8);
	write_old_unit(&o, 4);
	sec.line_str = (struct dwarfline_span){strings.b, strings.n};
	sec.str = (struct dwarfline_span){strings.b, 3}; /* no NUL */
	for (i = 0; i < 256 * o.n + o.n; i++) {
		n = i < o.n ? i : o.n;
		memcpy(guard - n, o.b, n);
		if (i >= o.n)
			*(guard - n + (i - o.n) / 256) = (uint8_t)i;
		sec.line = (struct dwarfline_span){guard - n, n};
		dwarfline_build(&d, &sec);
		for (addr = 0x1ff0; addr < 0x4010; addr += 3)
			ask_line(&d, addr);
		dwarfline_drop(&d);
	}
}

static uint64_t random64(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static void dwarfline_sort_orders_by_both_keys(void **state)
{
	uint64_t v[257][3], sum;
	size_t n, i;

	(void)state;
	for (n = 0; n <= 257; n++) {
		for (i = 0, sum = 0; i < n; i++) {
			sum += v[i][2] = random64() % 256;
			v[i][0] = v[i][2] / 16;
			v[i][1] = v[i][2] % 16;
		}
		dwarfline_sort(v, n, sizeof(v[0]));
		for (i = 0; i < n; sum -= v[i++][2])
			assert_true(!i || v[i - 1][2] <= v[i][2]);
		assert_int_equal(sum, 0);
	}
}

/* ---- this process -------------------------------------------------------- */

struct place {
	uintptr_t pc;
	unsigned line;
};

static OPAQUE uintptr_t return_address(void)
{
	return (uintptr_t)__builtin_return_address(0);
}

/* The address and the line of one call. */
static OPAQUE void known_static_function(struct place *p)
{
	p->line = __LINE__, p->pc = return_address();
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static struct symbolize_image self;

static int load_self(void **state)
{
	struct stat st;
	void *p;
	int fd;

	(void)state;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -1;
	if (!symbolize_image_open(&self, p, (size_t)st.st_size))
		return -1;
	return make_guard(self.len);
}

static void need_lines(void)
{
	if (!self.lines.n_seqs || !self.has_symtab)
		SKIP("built without -g, or stripped");
}

static struct symbolizer *open_or_fail(void)
{
	struct symbolizer *s = symbolize_open();

	assert_non_null(s);
	return s;
}

static void symbolize_static_function_has_file_and_line(void **state)
{
	struct symbolizer *s;
	struct sym_frame f, g;
	struct place p;

	(void)state;
	need_lines();
	known_static_function(&p);
	s = open_or_fail();
	assert_true(symbolize_pc(s, p.pc, true, &f));
	assert_string_equal(f.function, "known_static_function");
	assert_int_equal(p.pc - f.function_offset,
			 (uintptr_t)&known_static_function);
	assert_non_null(strstr(f.file, "kernel-iface/test_symbolize.c"));
	assert_int_equal(f.line, p.line);
	assert_int_equal(f.object[0], '/');
	assert_true(symbolize_pc(s, p.pc - 1, false, &g));
	assert_ptr_equal(f.file, g.file); /* once in the pool */
	assert_int_equal(g.object_offset, f.object_offset - 1);
	assert_int_equal(g.function_offset, f.function_offset - 1);
	symbolize_close(s);
}

/* Two names of one function, a label in it, a gap, a label by itself. */
__asm__(".text\n"
	".globl _t_two_names, t_two_names, t_inner, t_label\n"
	".type _t_two_names, %function\n"
	".type t_two_names, %function\n"
	"_t_two_names:\nt_two_names:\n nop\nt_inner:\n nop\n"
	".size _t_two_names, . - _t_two_names\n"
	".size t_two_names, . - t_two_names\n"
	" nop\nt_label:\n nop\n nop\nt_after:\n nop\n"
	".type t_after, %function\n.size t_after, . - t_after\n");
extern const char t_two_names[], t_inner[], t_label[];

static void symbolize_best_of_several_symbols_is_taken(void **state)
{
	size_t nop = (size_t)(t_inner - t_two_names), i;
	const struct {
		const char *pc, *function;
		size_t offset;
	} want[] = {{t_two_names, "t_two_names", 0},
		    {t_inner, "t_two_names", nop},
		    {t_inner + nop, "none", 0}, /* past the end, no other */
		    {t_label, "t_label", 0},
		    {t_label + nop, "t_label", nop},
		    {t_label + 2 * nop, "t_after", 0}};
	struct symbolizer *s;
	struct sym_frame f;

	(void)state;
	if (!self.has_symtab)
		SKIP("stripped");
	s = open_or_fail();
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(symbolize_pc(s, (uintptr_t)want[i].pc, false, &f));
		assert_int_equal(f.function_offset, want[i].offset);
		assert_string_equal(f.function ? f.function : "none",
				    want[i].function);
	}
	symbolize_close(s);
}

/* pc is the first byte of a function. */
static void assert_function(void *pc, const char *name, const char *object)
{
	struct symbolizer *s = open_or_fail();
	struct sym_frame f;

	assert_true(symbolize_pc(s, (uintptr_t)pc + 1, true, &f));
	assert_non_null(f.function);
	assert_non_null(strstr(f.function, name));
	assert_int_equal(f.function_offset, 1);
	assert_non_null(strstr(f.object, object));
	symbolize_close(s);
}

static void symbolize_libc_function_has_name(void **state)
{
	(void)state;
	assert_function(dlsym(RTLD_DEFAULT, "getppid"), "getppid", "libc");
}

static void symbolize_loaded_object_is_found(void **state)
{
	struct symbolizer *before = open_or_fail();
	void *lib = NULL, *pc = NULL;
	struct sym_frame f;
	bool known;

	(void)state;
	if (!dlopen("libresolv.so.2", RTLD_NOW | RTLD_NOLOAD))
		lib = dlopen("libresolv.so.2", RTLD_NOW);
	if (lib)
		pc = dlsym(lib, "ns_datetosecs");
	known = symbolize_pc(before, (uintptr_t)pc, false, &f);
	symbolize_close(before);
	if (!pc)
		SKIP("no libresolv.so.2 to load");
	assert_false(known);
	assert_null(f.object);
	assert_function(pc, "ns_datetosecs", "libresolv");
	assert_int_equal(dlclose(lib), 0);
}

static void symbolize_unknown_address_gives_false(void **state)
{
	struct symbolizer *s = open_or_fail();
	struct sym_frame f = {.function = "left over"};
	uintptr_t pc[] = {0, 1, 4096, UINTPTR_MAX, (uintptr_t)&f, (uintptr_t)s};
	size_t i;

	(void)state;
	for (i = 0; i < 12; i++) {
		assert_false(symbolize_pc(s, pc[i / 2], i & 1, &f));
		assert_null(f.function);
		assert_null(f.object);
	}
	symbolize_close(s);
	symbolize_close(NULL);
}

static void symbolize_vdso_functions_have_names(void **state)
{
	uintptr_t base = getauxval(AT_SYSINFO_EHDR), pc;
	struct symbolizer *s;
	unsigned found = 0;
	struct sym_frame f;

	(void)state;
	if (!base)
		SKIP("no vdso");
	s = open_or_fail();
	for (pc = base; symbolize_pc(s, pc, false, &f); pc += 16) {
		assert_string_equal(f.object, "[vdso]");
		assert_int_equal(f.object_offset, pc - base);
		found += f.function && strstr(f.function, "gettime");
	}
	assert_true(found > 0);
	symbolize_close(s);
}

static void symbolize_many_questions_agree(void **state)
{
	enum { N = 512 };
	static struct sym_frame first[N];
	uintptr_t base = (uintptr_t)&known_static_function & ~(uintptr_t)0xfff;
	struct symbolizer *s = open_or_fail();
	struct sym_frame f;
	size_t i, known = 0;

	(void)state;
	for (i = 0; i < N; i++)
		known += symbolize_pc(s, base + i * 7, false, &first[i]);
	assert_true(known > N / 4);
	for (i = 0; i < 100000; i++) {
		symbolize_pc(s, base + i % N * 7, false, &f);
		assert_memory_equal(&f, &first[i % N], sizeof(f));
	}
	symbolize_close(s);
}

/* ---- damaged images ------------------------------------------------------ */

static void ask_image(const uint8_t *base, size_t len)
{
	struct symbolize_image im;
	struct sym_frame f = {0};
	uint64_t addr;
	size_t i;

	if (!symbolize_image_open(&im, base, len))
		return;
	for (i = 0; i < 64; i++) {
		addr = random64() % self.len;
		if (im.lines.n_seqs && i % 2)
			addr = im.lines.seqs[addr % im.lines.n_seqs].lo;
		if (symbolize_image_function(&im, addr, &f))
			assert_true(strlen(f.function) < len);
		ask_line(&im.lines, addr);
	}
	symbolize_image_close(&im);
}

/* Where to damage: the header, the table of sections, or anywhere. */
static size_t damage_at(size_t i)
{
	size_t table = self.n_sections * sizeof(Elf64_Shdr);

	if (i % 4 == 0)
		return random64() % sizeof(Elf64_Ehdr);
	if (i % 4 == 3 || !table)
		return random64() % (self.len - 8);
	return self.sections + random64() % (table - 8);
}

static void symbolize_cut_and_damaged_images_are_survived(void **state)
{
	uint8_t saved[8], *image = guard - self.len;
	size_t len, i, at;
	uint64_t v;

	(void)state;
	for (i = 0; i < 512; i++) {
		len = i < 384 ? i : random64() % self.len;
		memcpy(guard - len, self.base, len);
		ask_image(guard - len, len);
	}
	memcpy(image, self.base, self.len);
	for (i = 0; i < 300; i++) {
		at = damage_at(i);
		memcpy(saved, image + at, 8);
		v = random64() >> random64() % 64;
		if (i % 8 == 1)
			v = self.len - random64() % 64;
		memcpy(image + at, &v, 1U << random64() % 4);
		ask_image(image, self.len);
		memcpy(image + at, saved, 8);
	}
}

/* ---- on the crash path --------------------------------------------------- */

/* Makes a call of the function at p the end of this process. */
static bool plant_trap(char *p)
{
#if defined(__x86_64__)
	const uint32_t trap = 0xcccccccc; /* int3 */
#else
	const uint32_t trap = 0xd4200000; /* brk #0 */
#endif
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *begin = (void *)((uintptr_t)p & -page);

	if (!p || mprotect(begin, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC))
		return false;
	memcpy(p, &trap, sizeof(trap));
	__builtin___clear_cache(p, p + sizeof(trap));
	return true;
}

static void plant_all_or_leave(void)
{
	static const char *const name[] = {
		"malloc",   "calloc",          "realloc",
		"free",     "posix_memalign",  "fopen",
		"vfprintf", "vsnprintf",       "pthread_mutex_lock",
		"dladdr",   "dl_iterate_phdr", "dlopen",
		"dlsym"};
	enum { N = sizeof(name) / sizeof(name[0]) };
	void *p[N];
	size_t i;

	for (i = 0; i < N; i++) /* before dlsym's own lock is a trap */
		p[i] = dlsym(RTLD_DEFAULT, name[i]);
	for (i = 0; i < N; i++)
		if (!plant_trap(p[i]))
			_exit(77);
}

static uint8_t handler_stack[65536] __attribute__((aligned(64)));
static uintptr_t libc_pc;
static unsigned crash_line;

__attribute__((no_sanitize("thread"))) static OPAQUE void crash_here(void)
{
	char *volatile nowhere = (char *)16;

	crash_line = __LINE__, *(volatile char *)nowhere = 1;
}

/* 0: all is named right and half of the stack was enough. */
static int name_crash(uintptr_t pc)
{
	struct symbolizer *s = symbolize_open();
	struct sym_frame f;
	size_t i;

	if (!s || !symbolize_pc(s, pc, false, &f) || !f.function)
		return 1;
	if (strcmp(f.function, "crash_here") != 0 || f.line != crash_line)
		return 2;
	if (!symbolize_pc(s, libc_pc, false, &f) || !f.function)
		return 3;
	symbolize_close(s);
	for (i = 0; i < sizeof(handler_stack) / 2; i++)
		if (handler_stack[i] != 0x5a)
			return 4;
	return 0;
}

/* Not by _exit: sanitizers do much before what does not return. */
static void on_crash(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)sig, (void)info;
#if defined(__x86_64__)
	syscall(SYS_exit_group, name_crash(uc->uc_mcontext.gregs[REG_RIP]));
#else
	syscall(SYS_exit_group, name_crash(uc->uc_mcontext.pc));
#endif
}

static void crash_among_traps(void)
{
	stack_t stack = {.ss_sp = handler_stack,
			 .ss_size = sizeof(handler_stack)};
	struct sigaction act = {.sa_sigaction = on_crash,
				.sa_flags = SA_SIGINFO | SA_ONSTACK};

	libc_pc = (uintptr_t)dlsym(RTLD_DEFAULT, "getppid");
	memset(handler_stack, 0x5a, sizeof(handler_stack));
	if (sigaltstack(&stack, NULL) || sigaction(SIGSEGV, &act, NULL))
		_exit(5);
	plant_all_or_leave();
	crash_here();
	_exit(6);
}

static void allocate_among_traps(void)
{
	void *(*volatile allocate)(size_t) = malloc;

	plant_all_or_leave();
	_exit(allocate(1) ? 1 : 2);
}

static int status_of_child(void (*body)(void))
{
	int status, sig;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		for (sig = 1; sig < 32; sig++) /* cmocka's would return */
			signal(sig, SIG_DFL);
		body();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void symbolize_crash_without_malloc_lock_or_loader(void **state)
{
	int status = status_of_child(allocate_among_traps);

	(void)state;
	need_lines();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGTRAP)
		SKIP("calls cannot be trapped here");
	assert_int_equal(status_of_child(crash_among_traps), 0);
}

/* ---- a second opinion ---------------------------------------------------- */

static void symbolize_agrees_with_addr2line(void **state)
{
#define FORMAT " %4095[^:\n]:%31[^\n]"
	enum { N = 400 };
	static char cmd[8192], want[4096], got[4096];
	char number[32]; /* "12", "12 (discriminator 3)", "?" */
	unsigned line, wrong = 0, known = 0;
	struct dwarfline_pos pos;
	uint64_t addr[N];
	size_t i, n;
	FILE *in;

	(void)state;
	need_lines();
	n = (size_t)snprintf(cmd, sizeof(cmd), "addr2line -e /proc/%d/exe",
			     (int)getpid());
	for (i = 0; i < N; i++) {
		addr[i] = self.lines.rows[random64() % self.lines.n_rows].addr;
		n += (size_t)snprintf(cmd + n, sizeof(cmd) - n, " %llx",
				      (unsigned long long)addr[i]);
	}
	snprintf(cmd + n, sizeof(cmd) - n, " 2>/dev/null");
	in = popen(cmd, "r");
	assert_non_null(in);
	for (i = 0; i < N && fscanf(in, FORMAT, want, number) == 2; i++) {
		line = (unsigned)strtoul(number, NULL, 10);
		if (!line)
			continue;
		known++;
		/* It finds the directory of old DWARF in .debug_info, and
		 * takes inlined code for "<artificial>" in LTO's units. */
		if (dwarfline_find(&self.lines, addr[i], &pos) &&
		    dwarfline_path(&self.lines, &pos, got, sizeof(got)) &&
		    pos.line == line &&
		    (strstr(want, got) || strstr(want, "<artificial>")))
			continue;
		wrong++;
		print_message("%llx is %s:%u to addr2line\n",
			      (unsigned long long)addr[i], want, line);
	}
	if (pclose(in) != 0 || known < N / 2)
		SKIP("addr2line is missing or knows less");
	print_message("addr2line: %u compared, %u differ\n", known, wrong);
	assert_true(wrong <= known / 100); /* where units overlap */
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(dwarfline_old_versions_give_lines_and_paths),
		T(dwarfline_version_5_gives_lines_and_paths),
		T(dwarfline_odd_rows_and_sequences_are_left_out),
		T(dwarfline_cut_and_changed_bytes_are_survived),
		T(dwarfline_sort_orders_by_both_keys),
		T(symbolize_static_function_has_file_and_line),
		T(symbolize_best_of_several_symbols_is_taken),
		T(symbolize_libc_function_has_name),
		T(symbolize_loaded_object_is_found),
		T(symbolize_unknown_address_gives_false),
		T(symbolize_vdso_functions_have_names),
		T(symbolize_many_questions_agree),
		T(symbolize_cut_and_damaged_images_are_survived),
		T(symbolize_crash_without_malloc_lock_or_loader),
		T(symbolize_agrees_with_addr2line),
	};

	return cmocka_run_group_tests(tests, load_self, NULL);
}
