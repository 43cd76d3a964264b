/* SPDX-License-Identifier: MIT */
/*
 * textmap - whose code lies at an address, for a handler that has to know.
 *
 *   I1  textmap_class never allocates, locks or faults, whatever the address; code of no
 *       object (a JIT's, or wild) is TEXT_UNKNOWN.
 *   I2  there is no copy of the list of objects that could be out of date: the dynamic
 *       linker's lock-free index (_dl_find_object) is asked each time, so objects may
 *       come and go by dlopen. Ours are only the constants of start and I3's list.
 *   I3  objects declared by textmap_allow are TEXT_USER; libc, the dynamic linker,
 *       unwinders, C++'s runtime, and every object that defines malloc or free can
 *       never be declared. The list only grows.
 *   I4  the executable is TEXT_USER, but TEXT_USER_LOCKS if it imports a function that
 *       takes a lock of its thread (lockimports.h), until it is declared, too. For any
 *       object the declaration is the promise that its code holds no such lock while
 *       it may be preempted: it is not looked at.
 *
 * The runtime's own code is told apart by sections, whose names are C identifiers so
 * that linkers define their bounds: all text of the library's relocatable object is
 * renamed to `rgtext` (Makefile), also .text.unlikely, .text.hot and what LTO made;
 * functions that call user code are put into `rgcb` by RG_CALLS_USER. In
 * libringgo.so, whose whole text is the runtime's, only `rgcb` matters. A build that
 * lost the section is noticed at start: textmap_is_usable is then false.
 *
 * Frames of qsort, qsort_r, bsearch, lfind and lsearch are passed through when they call
 * a user's function: they hold no lock. glibc's qsort does its work in static functions
 * that no dynamic symbol names, and .symtab is stripped; so at start each is called with
 * a function that looks at its callers, and the procedures (FDE ranges) found in libc
 * are noted. One that is not met then (qsort when memory is short) is only refused.
 */
#ifndef RGK_TEXTMAP_H
#define RGK_TEXTMAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * RG_CALLS_USER - on the definition of a function of the runtime through which user
 * code is called, with no lock held and nothing half done. It may be a caller of code
 * that is preempted; while it runs itself, it is the runtime like all else. Such a
 * function should be short; what is inlined into it belongs to it.
 */
#define RG_CALLS_USER __attribute__((section("rgcb"), noinline))

enum text_class {
	TEXT_UNKNOWN,    /* no object */
	TEXT_USER,       /* may be stopped anywhere */
	TEXT_USER_LOCKS, /* may hold a lock of the thread's: never */
	TEXT_LIBRARY,    /* may be left by its return */
	TEXT_PASS,       /* library code that user code may be called by */
	TEXT_VDSO,       /* as TEXT_LIBRARY */
	TEXT_RUNTIME,    /* never */
	TEXT_CALLS_USER, /* the runtime, where it calls user code */
	TEXT_UNWINDER,   /* libgcc_s, libunwind, C++'s runtime: never */
	TEXT_LINKER, /* ld.so: a lazily bound setjmp would keep a hijacked slot */
	TEXT_SETJMP, /* setjmp, longjmp, getcontext ...: never */
	TEXT_VFORK,  /* vfork, fork: return twice; never */
};

/*
 * textmap_start - find executable, libc and runtime; probe the functions to pass
 * through. Any thread, outside handlers; only the first call does something, and
 * later ones return when it is done. Takes the dynamic linker's lock.
 */
void textmap_start(void);

/*
 * textmap_allow - declare the object around code_address preemptible, for good, with
 * I4's promise. 0; -ENOENT: no object there; -EPERM: I3 or the runtime; -ENOMEM: 256
 * are declared.
 */
int textmap_allow(const void *code_address);

/* textmap_class - for a pc; a return address is to be given minus one. Handlers. */
enum text_class textmap_class(uintptr_t pc);

/* textmap_is_libc - the pc is libc's. Handlers. */
bool textmap_is_libc(uintptr_t pc);

/* False: text ranges say nothing here (no _dl_find_object, or a build whose runtime
 * lies in plain .text of the executable): nothing may be redirected or hijacked. */
bool textmap_is_usable(void);

/* True: malloc, free or all of libc is linked into the executable, so its text
 * cannot be told from the user's: nothing may be redirected or hijacked. */
bool textmap_malloc_is_inside(void);

/* The import that makes the executable TEXT_USER_LOCKS, for messages; NULL: it has
 * none. A declaration of the executable does not change it. */
const char *textmap_lock_import(void);

#endif
