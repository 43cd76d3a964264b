/* SPDX-License-Identifier: MIT */
/*
 * ringgo.h - goroutines for C: include this one, link `pkg-config ringgo`.
 *
 *	static int app(void *arg) { ... rg_go(worker, job); ... return 0; }
 *	int main(void) { return rg_run(NULL, app, NULL); }
 *
 * Every header below compiles alone in C11 and C++17.
 */
#ifndef RINGGO_H
#define RINGGO_H

#include <ringgo/base.h>
#include <ringgo/runtime.h>
#include <ringgo/local.h>
#include <ringgo/labels.h>
#include <ringgo/chan.h>
#include <ringgo/sync.h>
#include <ringgo/scope.h>
#include <ringgo/map.h>
#include <ringgo/ctx.h>
#include <ringgo/timer.h>
#include <ringgo/synctest.h>
#include <ringgo/io.h>
#include <ringgo/file.h>
#include <ringgo/socket.h>
#include <ringgo/process.h>
#include <ringgo/net.h>
#include <ringgo/packet.h>
#include <ringgo/bufio.h>
#include <ringgo/http.h>

#endif
