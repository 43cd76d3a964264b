// SPDX-License-Identifier: MIT
/*
 * forked - see forked.h.
 */
#include "kernel-iface/base/forked.h"

#include <stdlib.h>
#include <unistd.h>

bool forked_is_child;

void forked_refuse(void)
{
	static const char text[] = "ringgo: panic: the runtime does not "
				   "survive fork: use rg_command or exec\n";

	/* No goroutine to be shown: they are the parent's. A stderr that does
	 * not take it leaves nobody to tell. */
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		abort();
	abort();
}
