// SPDX-License-Identifier: MIT
/*
 * textmap - see textmap.h.
 *
 * What objects are is read off their dynamic sections: DT_SONAME, and the symbols that
 * they define. That a program brings its own malloc shows in its dynamic symbols, as
 * libc refers to it; a canonical procedure linkage entry has no section there.
 */
#include "kernel-iface/textmap.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <search.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/futexlock.h"
#include "kernel-iface/cfi.h"
#include "kernel-iface/coro.h"
#include "kernel-iface/lockimports.h"

#if defined(DLFO_STRUCT_HAS_EH_DBASE)

enum { ALLOWED_MAX = 256, ZONES_MAX = 96, CALLERS_MAX = 12 };

/* By the linker; rgcb holds coro_entry at least, rgtext a trampoline or more. */
#define SECTION_BOUND extern const char
SECTION_BOUND __start_rgtext[] __attribute__((weak, visibility("hidden")));
SECTION_BOUND __stop_rgtext[] __attribute__((weak, visibility("hidden")));
SECTION_BOUND __start_rgcb[] __attribute__((weak, visibility("hidden")));
SECTION_BOUND __stop_rgcb[] __attribute__((weak, visibility("hidden")));

struct object {
	uintptr_t start, end;
	const void *link_map, *tables;
};

struct zone {
	uintptr_t start, end;
	enum text_class class;
};

/* Const after textmap_start. */
static struct object executable, libc, self, vdso;
static struct zone zones[ZONES_MAX]; /* of libc, sorted */
static size_t nzones;
static bool self_is_all_runtime, is_usable, malloc_is_inside;
static const char *lock_import; /* of the executable, or NULL */

/* Append-only; entries below the count are const. */
static struct object allowed[ALLOWED_MAX];
static _Atomic size_t nallowed;
static _Atomic bool executable_is_allowed;
static struct futexlock allow_lock;

/* ---- objects ---- */

static bool object_at(uintptr_t pc, struct object *o)
{
	struct dl_find_object found;

	if (_dl_find_object((void *)pc, &found))
		return false;
	o->start = (uintptr_t)found.dlfo_map_start;
	o->end = (uintptr_t)found.dlfo_map_end;
	o->link_map = found.dlfo_link_map;
	o->tables = found.dlfo_eh_frame;
	return true;
}

static bool is_same(const struct object *a, const struct object *b)
{
	return a->link_map == b->link_map && a->start == b->start &&
	       a->end == b->end && a->tables == b->tables;
}

static bool is_in(const struct object *o, uintptr_t pc)
{
	return pc >= o->start && pc < o->end;
}

struct dynamic {
	const char *soname; /* NULL: none */
	const char *strings;
	const ElfW(Sym) * symbols;
	const uint32_t *gnu_hash, *hash;
};

/* glibc relocates these in place, except where it cannot write. */
static const void *relocated(const struct link_map *l, ElfW(Addr) p)
{
	return (const void *)(p < l->l_addr ? p + l->l_addr : p);
}

static void read_dynamic(const struct object *o, struct dynamic *d)
{
	const struct link_map *l = o->link_map;
	size_t soname = 0;

	memset(d, 0, sizeof *d);
	if (!l || !l->l_ld)
		return;
	for (const ElfW(Dyn) *e = l->l_ld; e->d_tag != DT_NULL; e++) {
		if (e->d_tag == DT_STRTAB)
			d->strings = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_SYMTAB)
			d->symbols = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_GNU_HASH)
			d->gnu_hash = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_HASH)
			d->hash = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_SONAME)
			soname = e->d_un.d_val;
	}
	if (soname && d->strings)
		d->soname = d->strings + soname;
}

