// SPDX-License-Identifier: MIT
/*
 * examples/kv as its clients see it: what it answers, byte for byte, however requests
 * are cut or put together; what it refuses, and how; many clients at once. The same
 * questions go to redis-server where that is installed: then it is known that the
 * answers are right. (kvparse.h, I2 and I3; kvstore.h, I4.)
 */
#include "tests/api/kvfixture.h"

/* ---- a dialogue -------------------------------------------------------------------- */

#define BULK(n, text) "$" #n "\r\n" text "\r\n"
#define NIL           "$-1\r\n"
#define OK            "+OK\r\n"

enum { OURS_ONLY = 1 };

static const struct {
	const char *request; /* a line as people type it */
	const char *reply;
	int flags;
} dialogue[] = {
	{"FLUSHALL", OK, 0},
	{"PING", "+PONG\r\n", 0},
	{"pInG \"hello world\"", BULK(11, "hello world"), 0},
	{"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n",
	 0},
	{"ECHO \"\\x01\\n\\\"'\"", BULK(4, "\1\n\"'"), 0},
	{"ECHO 'it\\'s'", BULK(4, "it's"), 0},
	{"ECHO", "-ERR wrong number of arguments for 'echo' command\r\n", 0},
	{"SELECT 0", OK, 0},
	{"SELECT x", "-ERR value is not an integer or out of range\r\n", 0},
	{"SELECT 99", "-ERR DB index is out of range\r\n", 0},
	{"frob a 'b c' d",
	 "-ERR unknown command 'frob', with args beginning with: 'a' 'b c' 'd' "
	 "\r\n",
	 0},
	{"frob", "-ERR unknown command 'frob', with args beginning with: \r\n",
	 0},
	/* SET */
	{"GET a", NIL, 0},
	{"SET a 1", OK, 0},
	{"GET a", BULK(1, "1"), 0},
	{"GET", "-ERR wrong number of arguments for 'get' command\r\n", 0},
	{"SET a \"\"", OK, 0},
	{"GET a", BULK(0, ""), 0},
	{"SET a 2 NX", NIL, 0},
	{"SET b 2 XX", NIL, 0},
	{"SET a 2 XX", OK, 0},
	{"SET b 3 nx", OK, 0},
	{"SET b 4 GET", BULK(1, "3"), 0},
	{"SET c 4 GET", NIL, 0},
	{"SET c 5 NX GET", BULK(1, "4"), 0},
	{"GET c", BULK(1, "4"), 0},
	{"SET a 1 NX XX", "-ERR syntax error\r\n", 0},
	{"SET a 1 EX", "-ERR syntax error\r\n", 0},
	{"SET a 1 EX 10 PX 10", "-ERR syntax error\r\n", 0},
	{"SET a 1 KEEPTTL EX 10", "-ERR syntax error\r\n", 0},
	{"SET a 1 WHAT", "-ERR syntax error\r\n", 0},
	{"SET a 1 EX x", "-ERR value is not an integer or out of range\r\n", 0},
	{"SET a 1 EX 0", "-ERR invalid expire time in 'set' command\r\n", 0},
	{"SET a 1 PX -5", "-ERR invalid expire time in 'set' command\r\n", 0},
	{"SET a 1 EX 9223372036854775807",
	 "-ERR invalid expire time in 'set' command\r\n", 0},
	{"SET a 1 PX 9223372036854775807",
	 "-ERR invalid expire time in 'set' command\r\n", 0},
	{"SET a 9 EX 100", OK, 0},
	{"TTL a", ":100\r\n", 0},
	{"SET a 9 KEEPTTL", OK, 0},
	{"TTL a", ":100\r\n", 0},
	{"INCR a", ":10\r\n", 0},
	{"TTL a", ":100\r\n", 0},
	{"SET a 9", OK, 0},
	{"TTL a", ":-1\r\n", 0},
	{"SET a 9 PXAT 99999999999999", OK, 0},
	{"PEXPIRETIME a", ":99999999999999\r\n", 0},
	{"SET a 9 EXAT 99999999999", OK, 0},
	{"EXPIRETIME a", ":99999999999\r\n", 0},
	{"SETEX a 100 x", OK, 0},
	{"TTL a", ":100\r\n", 0},
	{"SETEX a 0 x", "-ERR invalid expire time in 'setex' command\r\n", 0},
	{"PSETEX a -1 x", "-ERR invalid expire time in 'psetex' command\r\n",
	 0},
	{"PSETEX a 100000 y", OK, 0},
	{"TTL a", ":100\r\n", 0},
	{"SETNX a z", ":0\r\n", 0},
	{"SETNX new z", ":1\r\n", 0},
	{"GETSET new y", BULK(1, "z"), 0},
	{"GETDEL new", BULK(1, "y"), 0},
	{"GETDEL new", NIL, 0},
	/* several keys */
	{"MSET k1 v1 k2 v2 k1 v3", OK, 0},
	{"MGET k1 k2 none k1",
	 "*4\r\n" BULK(2, "v3") BULK(2, "v2") NIL BULK(2, "v3"), 0},
	{"MSET k1 v1 k2",
	 "-ERR wrong number of arguments for 'mset' command\r\n", 0},
	{"MSETNX k3 v k1 v", ":0\r\n", 0},
	{"EXISTS k3", ":0\r\n", 0},
	{"MSETNX k3 v k4 v", ":1\r\n", 0},
	{"EXISTS k1 k2 k1 none", ":3\r\n", 0},
	{"DEL k1 k2 k1 none", ":2\r\n", 0},
	{"UNLINK k3 k4", ":2\r\n", 0},
	{"DEL", "-ERR wrong number of arguments for 'del' command\r\n", 0},
	{"TYPE a", "+string\r\n", 0},
	{"TYPE none", "+none\r\n", 0},
	{"STRLEN a", ":1\r\n", 0},
	{"STRLEN none", ":0\r\n", 0},
	{"APPEND new abc", ":3\r\n", 0},
	{"APPEND new def", ":6\r\n", 0},
	{"GET new", BULK(6, "abcdef"), 0},
	{"SET e ''", OK, 0},
	{"APPEND e ''", ":0\r\n", 0},
	{"APPEND e x", ":1\r\n", 0},
	/* numbers */
	{"INCR n", ":1\r\n", 0},
	{"DECR n", ":0\r\n", 0},
	{"DECR n", ":-1\r\n", 0},
	{"INCRBY n 100", ":99\r\n", 0},
	{"DECRBY n 9", ":90\r\n", 0},
	{"INCRBY n 1.5", "-ERR value is not an integer or out of range\r\n", 0},
	{"INCR new", "-ERR value is not an integer or out of range\r\n", 0},
	{"SET n 9223372036854775807", OK, 0},
	{"INCR n", "-ERR increment or decrement would overflow\r\n", 0},
	{"SET n -9223372036854775808", OK, 0},
	{"DECR n", "-ERR increment or decrement would overflow\r\n", 0},
	{"INCRBY n 1", ":-9223372036854775807\r\n", 0},
	{"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n",
	 0},
	{"SET n 9223372036854775808", OK, 0},
	{"INCR n", "-ERR value is not an integer or out of range\r\n", 0},
	{"SET n 01", OK, 0},
	{"INCR n", "-ERR value is not an integer or out of range\r\n", 0},
	{"SET n -0", OK, 0},
	{"INCR n", "-ERR value is not an integer or out of range\r\n", 0},
	{"SET n ' 1'", OK, 0},
	{"INCR n", "-ERR value is not an integer or out of range\r\n", 0},
	/* expiry */
	{"EXPIRE none 10", ":0\r\n", 0},
	{"TTL none", ":-2\r\n", 0},
	{"PTTL none", ":-2\r\n", 0},
	{"SET a 1", OK, 0},
	{"EXPIRE a x", "-ERR value is not an integer or out of range\r\n", 0},
	{"EXPIRE a 10 what", "-ERR Unsupported option what\r\n", 0},
	{"EXPIRE a 10 NX XX",
	 "-ERR NX and XX, GT or LT options at the same time are not "
	 "compatible\r\n",
	 0},
	{"EXPIRE a 10 GT LT",
	 "-ERR GT and LT options at the same time are not compatible\r\n", 0},
	{"EXPIRE a 9223372036854775807",
	 "-ERR invalid expire time in 'expire' command\r\n", 0},
	{"PEXPIRE a 9223372036854775807",
	 "-ERR invalid expire time in 'pexpire' command\r\n", 0},
	{"EXPIRE a -9223372036854775808",
	 "-ERR invalid expire time in 'expire' command\r\n", 0},
	{"EXPIRE a 100 XX", ":0\r\n", 0},
	{"EXPIRE a 100 GT", ":0\r\n", 0},
	{"EXPIRE a 100 NX", ":1\r\n", 0},
	{"EXPIRE a 200 NX", ":0\r\n", 0},
	{"EXPIRE a 200 LT", ":0\r\n", 0},
	{"EXPIRE a 200 GT", ":1\r\n", 0},
	{"EXPIRE a 150 LT XX", ":1\r\n", 0},
	{"TTL a", ":150\r\n", 0},
	{"EXPIREAT a 99999999999", ":1\r\n", 0},
	{"PEXPIREAT a 99999999999999", ":1\r\n", 0},
	{"PEXPIRETIME a", ":99999999999999\r\n", 0},
	{"PERSIST a", ":1\r\n", 0},
	{"PERSIST a", ":0\r\n", 0},
	{"EXPIRETIME a", ":-1\r\n", 0},
	{"EXPIRE a -1", ":1\r\n", 0},
	{"EXISTS a", ":0\r\n", 0},
	{"SET a 1", OK, 0},
	{"EXPIREAT a 1", ":1\r\n", 0},
	{"GET a", NIL, 0},
	/* keys */
	{"FLUSHALL SYNC", OK, 0},
	{"FLUSHDB what", "-ERR syntax error\r\n", 0},
	{"DBSIZE", ":0\r\n", 0},
	{"KEYS *", "*0\r\n", 0},
	{"SCAN 0 COUNT 1000", "*2\r\n" BULK(1, "0") "*0\r\n", 0},
	{"MSET hello 1 hallo 1 h*llo 1", OK, 0},
	{"DBSIZE", ":3\r\n", 0},
	{"KEYS h\\*llo", "*1\r\n" BULK(5, "h*llo"), 0},
	{"KEYS h[^e*]llo", "*1\r\n" BULK(5, "hallo"), 0},
	{"KEYS h[b-f]llo", "*1\r\n" BULK(5, "hello"), 0},
	{"KEYS *ell?", "*1\r\n" BULK(5, "hello"), 0},
	{"KEYS hell", "*0\r\n", 0},
	{"KEYS *x*y*", "*0\r\n", 0},
	{"SCAN 0 MATCH ha* COUNT 1000",
	 "*2\r\n" BULK(1, "0") "*1\r\n" BULK(5, "hallo"), 0},
	{"SCAN 0 TYPE list COUNT 1000", "*2\r\n" BULK(1, "0") "*0\r\n", 0},
	{"SCAN x", "-ERR invalid cursor\r\n", 0},
	{"SCAN 0 COUNT 0", "-ERR syntax error\r\n", 0},
	{"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n",
	 0},
	{"SCAN 0 MATCH", "-ERR syntax error\r\n", 0},
	/* the server */
	{"CONFIG GET save", "*2\r\n" BULK(4, "save") BULK(0, ""), 0},
	{"CONFIG GET appendonly", "*2\r\n" BULK(10, "appendonly") BULK(2, "no"),
	 0},
	{"CONFIG GET nothing", "*0\r\n", 0},
	{"CONFIG GET maxclient? databases",
	 "*4\r\n" BULK(9, "databases") BULK(1, "1") BULK(10, "maxclients")
		 BULK(3, "300"),
	 OURS_ONLY},
	{"CONFIG GET",
	 "-ERR wrong number of arguments for 'config|get' command\r\n", 0},
	{"CONFIG what", "-ERR unknown subcommand 'what'. Try CONFIG HELP.\r\n",
	 0},
	{"CONFIG SET nothing 1",
	 "-ERR Unknown option or number of arguments for CONFIG SET - "
	 "'nothing'\r\n",
	 0},
	{"CONFIG RESETSTAT", OK, 0},
	{"COMMAND INFO get nothing",
	 "*2\r\n*10\r\n" BULK(
		 3, "get") ":2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n"
			   ":1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n*-1\r\n",
	 OURS_ONLY},
	{"COMMAND what",
	 "-ERR unknown subcommand 'what'. Try COMMAND HELP.\r\n", 0},
	{"COMMAND DOCS nothing", "*0\r\n", 0},
	{"HELLO 9", "-NOPROTO unsupported protocol version\r\n", 0},
	{"HELLO 3", "-NOPROTO unsupported protocol version\r\n", OURS_ONLY},
	{"HELLO x",
	 "-ERR Protocol version is not an integer or out of range\r\n", 0},
	{"HELLO 2 what", "-ERR Syntax error in HELLO option 'what'\r\n", 0},
	{"AUTH x",
	 "-ERR AUTH <password> called without any password configured for the "
	 "default user. Are you sure your configuration is correct?\r\n",
	 0},
	{"AUTH nobody x",
	 "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
	 0},
	{"AUTH default x", OK, 0},
	{"CLIENT GETNAME", NIL, 0},
	{"CLIENT SETNAME tester", OK, 0},
	{"CLIENT GETNAME", BULK(6, "tester"), 0},
	{"CLIENT SETNAME 'a b'",
	 "-ERR Client names cannot contain spaces, newlines or special "
	 "characters.\r\n",
	 0},
	{"CLIENT what", "-ERR unknown subcommand 'what'. Try CLIENT HELP.\r\n",
	 0},
	{"CLIENT SETINFO lib-name test", OK, OURS_ONLY},
	{"CLIENT GETNAME x",
	 "-ERR wrong number of arguments for 'client|getname' command\r\n", 0},
	{"", "", 0},
	{"   ", "", 0},
};
enum { LINES = sizeof dialogue / sizeof *dialogue };

