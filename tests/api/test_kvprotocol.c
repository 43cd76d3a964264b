// SPDX-License-Identifier: MIT
/*
 * examples/kv as its clients see it: what it answers, byte for byte, however requests
 * are cut or put together; what it refuses, and how; many clients at once. The same
 * questions go to redis-server where that is installed: then it is known that the
 * answers are right. (kvparse.h, I2 and I3; kvstore.h, I4.)
 */
#include "tests/api/kvfixture.h"

#include <sys/socket.h>

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

/* ---- what is refused --------------------------------------------------------------- */

static const struct {
	const char *bytes;
	const char *error; /* after "Protocol error: " */
} refused[] = {
	{"*x\r\n", "invalid multibulk length"},
	{"*1048577\r\n", "invalid multibulk length"},
	{"*99999999999999999999\r\n", "invalid multibulk length"},
	{"*\r\n", "invalid multibulk length"},
	{"*1\r\nPING\r\n", "expected '$', got 'P'"},
	{"*1\r\n\r\n", "expected '$', got ' '"},
	{"*1\r\n$x\r\n", "invalid bulk length"},
	{"*1\r\n$-1\r\n", "invalid bulk length"},
	{"*1\r\n$536870913\r\n", "invalid bulk length"},
	{"*1\r\n$ 4\r\nPING\r\n", "invalid bulk length"},
	{"ECHO \"a\r\n", "unbalanced quotes in request"},
	{"ECHO 'a'b\r\n", "unbalanced quotes in request"},
	{"ECHO \"a\"b\r\n", "unbalanced quotes in request"},
};
enum { REFUSED = sizeof refused / sizeof *refused };

static void expect_refusal(uint16_t port, const char *bytes, size_t len,
			   const char *error)
{
	char want[128], got[256];
	int fd = t_tcp_connect(port);

	snprintf(want, sizeof want, "+PONG\r\n-ERR Protocol error: %s\r\n",
		 error);
	t_send_str(fd, "PING\r\n");
	t_send_all(fd, bytes, len);
	t_recv_all(fd, got, sizeof got); /* and that is the end */
	T_CHECK_STR_EQ(got, want);
	t_close(fd);
}

static void refuse_all(uint16_t port, bool is_ours)
{
	enum { LONG = (64 << 10) + 1 }; /* the last byte makes it too long */
	char *line = malloc(4 + LONG);

	for (int i = 0; i < REFUSED; i++)
		if (is_ours || strcmp(refused[i].bytes, "*1048577\r\n"))
			expect_refusal(port, refused[i].bytes,
				       strlen(refused[i].bytes),
				       refused[i].error);
	T_CHECK(line != NULL);
	memset(line, '1', 4 + LONG);
	expect_refusal(port, line, LONG, "too big inline request");
	line[0] = '*';
	expect_refusal(port, line, LONG, "too big mbulk count string");
	memcpy(line, "*1\r\n$", 5);
	expect_refusal(port, line, 4 + LONG, "too big bulk count string");
	free(line);
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
	refuse_all(n, false);
	T_CHECK(kill(s.pid, SIGTERM) == 0);
	kv_wait(&s);
}

/* ---- bytes cut anywhere ------------------------------------------------------------ */

/* Arrays, inline requests, empty ones, quotes and a value with every kind of byte. */
static const char stream[] =
	"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\n\r\n*1\r\n$4\r\n\0\r\n"
	"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\n*-1\r\n"
	"set \"a\\x20b\" 'c d'\r\nget \"a b\"\nEXISTS k k\r\n"
	"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\nINCR n\r\nDEL n\r\n"
	"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nping\r\n";
static const char stream_replies[] =
	OK "$11\r\n\r\n*1\r\n$4\r\n\0\r\n"
	   "+PONG\r\n" OK BULK(3, "c d") ":2\r\n+PONG\r\n:1\r\n:1\r\n:1\r\n" NIL
					 "+PONG\r\n";

static void expect_replies(int fd, size_t cut)
{
	char got[sizeof stream_replies];

	t_recv_exactly(fd, got, sizeof got - 1);
	if (memcmp(got, stream_replies, sizeof got - 1))
		T_FAIL("cut at %zu: %.*s", cut, (int)sizeof got - 1, got);
}

static void kv_requests_in_two_pieces_are_answered_alike(void **state)
{
	enum { LEN = sizeof stream - 1 };
	struct kv s;
	int fd;

	(void)state;
	kv_start(&s, "-m", "2", NULL, NULL);
	fd = t_tcp_connect(s.port);
	for (size_t cut = 0; cut <= LEN; cut++) {
		t_send_all(fd, stream, cut);
		/* The first piece is read by itself: what it asks is answered. */
		if (cut == LEN / 2)
			T_CHECK_INT_GT(recv(fd, (char[1]){0}, 1, MSG_PEEK), 0);
		t_send_all(fd, stream + cut, LEN - cut);
		expect_replies(fd, cut);
	}
	for (size_t i = 0; i < LEN; i++)
		t_send_all(fd, stream + i, 1);
	expect_replies(fd, 1);
	t_close(fd);
	kv_end(&s, SIGTERM);
}