/* The dynamic section does not say how many symbols there are; the hash does. */
static size_t count_symbols(const struct dynamic *d)
{
	const uint32_t *h = d->gnu_hash, *buckets, *chain;
	uint32_t last = 0;

	if (d->hash)
		return d->hash[1];
	if (!h)
		return 0;
	buckets = h + 4 + (size_t)h[2] * (sizeof(ElfW(Addr)) / sizeof *h);
	chain = buckets + h[0];
	for (uint32_t i = 0; i < h[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (last < h[1])
		return h[1];
	while (!(chain[last - h[1]] & 1))
		last++;
	return last + 1;
}

static bool defines_malloc(const struct object *o)
{
	struct dynamic d;
	size_t n;

	read_dynamic(o, &d);
	n = d.symbols && d.strings ? count_symbols(&d) : 0;
	for (size_t i = 0; i < n; i++) {
		const ElfW(Sym) *s = &d.symbols[i];
		const char *name = d.strings + s->st_name;

		if (s->st_shndx != SHN_UNDEF &&
		    (!strcmp(name, "malloc") || !strcmp(name, "free")))
			return true;
	}
	return false;
}

static bool starts_with(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return !*prefix;
}

/* What an object that nobody declared is. */
static enum text_class class_by_soname(const struct object *o)
{
	static const char *const unwinders[] = {"libgcc_s.", "libstdc++.",
						"libc++.",   "libc++abi.",
						"libunwind", "libcxxrt."};
	struct dynamic d;

	read_dynamic(o, &d);
	if (!d.soname)
		return TEXT_LIBRARY;
	if (starts_with(d.soname, "ld-") || starts_with(d.soname, "ld64."))
		return TEXT_LINKER;
	for (size_t i = 0; i < sizeof unwinders / sizeof *unwinders; i++)
		if (starts_with(d.soname, unwinders[i]))
			return TEXT_UNWINDER;
	return TEXT_LIBRARY;
}

static bool is_libc(const struct object *o)
{
	struct dynamic d;

	read_dynamic(o, &d);
	return d.soname && (starts_with(d.soname, "libc.so") ||
			    starts_with(d.soname, "libc.musl"));
}

/* ---- zones: procedures of libc that are special ---- */

static void add_zone(uintptr_t start, uintptr_t end, enum text_class class)
{
	size_t i = nzones;

	for (size_t k = 0; k < nzones; k++)
		if (zones[k].start == start)
			return;
	if (nzones == ZONES_MAX)
		return; /* without it, it is only a library's */
	for (; i && zones[i - 1].start > start; i--)
		zones[i] = zones[i - 1];
	zones[i] = (struct zone){start, end, class};
	nzones++;
}

static enum text_class zone_class(uintptr_t pc)
{
	size_t lo = 0, hi = nzones;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (zones[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && pc < zones[lo - 1].end ? zones[lo - 1].class
					    : TEXT_LIBRARY;
}

static enum text_class class_of_name(const char *name)
{
	static const char *const jumps[] = {
		"setjmp",         "_setjmp",
		"__sigsetjmp",    "sigsetjmp",
		"longjmp",        "_longjmp",
		"siglongjmp",     "__longjmp_chk",
		"__libc_longjmp", "__libc_siglongjmp",
		"getcontext",     "setcontext",
		"swapcontext"};
	static const char *const forks[] = {
		"vfork",       "__vfork", "fork",    "__fork", "_Fork",
		"__libc_fork", "daemon",  "forkpty", "clone",  "__clone"};

	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++)
		if (!strcmp(name, jumps[i]))
			return TEXT_SETJMP;
	for (size_t i = 0; i < sizeof forks / sizeof *forks; i++)
		if (!strcmp(name, forks[i]))
			return TEXT_VFORK;
	return TEXT_LIBRARY;
}

static void add_named_zones(void)
{
	struct dynamic d;
	const struct link_map *l = libc.link_map;
	size_t n;

	read_dynamic(&libc, &d);
	n = d.symbols && d.strings ? count_symbols(&d) : 0;
	for (size_t i = 0; i < n; i++) {
		const ElfW(Sym) *s = &d.symbols[i];
		enum text_class class = class_of_name(d.strings + s->st_name);
		uintptr_t start = l->l_addr + s->st_value;

		/* Assembly may come without a size: 64 bytes cover it. */
		if (s->st_shndx != SHN_UNDEF && class != TEXT_LIBRARY)
			add_zone(start, start + (s->st_size ? s->st_size : 64),
				 class);
	}
}

/* Who called the comparing function that was given to libc. */
static int probe_callers(const void *a, const void *b)
{
	uintptr_t pcs[CALLERS_MAX], start, end;
	size_t n = coro_backtrace_self(pcs, CALLERS_MAX, 0);
	bool was_in_libc = false;

	for (size_t i = 0; i < n; i++) {
		if (is_in(&libc, pcs[i] - 1)) {
			was_in_libc = true;
			if (cfi_procedure(pcs[i] - 1, &start, &end))
				add_zone(start, end, TEXT_PASS);
		} else if (was_in_libc) {
			break;
		}
	}
	return *(const char *)a - *(const char *)b;
}

static int probe_callers_r(const void *a, const void *b, void *arg)
{
	(void)arg;
	return probe_callers(a, b);
}

/* glibc's qsort has ways of its own for elements of 4, 8, and above 32 bytes. */
static void probe_pass_through(void)
{
	enum { N = 6 };
	static const size_t sizes[] = {1, 4, 8, 16, 48};
	char items[N * 48];
	const char key = 'c';

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *(*volatile search)(
			const void *, const void *, size_t, size_t,
			int (*)(const void *, const void *)) = bsearch;
		size_t n = N, last = N - 1;

		for (size_t k = 0; k < sizeof items; k++)
			items[k] = (char)('a' + (k * 7) % N);
		qsort(items, N, sizes[i], probe_callers);
		qsort_r(items, N, sizes[i], probe_callers_r, NULL);
		(void)search(&key, items, N, sizes[i], probe_callers);
		(void)lfind(&key, items, &n, sizes[i], probe_callers);
		(void)lsearch(items, items, &last, sizes[i], probe_callers);
	}
}

/* ---- start ---- */

/* An address of the object's code, or 0. */
static uintptr_t code_of(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
			return info->dlpi_addr + p->p_vaddr;
	}
	return 0;
}

static int see_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t code = code_of(info);
	bool *is_first = arg;
	struct object o;

	(void)size;
	if (object_at(code, &o)) {
		if (*is_first)
			executable = o; /* always the first */
		else if (is_libc(&o))
			libc = o;
	}
	*is_first = false;
	return 0;
}

