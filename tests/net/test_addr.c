// SPDX-License-Identifier: MIT
/*
 * Attacks addr's strictness (what must be refused), its invariant I2 (formatted text is
 * read back to the same address) and the limits of its buffers.
 */
#include "tests/support/rgtest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include "net/addr.h"

static void addr_network_names_are_known(void **state)
{
	(void)state;
	assert_int_equal(addr_network_of("tcp"), ADDR_TCP);
	assert_int_equal(addr_network_of("tcp4"), ADDR_TCP4);
	assert_int_equal(addr_network_of("tcp6"), ADDR_TCP6);
	assert_int_equal(addr_network_of("unix"), ADDR_UNIX);
	assert_int_equal(addr_network_of("udp"), -EINVAL);
	assert_int_equal(addr_network_of("TCP"), -EINVAL);
	assert_int_equal(addr_network_of(""), -EINVAL);
	assert_int_equal(addr_network_of(NULL), -EINVAL);
}

static void addr_split_finds_host_and_port(void **state)
{
	static const struct {
		const char *text, *host;
		bool in_brackets;
		uint16_t port;
	} good[] = {
		{"127.0.0.1:80", "127.0.0.1", false, 80},
		{":0", "", false, 0},
		{":65535", "", false, 65535},
		{"example.org:443", "example.org", false, 443},
		{"[::1]:8080", "::1", true, 8080},
		{"[fe80::1%eth0]:1", "fe80::1%eth0", true, 1},
		{"[]:1", "", true, 1},
		{"a:00080", "a", false, 80},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct addr_parts p;

		T_CHECK_INT_EQ(addr_split(good[i].text, &p), 0);
		T_CHECK_INT_EQ(p.host_len, strlen(good[i].host));
		T_CHECK_MEM_EQ(p.host, good[i].host, p.host_len);
		T_CHECK_INT_EQ(p.in_brackets, good[i].in_brackets);
		T_CHECK_INT_EQ(p.port, good[i].port);
	}
}

static void addr_split_refuses_nonsense(void **state)
{
	static const char *const bad[] = {
		"",
		"localhost",
		"localhost:",
		"a:b",
		"a:80x",
		"a: 80",
		"a:+80",
		"a:-1",
		"a:65536",
		"::1:80",
		"::1",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"[::1]:",
		"[::1]]:80",
		"a:99999999999",
		"a:18446744073709551696",
		"1.2.3.4:80 ",
		"[::1] :80",
		":80:80",
	};
	struct addr_parts p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (addr_split(bad[i], &p) != -EINVAL)
			T_FAIL("accepted \"%s\"", bad[i]);
	}
	T_CHECK_INT_EQ(addr_split(NULL, &p), -EINVAL);
}

static int literal_of(const char *text, union addr_ip *out)
{
	struct addr_parts p;

	T_CHECK_INT_EQ(addr_split(text, &p), 0);
	return addr_literal(&p, out);
}

static void addr_literal_tells_addresses_from_names(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"1.2.3.4:5", 0},
		{"255.255.255.255:5", 0},
		{"[::]:5", 0},
		{"[2001:db8::1]:5", 0},
		{"[::ffff:1.2.3.4]:5", 0},
		{"[fe80::1%1]:5", 0},
		{"[fe80::1%lo]:5", 0},
		{"[fe80::1%no-such-if]:5", -ENODEV},
		{"[fe80::1%]:5", -EINVAL},
		{"[fe80::1%0]:5", -EINVAL},
		{"[1.2.3.4]:5", -EINVAL},
		{"[]:5", -EINVAL},
		{"[localhost]:5", -EINVAL},
		{":5", -ENOENT},
		{"localhost:5", -ENOENT},
		{"example.org.:5", -ENOENT},
		{"a_b-c.x1:5", -ENOENT},
		{"1a:5", -ENOENT},
		/* what inet_aton would take */
		{"127.1:5", -EINVAL},
		{"2130706433:5", -EINVAL},
		{"0x7f000001:5", -EINVAL},
		{"0X7F.1:5", -EINVAL},
		{"1.2.3.256:5", -EINVAL},
		{"1.2.3.4.5:5", -EINVAL},
		{"01.2.3.4:5", -EINVAL},
		/* what is no name */
		{"a..b:5", -EINVAL},
		{".:5", -EINVAL},
		{".a:5", -EINVAL},
		{"a b:5", -EINVAL},
		{"a/b:5", -EINVAL},
		{"\xc3\xa9:5", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union addr_ip a;
		int ret = literal_of(cases[i].text, &a);

		if (ret != cases[i].result)
			T_FAIL("\"%s\": %d", cases[i].text, ret);
	}
}

