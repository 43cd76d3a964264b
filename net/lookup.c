// SPDX-License-Identifier: MIT
/*
 * lookup - rg_lookup_host: a name's addresses as text.
 *
 * The question is resolve's; the text is addr's, without the port.
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/net.h>

#include <assert.h>
#include <net/if.h>
#include <string.h>

#include "net/resolve.h"
#include "sched/point.h"

static_assert(sizeof(((rg_host_addr *)0)->text) >=
		      INET6_ADDRSTRLEN + IF_NAMESIZE,
	      "an IPv6 address with its zone fits");

/* "1.2.3.4:0" or "[::1]:0" without what is not the host's. */
static void write_text(const union addr_ip *a, rg_host_addr *out)
{
	char buf[ADDR_TEXT_SIZE];
	size_t len = addr_format(&a->sa, addr_ip_len(a), buf, sizeof(buf));
	size_t skip = buf[0] == '[';

	len -= skip + (skip ? strlen("]:0") : strlen(":0"));
	memcpy(out->text, buf + skip, len);
	out->text[len] = '\0';
}

int rg_lookup_host(const char *host, rg_host_addr *out, int n)
{
	struct addr_parts parts = {.host = host};
	struct resolved r;
	int err;

	sched_point();
	if (!host || !*host || n < 0)
		return -EINVAL;
	parts.host_len = strlen(host);
	parts.in_brackets = memchr(host, ':', parts.host_len) != NULL;
	err = resolve(ADDR_TCP, &parts, false, &r);
	if (err)
		return err;
	for (int i = 0; i < n && i < (int)r.n; i++)
		write_text(&r.addr[i], &out[i]);
	return (int)r.n;
}
