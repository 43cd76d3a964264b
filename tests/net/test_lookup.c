// SPDX-License-Identifier: MIT
/*
 * What rg_lookup_host says of literals, of localhost, of names with several addresses
 * and of names that nobody has. getaddrinfo is replaced: names ending in ".test" are
 * answered here.
 * RG-LDFLAGS: -Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo
 */
#include "tests/net/netpair.h"

#include <netdb.h>
#include <stdlib.h>

static _Atomic int asked;

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

static struct addrinfo *answer(int family, const char *text)
{
	struct addrinfo *ai = calloc(1, sizeof(*ai));
	struct sockaddr_in6 *a6 = calloc(1, sizeof(*a6));
	struct sockaddr_in *a4 = (struct sockaddr_in *)a6;

	T_CHECK(ai && a6);
	ai->ai_family = family;
	ai->ai_addr = (struct sockaddr *)a6;
	a6->sin6_family = (sa_family_t)family;
	ai->ai_addrlen = family == AF_INET6 ? sizeof(*a6) : sizeof(*a4);
	T_CHECK_INT_EQ(inet_pton(family, text,
				 family == AF_INET6 ? (void *)&a6->sin6_addr
						    : (void *)&a4->sin_addr),
		       1);
	return ai;
}

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	(void)service;
	asked++;
	T_CHECK_INT_EQ(hints->ai_family, AF_UNSPEC);
	if (!strcmp(host, "later.test"))
		return EAI_AGAIN;
	if (strcmp(host, "three.test") != 0)
		return EAI_NONAME;
	*out = answer(AF_INET6, "2001:db8::7");
	(*out)->ai_next = answer(AF_INET, "192.0.2.7");
	(*out)->ai_next->ai_next = answer(AF_INET, "192.0.2.8");
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

static void looks_up_as(const char *host, const char *text)
{
	rg_host_addr a[2] = {{"untouched"}, {"untouched"}};

	T_CHECK_INT_EQ(rg_lookup_host(host, a, 2), 1);
	T_CHECK_STR_EQ(a[0].text, text);
	T_CHECK_STR_EQ(a[1].text, "untouched");
}

TEST(lookup_literals_and_localhost_ask_nobody)
{
	rg_host_addr a[2];
	int before = asked;

	looks_up_as("127.0.0.1", "127.0.0.1");
	looks_up_as("::1", "::1");
	looks_up_as("2001:DB8:0::9", "2001:db8::9");
	T_CHECK_INT_EQ(rg_lookup_host("LocalHost", a, 2), 2);
	T_CHECK_STR_EQ(a[0].text, "127.0.0.1");
	T_CHECK_STR_EQ(a[1].text, "::1");
	T_CHECK_INT_EQ(asked, before);
}

TEST(lookup_names_have_several_addresses)
{
	rg_host_addr a[3] = {{""}, {""}, {"untouched"}};

	T_CHECK_INT_EQ(rg_lookup_host("three.test", NULL, 0), 3);
	T_CHECK_INT_EQ(rg_lookup_host("three.test", a, 2), 3);
	T_CHECK_STR_EQ(a[0].text, "2001:db8::7");
	T_CHECK_STR_EQ(a[1].text, "192.0.2.7");
	T_CHECK_STR_EQ(a[2].text, "untouched");
	T_CHECK_INT_EQ(rg_lookup_host("three.test", a, 3), 3);
	T_CHECK_STR_EQ(a[2].text, "192.0.2.8");
}

TEST(lookup_failures_are_told_apart)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_host_addr a;

	T_CHECK_INT_EQ(rg_lookup_host("none.test", &a, 1), -ENXIO);
	T_CHECK_INT_EQ(rg_lookup_host("later.test", &a, 1), -EAGAIN);
	T_CHECK_INT_EQ(rg_lookup_host("", &a, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_lookup_host(NULL, &a, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_lookup_host("three.test", &a, -1), -EINVAL);
	T_CHECK_INT_EQ(rg_lookup_host("not a name", &a, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_lookup_host("1:2", &a, 1), -EINVAL);
	rg_ctx_cancel(ctx, 0);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_lookup_host("three.test", &a, 1), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_literals_and_localhost_ask_nobody),
		cmocka_unit_test(lookup_names_have_several_addresses),
		cmocka_unit_test(lookup_failures_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
