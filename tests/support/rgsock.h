/* SPDX-License-Identifier: MIT */
/*
 * rgsock - plain blocking sockets on 127.0.0.1, the other end of a server or
 * client under test.
 *
 * They know nothing of the library and block their thread: run them on threads of
 * their own (t_thread), not on goroutines. Everything that fails aborts the test,
 * as T_CHECK does; so does a peer that is silent for 20 s, unless a function says
 * otherwise. SIGPIPE is never raised.
 */
#ifndef RG_TESTS_RGSOCK_H
#define RG_TESTS_RGSOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* t_thread - start fn(arg) on a thread of its own. t_join - wait for its end and
 * return what it returned. */
pthread_t t_thread(void *(*fn)(void *arg), void *arg);
void *t_join(pthread_t thread);

/* t_port_of - the port of "127.0.0.1:41234" or "[::1]:41234". */
uint16_t t_port_of(const char *address);

/* t_tcp_connect - a connected socket. t_tcp_try_connect - the same, or a negative
 * errno. */
int t_tcp_connect(uint16_t port);
int t_tcp_try_connect(uint16_t port);

/* t_tcp_listen - a listening socket on a free port, which goes to *port.
 * t_tcp_accept - its next connection. */
int t_tcp_listen(uint16_t *port);
int t_tcp_accept(int listener);

/* t_send_all, t_send_str - send all of it. t_try_send - what one send gave, or a
 * negative errno (the peer may be gone). */
void t_send_all(int fd, const void *buf, size_t len);
void t_send_str(int fd, const char *text);
ssize_t t_try_send(int fd, const void *buf, size_t len);

/* t_recv - what one recv gave, 0 at the end, or a negative errno; -EAGAIN after
 * 20 s of silence. */
ssize_t t_recv(int fd, void *buf, size_t len);

/* t_recv_exactly - receive len bytes; an early end fails. */
void t_recv_exactly(int fd, void *buf, size_t len);

/* t_recv_all - receive until the peer ends the stream (a reset counts as an end)
 * and add a NUL; returns the length without it. More than size - 1 bytes fails. */
size_t t_recv_all(int fd, char *buf, size_t size);

/* t_recv_until - receive until the text ends with mark, e.g. "\r\n\r\n", and add a
 * NUL; takes no byte beyond it. Returns the length; an early end fails. */
size_t t_recv_until(int fd, char *buf, size_t size, const char *mark);

/* t_silent_for - true when nothing, not even an end, arrives for ms. */
int t_silent_for(int fd, int ms);

/* t_close - close; t_close_write - end the stream to the peer; t_reset - close so
 * that the peer sees a reset. */
void t_close(int fd);
void t_close_write(int fd);
void t_reset(int fd);

#endif