static void addr_literal_bounds_the_length_of_names(void **state)
{
	char text[400];
	union addr_ip a;

	(void)state;
	/* A label of 63, then of 64. */
	memset(text, 'a', sizeof(text));
	strcpy(text + 63, ":1");
	T_CHECK_INT_EQ(literal_of(text, &a), -ENOENT);
	memset(text, 'a', 64);
	strcpy(text + 64, ":1");
	T_CHECK_INT_EQ(literal_of(text, &a), -EINVAL);
	/* Labels of one letter: 253 bytes, then 255. */
	for (int i = 0; i < 300; i++)
		text[i] = i % 2 ? '.' : 'a';
	strcpy(text + 253, ":1");
	T_CHECK_INT_EQ(literal_of(text, &a), -ENOENT);
	text[253] = '.';
	text[254] = 'a';
	strcpy(text + 255, ":1");
	T_CHECK_INT_EQ(literal_of(text, &a), -EINVAL);
	/* A literal longer than any. */
	memset(text, '0', sizeof(text));
	text[0] = '[';
	strcpy(text + 300, "::1]:1");
	T_CHECK_INT_EQ(literal_of(text, &a), -EINVAL);
}

static void addr_format_gives_back_what_was_read(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"1.2.3.4:0", "1.2.3.4:0"},
		{"255.0.0.255:65535", "255.0.0.255:65535"},
		{"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
		{"[::]:80", "[::]:80"},
		{"[2001:DB8::A]:80", "[2001:db8::a]:80"},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
		{"[fe80::1%7]:80", "[fe80::1%7]:80"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:1",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[ADDR_TEXT_SIZE];
		union addr_ip a, b;

		T_CHECK_INT_EQ(literal_of(cases[i].in, &a), 0);
		T_CHECK_INT_EQ(
			addr_format(&a.sa, addr_ip_len(&a), text, sizeof(text)),
			strlen(cases[i].out));
		T_CHECK_STR_EQ(text, cases[i].out);
		T_CHECK_INT_EQ(literal_of(text, &b), 0);
		if (a.sa.sa_family == b.sa.sa_family)
			T_CHECK(addr_is_same(&a, &b));
	}
}

static void addr_format_never_overflows(void **state)
{
	union addr_ip a;

	(void)state;
	addr_loopback(AF_INET6, 12345, &a);
	for (size_t size = 0; size < 16; size++) {
		char text[17];
		size_t len;

		memset(text, 'x', sizeof(text));
		len = addr_format(&a.sa, addr_ip_len(&a), text, size);
		T_CHECK_INT_EQ(len, size == 0       ? 0
				    : size - 1 < 11 ? size - 1
						    : 11);
		if (size > 0)
			T_CHECK_INT_EQ(strlen(text), len);
		for (size_t i = size; i < sizeof(text); i++)
			T_CHECK_INT_EQ(text[i], 'x');
	}
}

static void addr_format_survives_odd_input(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr sa = {.sa_family = AF_PACKET};
	char text[ADDR_TEXT_SIZE];

	(void)state;
	T_CHECK_INT_EQ(
		addr_format((struct sockaddr *)&in, 7, text, sizeof(text)), 0);
	T_CHECK_INT_EQ(
		addr_format((struct sockaddr *)&in, 0, text, sizeof(text)), 0);
	T_CHECK_INT_EQ(addr_format(&sa, sizeof(sa), text, sizeof(text)), 0);
	T_CHECK_STR_EQ(text, "");
}

static void unix_round(const char *path, const char *expected)
{
	struct sockaddr_un un;
	socklen_t len;
	char text[ADDR_TEXT_SIZE];

	T_CHECK_INT_EQ(addr_unix(path, &un, &len), 0);
	T_CHECK_INT_EQ(un.sun_family, AF_UNIX);
	addr_format((struct sockaddr *)&un, len, text, sizeof(text));
	T_CHECK_STR_EQ(text, expected);
	T_CHECK_INT_EQ(addr_is_path(&un, len), path[0] != '@');
}

