// SPDX-License-Identifier: MIT
/*
 * sanitize - memory moved behind ThreadSanitizer's back.
 *
 * ThreadSanitizer intercepts memcpy and its like also where the caller is not
 * instrumented, and does not know what orders the scheduler's memory. In a build for
 * it the objects of kernel-iface and sched call these instead (the Makefile renames
 * the symbols); what they copy for a program they announce, by san_reads.
 */
#include "kernel-iface/base/sanitize.h"

#if RG_TSAN
void *san_quiet_memcpy(void *to, const void *from, size_t size);
void *san_quiet_memmove(void *to, const void *from, size_t size);
void *san_quiet_memset(void *to, int byte, size_t size);
int san_quiet_memcmp(const void *a, const void *b, size_t size);

/* Keeps the compiler from making a call of memcpy out of the loop. */
#define NO_IDIOM() __asm__ volatile("" ::: "memory")

void *san_quiet_memmove(void *to, const void *from, size_t size)
{
	const char *src = from;
	char *dst = to;

	if (dst <= src) {
		for (size_t i = 0; i < size; i++) {
			dst[i] = src[i];
			NO_IDIOM();
		}
		return to;
	}
	while (size--) {
		dst[size] = src[size];
		NO_IDIOM();
	}
	return to;
}

void *san_quiet_memcpy(void *to, const void *from, size_t size)
{
	return san_quiet_memmove(to, from, size);
}

void *san_quiet_memset(void *to, int byte, size_t size)
{
	char *dst = to;

	for (size_t i = 0; i < size; i++) {
		dst[i] = (char)byte;
		NO_IDIOM();
	}
	return to;
}

int san_quiet_memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}
#endif