static void kv_batch_of_requests_has_one_batch_of_replies(void **state)
{
	enum { N = 200 };
	char ask[N * 6 + 1] = "", got[N * 7];
	struct kv s;
	int fd;

	(void)state;
	kv_start(&s, "-m", "1", NULL, NULL);
	fd = t_tcp_connect(s.port);
	for (int i = 0; i < N; i++)
		memcpy(ask + i * 6, "PING\r\n", 7);
	t_send_all(fd, ask, N * 6);
	/* One write: all of it is there as soon as some is. */
	T_CHECK_INT_EQ(t_recv(fd, got, sizeof got), (int)sizeof got);
	t_close(fd);
	kv_end(&s, SIGTERM);
}

static void kv_nonsense_is_refused_as_redis_would(void **state)
{
	struct kv s;
	int fd;

	(void)state;
	kv_start(&s, NULL, NULL, NULL, NULL);
	refuse_all(s.port, true);
	fd = t_tcp_connect(s.port);
	t_send_str(fd, "POST / HTTP/1.1\r\nHost: a\r\n\r\nSET a b\r\n");
	T_CHECK_INT_EQ(t_recv_all(fd, (char[16]){0}, 16), 0);
	t_close(fd);
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "GET a\r\n", NIL);
	t_send_str(fd, "QUIT\r\nSET a b\r\n");
	T_CHECK_INT_EQ(t_recv_all(fd, (char[16]){0}, 16), 5);
	t_close(fd);
	kv_end(&s, SIGINT);
}

static void kv_limits_of_the_command_line_hold(void **state)
{
	static const char too_big[] = "*2\r\n$4\r\nECHO\r\n$1001\r\n";
	char big[600];
	struct kv s;
	int fd, other;

	(void)state;
	kv_start(&s, "-b", "1000", "-c", "2");
	expect_refusal(s.port, too_big, strlen(too_big), "invalid bulk length");
	fd = t_tcp_connect(s.port);
	memset(big, 'x', sizeof big);
	memcpy(big, "APPEND a ", 9);
	memcpy(big + sizeof big - 3, "\r\n", 3);
	kv_expect(fd, big, ":588\r\n");
	kv_expect(fd, big,
		  "-ERR string exceeds maximum allowed size "
		  "(proto-max-bulk-len)\r\n");
	kv_expect(fd, "STRLEN a\r\n", ":588\r\n");
	other = t_tcp_connect(s.port);
	kv_expect(other, "PING\r\n", "+PONG\r\n");
	t_close(t_tcp_connect(s.port));
	{
		int third = t_tcp_connect(s.port);

		t_recv_all(third, big, sizeof big);
		T_CHECK_STR_EQ(big, "-ERR max number of clients reached\r\n");
		t_close(third);
	}
	T_CHECK_STR_HAS(kv_ask(fd, "INFO stats\r\n", 12),
			"rejected_connections:2\r\n");
	t_close(other);
	t_close(fd);
	kv_end(&s, SIGTERM);
}

/* ---- large, many, and gone --------------------------------------------------------- */

static void kv_large_values_come_back_whole(void **state)
{
	enum { LEN = 5 << 20 };
	static char value[LEN], got[LEN + 2];
	char head[64];
	struct kv s;
	int fd;

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		value[i] = (char)(i * 2654435761u >> 13);
	kv_start(&s, "-m", "2", NULL, NULL);
	fd = t_tcp_connect(s.port);
	snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%d\r\n",
		 LEN);
	t_send_str(fd, head);
	t_send_all(fd, value, LEN);
	t_send_str(fd, "\r\nGET v\r\nSTRLEN v\r\n");
	t_recv_until(fd, head, sizeof head, "+OK\r\n$5242880\r\n");
	t_recv_exactly(fd, got, LEN + 2);
	T_CHECK(!memcmp(got, value, LEN) && !memcmp(got + LEN, "\r\n", 2));
	t_recv_until(fd, head, sizeof head, ":5242880\r\n");
	kv_expect(fd, "SET v small\r\n", OK);
	kv_expect(fd, "GET v\r\n", BULK(5, "small"));
	/* A value that never comes whole costs nobody else anything. */
	t_send_str(fd, "*2\r\n$4\r\nECHO\r\n$5242880\r\n");
	t_send_all(fd, value, LEN - 1);
	t_close(fd);
	fd = t_tcp_connect(s.port);
	kv_expect(fd, "GET v\r\n", BULK(5, "small"));
	t_close(fd);
	kv_end(&s, SIGTERM);
}