/* The kernel's: one segment from its header on. */
static void find_vdso(void)
{
	uintptr_t at = getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *h = (const void *)at;
	const ElfW(Phdr) * p;

	if (!at)
		return;
	p = (const void *)(at + h->e_phoff);
	vdso.start = at;
	for (unsigned i = 0; i < h->e_phnum; i++)
		if (p[i].p_type == PT_LOAD &&
		    at + p[i].p_offset + p[i].p_memsz > vdso.end)
			vdso.end = at + p[i].p_offset + p[i].p_memsz;
}

static bool is_in_section(uintptr_t pc, const char *start, const char *stop)
{
	return pc >= (uintptr_t)start && pc < (uintptr_t)stop;
}

static void start_once(void)
{
	uintptr_t here = (uintptr_t)&textmap_class;
	bool is_first = true;

	dl_iterate_phdr(see_object, &is_first);
	find_vdso();
	malloc_is_inside = !libc.link_map || defines_malloc(&executable);
	lock_import = lockimports_first(executable.link_map);
	if (!executable.end || !object_at(here, &self))
		return;
	is_usable = true;
	if (!is_in_section(here, __start_rgtext, __stop_rgtext)) {
		self_is_all_runtime = !is_same(&self, &executable);
		is_usable = self_is_all_runtime;
	}
	if (!libc.link_map)
		return;
	add_named_zones();
	probe_pass_through();
}

