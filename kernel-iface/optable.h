/* SPDX-License-Identifier: MIT */
/*
 * optable - what is known of each opcode: its name in dumps, its family, whether it
 * can be cancelled while it executes, the kernel that brought it.
 *
 *   I1  every opcode below RGK_OP_COUNT has an entry; op_info never returns NULL.
 * Any thread, signal handlers included: constant data.
 * Sources: the opcode definitions in io_uring/opdef.c of Linux 6.18 and the man page
 * io_uring_enter(2); which operations sleep on a worker: io_uring/net.c, fs.c, sync.c,
 * rw.c.
 */
#ifndef RGK_OPTABLE_H
#define RGK_OPTABLE_H

#include <stdbool.h>

#include "kernel-iface/opcodes.h"

enum op_family { OP_NET, OP_FILE, OP_WAIT, OP_RING };

enum op_cancel {
	/* Over as soon as it is submitted. */
	OP_CANCEL_NEVER,
	/* Runs on a kernel worker thread: cancelled before one takes it, afterwards
	 * only where it sleeps interruptibly (opening a FIFO). A disk's work is waited
	 * for. */
	OP_CANCEL_QUEUED,
	/* Waits for the file to be ready: always, if the file can be polled; else it
	 * is on a worker as above. */
	OP_CANCEL_POLLED,
	/* Sits on a wait list of the kernel. */
	OP_CANCEL_ALWAYS
};

