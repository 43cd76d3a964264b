/* SPDX-License-Identifier: MIT */
/*
 * textmap - whose code lies at an address, for a handler that has to know.
 *
 *   I1  textmap_class never allocates, locks or faults, whatever the address; what
 *       it does not know is TEXT_UNKNOWN.
 *   I2  the map is a constant table, replaced as a whole by textmap_refresh; the
 *       former one is kept until nobody can read it any more (two generations).
 *   I3  an entry counts only while the dynamic linker's own lock-free index
 *       (_dl_find_object) names the same object at the same place: one that was
 *       closed, or opened since the last refresh, is TEXT_UNKNOWN.
 *   I4  the executable is TEXT_USER, as are objects declared by textmap_allow; libc,
 *       the dynamic linker, unwinders, C++'s runtime, and every object that defines
 *       malloc or free can never be declared.
 *
 * The runtime's own code is told apart by sections, whose names are C identifiers so
 * that linkers define their bounds: all text of the library's relocatable object is
 * renamed to `rgtext` (Makefile), also .text.unlikely, .text.hot and what LTO made;
 * functions that call user code are put into `rgcb` by RG_CALLS_USER. In
 * libringgo.so, whose whole text is the runtime's, only `rgcb` matters. A build that
 * lost the section is noticed at start: textmap_is_usable is then false.
 *
 * Frames of qsort, qsort_r, bsearch, lfind, lsearch and tfind are passed through when
 * they call a user's function: they hold no lock. glibc's qsort does its work in
 * static functions that no dynamic symbol names, and .symtab is stripped; so at start
 * each is called with a function that unwinds to its caller, and the procedures (FDE
 * ranges) of the frames found are noted.
 */
#ifndef RGK_TEXTMAP_H
#define RGK_TEXTMAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * RG_CALLS_USER - on the definition of a function of the runtime through which user
 * code is called, with no lock held and nothing half done. It may be a caller of code
 * that is preempted; while it runs itself, it is the runtime like all else. Such a
 * function should be short; what it calls inline belongs to it.
 */
#define RG_CALLS_USER __attribute__((section("rgcb"), noinline))

enum text_class {
	TEXT_UNKNOWN,    /* no object, or one not seen yet */
	TEXT_USER,       /* may be stopped anywhere */
	TEXT_LIBRARY,    /* may be left by its return */
	TEXT_PASS,       /* library code that user code may be called by */
	TEXT_VDSO,       /* as TEXT_LIBRARY */
	TEXT_RUNTIME,    /* never */
	TEXT_CALLS_USER, /* the runtime, where it calls user code */
	TEXT_UNWINDER,   /* libgcc_s, libunwind, C++'s runtime: never */
	TEXT_SETJMP,     /* setjmp, longjmp, getcontext ...: never */
	TEXT_VFORK,      /* never */
};

/*
 * textmap_start - read what is loaded and probe the functions to pass through.
 * 0 or -ENOMEM. Any thread, once at a time, outside handlers; calling again is
 * textmap_refresh.
 */
int textmap_start(void);

/*
 * textmap_refresh - if objects were loaded or unloaded, read them again. Cheap when
 * not. 0 or -ENOMEM (the former map stays). Takes the dynamic linker's lock: not from
 * handlers, nor with a lock held that a constructor could want. To be called by
 * sysmon, at most every few milliseconds (I2).
 */
int textmap_refresh(void);

/*
 * textmap_allow - declare the object around code_address preemptible, for good.
 * 0; -ENOENT: no object there; -EPERM: I4 or the runtime; -ENOMEM.
 */
int textmap_allow(const void *code_address);

/* textmap_class - for a pc; a return address is to be given minus one. Handlers. */
enum text_class textmap_class(uintptr_t pc);

/* False: text ranges say nothing here (no _dl_find_object, or a build whose runtime
 * lies in plain .text of the executable): nothing may be redirected or hijacked. */
bool textmap_is_usable(void);

/* True: malloc, free or all of libc is linked into the executable, so its text
 * cannot be told from the user's: nothing may be redirected or hijacked. */
bool textmap_malloc_is_inside(void);

#endif