void textmap_start(void)
{
	static struct futexlock lock; /* of is_started and what it does */
	static bool is_started;

	futexlock_lock(&lock);
	if (!is_started)
		start_once();
	is_started = true;
	futexlock_unlock(&lock);
}

/* ---- questions ---- */

static bool is_allowed(const struct object *o)
{
	/* X1 acquire, pairs with X2: the entries below are complete. */
	size_t n = atomic_load_explicit(&nallowed, memory_order_acquire);

	for (size_t i = 0; i < n; i++)
		if (is_same(&allowed[i], o))
			return true;
	return false;
}

static bool may_be_allowed(const struct object *o)
{
	return !is_same(o, &libc) && !is_same(o, &vdso) &&
	       !(self_is_all_runtime && is_same(o, &self)) &&
	       !is_in(&vdso, o->start) && class_by_soname(o) == TEXT_LIBRARY &&
	       !defines_malloc(o);
}

int textmap_allow(const void *code_address)
{
	struct object o;
	int err = 0;
	size_t n;

	textmap_start();
	if (!object_at((uintptr_t)code_address, &o))
		return -ENOENT;
	if (is_same(&o, &executable)) {
		/* Relaxed: nothing comes with it. */
		atomic_store_explicit(&executable_is_allowed, true,
				      memory_order_relaxed);
		return 0;
	}
	if (!may_be_allowed(&o))
		return -EPERM;
	futexlock_lock(&allow_lock);
	/* Relaxed: under the lock. */
	n = atomic_load_explicit(&nallowed, memory_order_relaxed);
	if (is_allowed(&o)) {
		err = 0;
	} else if (n == ALLOWED_MAX) {
		err = -ENOMEM;
	} else {
		allowed[n] = o;
		/* X2 release, pairs with X1. */
		atomic_store_explicit(&nallowed, n + 1, memory_order_release);
	}
	futexlock_unlock(&allow_lock);
	return err;
}

static enum text_class class_of_executable(void)
{
	/* Relaxed: see textmap_allow. */
	if (!lock_import ||
	    atomic_load_explicit(&executable_is_allowed, memory_order_relaxed))
		return TEXT_USER;
	return TEXT_USER_LOCKS;
}

enum text_class textmap_class(uintptr_t pc)
{
	struct object o;

	if (is_in_section(pc, __start_rgcb, __stop_rgcb))
		return TEXT_CALLS_USER;
	if (is_in_section(pc, __start_rgtext, __stop_rgtext) ||
	    (self_is_all_runtime && is_in(&self, pc)))
		return TEXT_RUNTIME;
	if (is_in(&executable, pc))
		return class_of_executable();
	if (is_in(&libc, pc))
		return zone_class(pc);
	if (is_in(&vdso, pc))
		return TEXT_VDSO;
	if (!object_at(pc, &o))
		return TEXT_UNKNOWN;
	return is_allowed(&o) ? TEXT_USER : class_by_soname(&o);
}

bool textmap_is_libc(uintptr_t pc)
{
	return is_in(&libc, pc);
}

bool textmap_is_usable(void)
{
	return is_usable;
}

bool textmap_malloc_is_inside(void)
{
	return malloc_is_inside;
}

const char *textmap_lock_import(void)
{
	return lock_import;
}

#else

void textmap_start(void)
{
}

int textmap_allow(const void *code_address)
{
	(void)code_address;
	return -EPERM;
}

enum text_class textmap_class(uintptr_t pc)
{
	(void)pc;
	return TEXT_UNKNOWN;
}

bool textmap_is_libc(uintptr_t pc)
{
	(void)pc;
	return false;
}

bool textmap_is_usable(void)
{
	return false;
}

bool textmap_malloc_is_inside(void)
{
	return false;
}

const char *textmap_lock_import(void)
{
	return NULL;
}

#endif