static void hold_dialogue(uint16_t port, bool is_ours)
{
	int fd = t_tcp_connect(port);

	for (int i = 0; i < LINES; i++) {
		char line[256];

		if (!is_ours && dialogue[i].flags & OURS_ONLY)
			continue;
		snprintf(line, sizeof line, "%s\r\n", dialogue[i].request);
		kv_expect(fd, line, dialogue[i].reply);
	}
	t_close(fd);
}

static void kv_dialogue_is_answered_as_redis_would(void **state)
{
	struct kv s;

	(void)state;
	kv_start(&s, "-c", "300", "-m", "2");
	hold_dialogue(s.port, true);
	kv_end(&s, SIGTERM);
}

/* What the table above says is what Redis says. */
static void kv_dialogue_is_answered_so_by_redis(void **state)
{
	char port[8];
	const char *argv[] = {
		"redis-server", "--port", port,          "--save", "",
		"--appendonly", "no",     "--databases", "16",     NULL};
	struct kv s;
	uint16_t n;

	(void)state;
	if (system("redis-server --version 2>&1 | grep -q 'v=7\\.'")) {
		puts("no redis-server 7 to compare with");
		skip();
	}
	t_close(t_tcp_listen(&n));
	snprintf(port, sizeof port, "%u", n);
	kv_spawn(&s, argv);
	T_CHECK(kv_wait_text(&s, "Ready to accept connections"));
	hold_dialogue(n, false);
	T_CHECK(kill(s.pid, SIGTERM) == 0);
	kv_wait(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kv_dialogue_is_answered_as_redis_would),
		cmocka_unit_test(kv_dialogue_is_answered_so_by_redis),
	};

	if (!kv_is_built())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
