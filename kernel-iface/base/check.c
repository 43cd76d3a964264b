// SPDX-License-Identifier: MIT
/*
 * check - what a failed assertion does before anybody else is there to ask.
 *
 * Writes with write(2) only: the state of stdio and malloc is unknown here.
 */
#include "kernel-iface/base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void (*rgk_check_hook)(const char *what);

static void say(const char *text)
{
	/* Nothing can be done about a stderr that does not take it. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

void rgk_check_failed(const char *what)
{
	if (rgk_check_hook)
		rgk_check_hook(what);
	say("ringgo: ");
	say(what);
	say("\n");
	abort();
}