/* opcode, name in dumps, family, cancellation, first kernel major, minor */
#define OP_TABLE(X)                                                            \
	X(IORING_OP_NOP, "nop", OP_RING, OP_CANCEL_NEVER, 5, 1)                \
	X(IORING_OP_READV, "readv", OP_FILE, OP_CANCEL_POLLED, 5, 1)           \
	X(IORING_OP_WRITEV, "writev", OP_FILE, OP_CANCEL_POLLED, 5, 1)         \
	X(IORING_OP_FSYNC, "fsync", OP_FILE, OP_CANCEL_QUEUED, 5, 1)           \
	X(IORING_OP_READ_FIXED, "read fixed", OP_FILE, OP_CANCEL_POLLED, 5, 1) \
	X(IORING_OP_WRITE_FIXED, "write fixed", OP_FILE, OP_CANCEL_POLLED, 5,  \
	  1)                                                                   \
	X(IORING_OP_POLL_ADD, "poll", OP_WAIT, OP_CANCEL_ALWAYS, 5, 1)         \
	X(IORING_OP_POLL_REMOVE, "poll remove", OP_WAIT, OP_CANCEL_NEVER, 5,   \
	  1)                                                                   \
	X(IORING_OP_SYNC_FILE_RANGE, "sync file range", OP_FILE,               \
	  OP_CANCEL_QUEUED, 5, 2)                                              \
	X(IORING_OP_SENDMSG, "sendmsg", OP_NET, OP_CANCEL_ALWAYS, 5, 3)        \
	X(IORING_OP_RECVMSG, "recvmsg", OP_NET, OP_CANCEL_ALWAYS, 5, 3)        \
	X(IORING_OP_TIMEOUT, "timeout", OP_WAIT, OP_CANCEL_ALWAYS, 5, 4)       \
	X(IORING_OP_TIMEOUT_REMOVE, "timeout remove", OP_WAIT,                 \
	  OP_CANCEL_NEVER, 5, 5)                                               \
	X(IORING_OP_ACCEPT, "accept", OP_NET, OP_CANCEL_ALWAYS, 5, 5)          \
	X(IORING_OP_ASYNC_CANCEL, "cancel", OP_RING, OP_CANCEL_NEVER, 5, 5)    \
	X(IORING_OP_LINK_TIMEOUT, "link timeout", OP_WAIT, OP_CANCEL_ALWAYS,   \
	  5, 5)                                                                \
	X(IORING_OP_CONNECT, "connect", OP_NET, OP_CANCEL_ALWAYS, 5, 5)        \
	X(IORING_OP_FALLOCATE, "fallocate", OP_FILE, OP_CANCEL_QUEUED, 5, 6)   \
	X(IORING_OP_OPENAT, "openat", OP_FILE, OP_CANCEL_QUEUED, 5, 6)         \
	X(IORING_OP_CLOSE, "close", OP_FILE, OP_CANCEL_QUEUED, 5, 6)           \
	X(IORING_OP_FILES_UPDATE, "files update", OP_RING, OP_CANCEL_NEVER, 5, \
	  6)                                                                   \
	X(IORING_OP_STATX, "statx", OP_FILE, OP_CANCEL_QUEUED, 5, 6)           \
	X(IORING_OP_READ, "read", OP_FILE, OP_CANCEL_POLLED, 5, 6)             \
	X(IORING_OP_WRITE, "write", OP_FILE, OP_CANCEL_POLLED, 5, 6)           \
	X(IORING_OP_FADVISE, "fadvise", OP_FILE, OP_CANCEL_QUEUED, 5, 6)       \
	X(IORING_OP_MADVISE, "madvise", OP_FILE, OP_CANCEL_QUEUED, 5, 6)       \
	X(IORING_OP_SEND, "send", OP_NET, OP_CANCEL_ALWAYS, 5, 6)              \
	X(IORING_OP_RECV, "recv", OP_NET, OP_CANCEL_ALWAYS, 5, 6)              \
	X(IORING_OP_OPENAT2, "openat2", OP_FILE, OP_CANCEL_QUEUED, 5, 6)       \
	X(IORING_OP_EPOLL_CTL, "epoll_ctl", OP_WAIT, OP_CANCEL_NEVER, 5, 6)    \
	X(IORING_OP_SPLICE, "splice", OP_FILE, OP_CANCEL_QUEUED, 5, 7)         \
	X(IORING_OP_PROVIDE_BUFFERS, "provide buffers", OP_RING,               \
	  OP_CANCEL_NEVER, 5, 7)                                               \
	X(IORING_OP_REMOVE_BUFFERS, "remove buffers", OP_RING,                 \
	  OP_CANCEL_NEVER, 5, 7)                                               \
	X(IORING_OP_TEE, "tee", OP_FILE, OP_CANCEL_QUEUED, 5, 8)               \
	X(IORING_OP_SHUTDOWN, "shutdown", OP_NET, OP_CANCEL_QUEUED, 5, 11)     \
	X(IORING_OP_RENAMEAT, "renameat", OP_FILE, OP_CANCEL_QUEUED, 5, 11)    \
	X(IORING_OP_UNLINKAT, "unlinkat", OP_FILE, OP_CANCEL_QUEUED, 5, 11)    \
	X(IORING_OP_MKDIRAT, "mkdirat", OP_FILE, OP_CANCEL_QUEUED, 5, 15)      \
	X(IORING_OP_SYMLINKAT, "symlinkat", OP_FILE, OP_CANCEL_QUEUED, 5, 15)  \
	X(IORING_OP_LINKAT, "linkat", OP_FILE, OP_CANCEL_QUEUED, 5, 15)        \
	X(IORING_OP_MSG_RING, "msg ring", OP_RING, OP_CANCEL_NEVER, 5, 18)     \
	X(IORING_OP_FSETXATTR, "fsetxattr", OP_FILE, OP_CANCEL_QUEUED, 5, 19)  \
	X(IORING_OP_SETXATTR, "setxattr", OP_FILE, OP_CANCEL_QUEUED, 5, 19)    \
	X(IORING_OP_FGETXATTR, "fgetxattr", OP_FILE, OP_CANCEL_QUEUED, 5, 19)  \
	X(IORING_OP_GETXATTR, "getxattr", OP_FILE, OP_CANCEL_QUEUED, 5, 19)    \
	X(IORING_OP_SOCKET, "socket", OP_NET, OP_CANCEL_NEVER, 5, 19)          \
	X(IORING_OP_URING_CMD, "uring cmd", OP_FILE, OP_CANCEL_QUEUED, 5, 19)  \
	X(IORING_OP_SEND_ZC, "send zc", OP_NET, OP_CANCEL_ALWAYS, 6, 0)        \
	X(IORING_OP_SENDMSG_ZC, "sendmsg zc", OP_NET, OP_CANCEL_ALWAYS, 6, 1)  \
	X(RGK_OP_READ_MULTISHOT, "read multishot", OP_FILE, OP_CANCEL_POLLED,  \
	  6, 7)                                                                \
	X(RGK_OP_WAITID, "waitid", OP_WAIT, OP_CANCEL_ALWAYS, 6, 7)            \
	X(RGK_OP_FUTEX_WAIT, "futex wait", OP_WAIT, OP_CANCEL_ALWAYS, 6, 7)    \
	X(RGK_OP_FUTEX_WAKE, "futex wake", OP_WAIT, OP_CANCEL_NEVER, 6, 7)     \
	X(RGK_OP_FUTEX_WAITV, "futex waitv", OP_WAIT, OP_CANCEL_ALWAYS, 6, 7)  \
	X(RGK_OP_FIXED_FD_INSTALL, "fixed fd install", OP_RING,                \
	  OP_CANCEL_NEVER, 6, 8)                                               \
	X(RGK_OP_FTRUNCATE, "ftruncate", OP_FILE, OP_CANCEL_QUEUED, 6, 9)      \
	X(RGK_OP_BIND, "bind", OP_NET, OP_CANCEL_NEVER, 6, 11)                 \
	X(RGK_OP_LISTEN, "listen", OP_NET, OP_CANCEL_NEVER, 6, 11)             \
	X(RGK_OP_RECV_ZC, "recv zc", OP_NET, OP_CANCEL_ALWAYS, 6, 15)          \
	X(RGK_OP_EPOLL_WAIT, "epoll_wait", OP_WAIT, OP_CANCEL_ALWAYS, 6, 15)   \
	X(RGK_OP_READV_FIXED, "readv fixed", OP_FILE, OP_CANCEL_POLLED, 6, 15) \
	X(RGK_OP_WRITEV_FIXED, "writev fixed", OP_FILE, OP_CANCEL_POLLED, 6,   \
	  15)                                                                  \
	X(RGK_OP_PIPE, "pipe", OP_FILE, OP_CANCEL_NEVER, 6, 16)

struct op_info {
	const char *name;
	unsigned char family; /* enum op_family */
	unsigned char cancel; /* enum op_cancel */
	unsigned char kernel_major, kernel_minor;
};

/* op_info - the entry of opcode; one named "unknown" beyond the table. */
const struct op_info *op_info(unsigned opcode);
const char *op_name(unsigned opcode);

/* op_info_is_since - the kernel major.minor has the operation. */
bool op_info_is_since(const struct op_info *info, unsigned major,
		      unsigned minor);

const char *op_family_name(unsigned family);

#endif
