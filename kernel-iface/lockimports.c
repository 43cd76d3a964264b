// SPDX-License-Identifier: MIT
/*
 * lockimports - see lockimports.h.
 */
#include "kernel-iface/lockimports.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __ELF_NATIVE_CLASS == 64
#define RELOCATION_SYMBOL(info) ELF64_R_SYM(info)
#else
#define RELOCATION_SYMBOL(info) ELF32_R_SYM(info)
#endif

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* "lock" in any case, but for clock and block. */
static bool has_lock(const char *name)
{
	for (const char *s = name; *s; s++) {
		int before = s == name ? 0 : tolower((unsigned char)s[-1]);

		if (!strncasecmp(s, "lock", 4) && before != 'c' &&
		    before != 'b')
			return true;
	}
	return false;
}

static bool has_mutex(const char *name)
{
	for (; *name; name++)
		if (!strncasecmp(name, "mutex", 5))
			return true;
	return false;
}

/* Locked memory is no lock, nor is a terminal's slave. */
static bool is_exempt(const char *name)
{
	static const char *const names[] = {"mlock",      "mlock2",
					    "munlock",    "mlockall",
					    "munlockall", "unlockpt"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return starts_with(name, "rg_");
}

static bool is_listed(const char *name)
{
	static const char *const names[] = {
		"pthread_once",         "call_once",
		"pthread_barrier_wait", "sem_wait",
		"sem_trywait",          "sem_timedwait",
		"sem_clockwait",        "semop",
		"semtimedop",           "__cxa_guard_acquire",
		"PyGILState_Ensure",    "PyEval_RestoreThread",
		"PyEval_AcquireThread"};
	static const char *const prefixes[] = {"pthread_cond_", "cnd_", "GOMP_",
					       "__kmpc_",
					       "_ZNSt28__atomic_futex_"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (starts_with(name, prefixes[i]))
			return true;
	return strstr(name, "call_once");
}

bool lockimports_is_lock(const char *name)
{
	if (is_exempt(name))
		return false;
	return is_listed(name) || has_mutex(name) || has_lock(name);
}

/* ---- an object's relocations ---- */

struct relocations {
	const ElfW(Rela) * first;
	size_t size; /* bytes */
};

struct imports {
	const char *strings;
	const ElfW(Sym) * symbols;
	struct relocations data, calls; /* DT_RELA, DT_JMPREL */
};

/* glibc relocates these in place, except where it cannot write. */
static const void *relocated(const struct link_map *l, ElfW(Addr) p)
{
	return (const void *)(p < l->l_addr ? p + l->l_addr : p);
}

static void read_dynamic(const struct link_map *l, struct imports *im)
{
	memset(im, 0, sizeof *im);
	for (const ElfW(Dyn) *e = l->l_ld; e && e->d_tag != DT_NULL; e++) {
		if (e->d_tag == DT_STRTAB)
			im->strings = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_SYMTAB)
			im->symbols = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_RELA)
			im->data.first = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_RELASZ)
			im->data.size = e->d_un.d_val;
		else if (e->d_tag == DT_JMPREL)
			im->calls.first = relocated(l, e->d_un.d_ptr);
		else if (e->d_tag == DT_PLTRELSZ)
			im->calls.size = e->d_un.d_val;
	}
}

static const char *first_in(const struct imports *im,
			    const struct relocations *r)
{
	size_t n = r->first ? r->size / sizeof *r->first : 0;

	for (size_t i = 0; i < n; i++) {
		const ElfW(Sym) *s =
			im->symbols + RELOCATION_SYMBOL(r->first[i].r_info);
		const char *name = im->strings + s->st_name;

		if (s->st_shndx == SHN_UNDEF && lockimports_is_lock(name))
			return name;
	}
	return NULL;
}

const char *lockimports_first(const struct link_map *l)
{
	struct imports im;
	const char *name;

	if (!l)
		return NULL;
	read_dynamic(l, &im);
	if (!im.strings || !im.symbols)
		return NULL;
	name = first_in(&im, &im.calls);
	return name ? name : first_in(&im, &im.data);
}
