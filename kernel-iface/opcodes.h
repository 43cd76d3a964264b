/* SPDX-License-Identifier: MIT */
/*
 * opcodes - numbers of io_uring operations that liburing 2.3's header lacks.
 *
 * Opcodes are enumerators: the preprocessor cannot ask for one, and <linux/io_uring.h>
 * shares its include guard with liburing's copy. So newer ones have names of our own,
 * compared with the header's where its version says that they are there.
 *
 * Sources: include/uapi/linux/io_uring.h of Linux 6.18; the tags of liburing (2.6
 * brought READ_MULTISHOT to FTRUNCATE, 2.7 BIND and LISTEN, 2.10 RECV_ZC to
 * WRITEV_FIXED, 2.12 PIPE).
 */
#ifndef RGK_OPCODES_H
#define RGK_OPCODES_H

#include <assert.h>
#include <liburing.h>

enum {
	RGK_OP_READ_MULTISHOT = 49,
	RGK_OP_WAITID = 50,
	RGK_OP_FUTEX_WAIT = 51,
	RGK_OP_FUTEX_WAKE = 52,
	RGK_OP_FUTEX_WAITV = 53,
	RGK_OP_FIXED_FD_INSTALL = 54,
	RGK_OP_FTRUNCATE = 55,
	RGK_OP_BIND = 56,
	RGK_OP_LISTEN = 57,
	RGK_OP_RECV_ZC = 58,
	RGK_OP_EPOLL_WAIT = 59,
	RGK_OP_READV_FIXED = 60,
	RGK_OP_WRITEV_FIXED = 61,
	RGK_OP_PIPE = 62,
	RGK_OP_COUNT
};

/* The last one that 2.3 knows, so that nothing is missing in between. */
static_assert((int)IORING_OP_SENDMSG_ZC + 1 == RGK_OP_READ_MULTISHOT,
	      "liburing's opcodes are not those of 2.3");

/* Futex2 flags, which neither libc nor liburing 2.3 defines. */
#define RGK_FUTEX2_SIZE_U32 0x02u
#define RGK_FUTEX2_PRIVATE  128u

#if defined(IO_URING_VERSION_MAJOR) && defined(IO_URING_VERSION_MINOR)
#define RGK_LIBURING_AT_LEAST(major, minor)                                    \
	(IO_URING_VERSION_MAJOR > (major) ||                                   \
	 (IO_URING_VERSION_MAJOR == (major) &&                                 \
	  IO_URING_VERSION_MINOR >= (minor)))
#else
#define RGK_LIBURING_AT_LEAST(major, minor) 0 /* before 2.4 */
#endif

#define RGK_SAME_OP(name)                                                      \
	static_assert((int)RGK_OP_##name == (int)IORING_OP_##name,             \
		      "IORING_OP_" #name " has another number")

#if RGK_LIBURING_AT_LEAST(2, 6)
RGK_SAME_OP(READ_MULTISHOT);
RGK_SAME_OP(WAITID);
RGK_SAME_OP(FUTEX_WAIT);
RGK_SAME_OP(FUTEX_WAKE);
RGK_SAME_OP(FUTEX_WAITV);
RGK_SAME_OP(FIXED_FD_INSTALL);
RGK_SAME_OP(FTRUNCATE);
#endif
#if RGK_LIBURING_AT_LEAST(2, 7)
RGK_SAME_OP(BIND);
RGK_SAME_OP(LISTEN);
#endif
#if RGK_LIBURING_AT_LEAST(2, 10)
RGK_SAME_OP(RECV_ZC);
RGK_SAME_OP(EPOLL_WAIT);
RGK_SAME_OP(READV_FIXED);
RGK_SAME_OP(WRITEV_FIXED);
#endif
#if RGK_LIBURING_AT_LEAST(2, 12)
RGK_SAME_OP(PIPE);
#endif

#endif