static void kv_a_thousand_arguments_and_a_thousand_clients(void **state)
{
	enum { N = 1000 };
	static int fds[N];
	static char ask[N * 16 + 32], want[N * 8 + 32];
	int n = sprintf(ask, "*%d\r\n$4\r\nMGET\r\n", N + 1);
	int w = sprintf(want, "*%d\r\n", N);
	struct kv s;

	(void)state;
	for (int i = 0; i < N; i++) {
		n += sprintf(ask + n, "$4\r\nk%03d\r\n", i);
		w += sprintf(want + w, "$1\r\n1\r\n");
	}
	kv_start(&s, "-m", "2", NULL, NULL);
	for (int i = 0; i < N; i++)
		fds[i] = t_tcp_connect(s.port);
	for (int i = 0; i < N; i++) {
		char set[32];

		snprintf(set, sizeof set, "INCR k%03d\r\n", i);
		t_send_str(fds[i], set);
	}
	for (int i = 0; i < N; i++) {
		char got[8];

		t_recv_until(fds[i], got, sizeof got, ":1\r\n");
	}
	kv_expect(fds[7], ask, want);
	T_CHECK_STR_HAS(kv_ask(fds[3], "INFO clients\r\n", 14),
			"connected_clients:1000\r\n");
	for (int i = 0; i < N; i++)
		i % 2 ? t_close(fds[i]) : t_reset(fds[i]);
	fds[0] = t_tcp_connect(s.port);
	while (!strstr(kv_ask(fds[0], "INFO clients\r\n", 14),
		       "connected_clients:1\r\n"))
		;
	t_close(fds[0]);
	kv_end(&s, SIGTERM);
}

static void kv_keys_expire_whether_asked_for_or_not(void **state)
{
	struct kv s;
	int fd;

	(void)state;
	kv_start(&s, NULL, NULL, NULL, NULL);
	fd = t_tcp_connect(s.port);
	for (int i = 0; i < 2000; i++) {
		char set[48];

		snprintf(set, sizeof set, "SET k%d v PX %d\r\n", i, 1 + i % 20);
		kv_expect(fd, set, OK);
	}
	kv_expect(fd, "SET stays v PX 100000\r\n", OK);
	/* Nobody asks for the keys; the counts say that they are gone. */
	while (strcmp(kv_ask(fd, "DBSIZE\r\n", 8), ":1\r\n"))
		;
	T_CHECK_STR_HAS(kv_ask(fd, "INFO keyspace\r\n", 15),
			"db0:keys=1,expires=1");
	T_CHECK_STR_HAS(kv_ask(fd, "INFO stats\r\n", 12),
			"expired_keys:2000\r\n");
	kv_expect(fd, "SET soon v PX 1\r\n", OK);
	while (strcmp(kv_ask(fd, "GET soon\r\n", 10), NIL))
		;
	t_close(fd);
	kv_end(&s, SIGTERM);
}

/* What is there throughout a scan is found by it, though the tables grow and shrink. */
static void kv_scan_finds_all_that_stays(void **state)
{
	enum { N = 3000 };
	static bool found[N];
	char line[96], cursor[24] = "0";
	int fd, round = 0, n = 0;
	struct kv s;

	(void)state;
	kv_start(&s, NULL, NULL, NULL, NULL);
	fd = t_tcp_connect(s.port);
	for (int i = 0; i < N; i++) {
		snprintf(line, sizeof line, "SET s%04d v\r\n", i);
		kv_expect(fd, line, OK);
	}
	do {
		const char *reply, *p;

		snprintf(line, sizeof line, "SCAN %s COUNT 20 MATCH s*\r\n",
			 cursor);
		reply = kv_ask(fd, line, strlen(line));
		T_CHECK(sscanf(reply, "*2\r\n$%*d\r\n%23[0-9]", cursor) == 1);
		for (p = reply; (p = strstr(p, "\r\ns")); p++) {
			int i = atoi(p + 3);

			T_CHECK(i >= 0 && i < N);
			n += !found[i];
			found[i] = true;
		}
		for (int i = 0; i < 50; i++) {
			snprintf(line, sizeof line, "%s x%d v\r\n",
				 round % 400 < 200 ? "SETNX" : "STRLEN",
				 round * 50 + i);
			kv_ask(fd, line, strlen(line));
		}
		T_CHECK_INT_LT(++round, 4 * N);
	} while (strcmp(cursor, "0"));
	T_CHECK_INT_EQ(n, N);
	t_close(fd);
	kv_end(&s, SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kv_dialogue_is_answered_as_redis_would),
		cmocka_unit_test(kv_dialogue_is_answered_so_by_redis),
		cmocka_unit_test(kv_requests_in_two_pieces_are_answered_alike),
		cmocka_unit_test(kv_batch_of_requests_has_one_batch_of_replies),
		cmocka_unit_test(kv_nonsense_is_refused_as_redis_would),
		cmocka_unit_test(kv_limits_of_the_command_line_hold),
		cmocka_unit_test(kv_large_values_come_back_whole),
		cmocka_unit_test(
			kv_a_thousand_arguments_and_a_thousand_clients),
		cmocka_unit_test(kv_keys_expire_whether_asked_for_or_not),
		cmocka_unit_test(kv_scan_finds_all_that_stays),
	};

	if (!kv_is_built())
		return 77;
	setenv("RINGGO_DEBUG", "leak=1", 1); /* goroutines left: kv_end looks */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