static void addr_unix_knows_paths_and_abstract_names(void **state)
{
	char longest[109];
	struct sockaddr_un un;
	socklen_t len;

	(void)state;
	unix_round("/run/x.sock", "/run/x.sock");
	unix_round("relative", "relative");
	unix_round("@name", "@name");
	unix_round("@", "");
	T_CHECK_INT_EQ(addr_unix("@ab", &un, &len), 0);
	T_CHECK_INT_EQ(len, offsetof(struct sockaddr_un, sun_path) + 3);
	T_CHECK_MEM_EQ(un.sun_path, "\0ab", 3);

	memset(longest, 'p', sizeof(longest));
	longest[107] = '\0';
	unix_round(longest, longest);
	longest[0] = '@';
	unix_round(longest, longest);
	longest[107] = 'p';
	longest[108] = '\0';
	T_CHECK_INT_EQ(addr_unix(longest, &un, &len), -EINVAL);
	T_CHECK_INT_EQ(addr_unix("", &un, &len), -EINVAL);
	T_CHECK_INT_EQ(addr_unix(NULL, &un, &len), -EINVAL);
}

static void addr_unix_of_108_bytes_without_a_zero_is_printed(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[ADDR_TEXT_SIZE];

	(void)state;
	/* The kernel may fill all of sun_path. */
	memset(un.sun_path, 'p', sizeof(un.sun_path));
	T_CHECK_INT_EQ(addr_format((struct sockaddr *)&un, sizeof(un), text,
				   sizeof(text)),
		       108);
	un.sun_path[0] = '\0';
	un.sun_path[5] = '\0';
	T_CHECK_INT_EQ(addr_format((struct sockaddr *)&un, sizeof(un), text,
				   sizeof(text)),
		       108);
	T_CHECK_INT_EQ(text[0], '@');
	T_CHECK_INT_EQ(text[5], '@');
	T_CHECK_INT_EQ(text[107], 'p');
}

static void addr_localhost_is_recognised(void **state)
{
	static const char *const yes[] = {"localhost", "LocalHost",
					  "localhost.", "a.localhost"};
	static const char *const no[] = {
		"",           "localhos",   "localhost.org",
		"alocalhost", "local.host", "."};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		T_CHECK(addr_is_localhost(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		T_CHECK(!addr_is_localhost(no[i], strlen(no[i])));
}

static void addr_any_and_same_compare_all_parts(void **state)
{
	union addr_ip a, b;

	(void)state;
	addr_any(AF_INET, 1, &a);
	T_CHECK(addr_is_any(&a));
	addr_any(AF_INET6, 1, &b);
	T_CHECK(addr_is_any(&b));
	T_CHECK(!addr_is_same(&a, &b));
	addr_loopback(AF_INET6, 1, &a);
	T_CHECK(!addr_is_any(&a));
	T_CHECK(!addr_is_same(&a, &b));
	addr_loopback(AF_INET6, 2, &b);
	T_CHECK(!addr_is_same(&a, &b));
	addr_loopback(AF_INET6, 1, &b);
	T_CHECK(addr_is_same(&a, &b));
	addr_loopback(AF_INET, 1, &a);
	addr_loopback(AF_INET, 1, &b);
	T_CHECK(!addr_is_any(&a));
	T_CHECK(addr_is_same(&a, &b));
	b.in.sin_port = htons(2);
	T_CHECK(!addr_is_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addr_network_names_are_known),
		cmocka_unit_test(addr_split_finds_host_and_port),
		cmocka_unit_test(addr_split_refuses_nonsense),
		cmocka_unit_test(addr_literal_tells_addresses_from_names),
		cmocka_unit_test(addr_literal_bounds_the_length_of_names),
		cmocka_unit_test(addr_format_gives_back_what_was_read),
		cmocka_unit_test(addr_format_never_overflows),
		cmocka_unit_test(addr_format_survives_odd_input),
		cmocka_unit_test(addr_unix_knows_paths_and_abstract_names),
		cmocka_unit_test(
			addr_unix_of_108_bytes_without_a_zero_is_printed),
		cmocka_unit_test(addr_localhost_is_recognised),
		cmocka_unit_test(addr_any_and_same_compare_all_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
