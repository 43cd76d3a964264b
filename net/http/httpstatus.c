// SPDX-License-Identifier: MIT
/*
 * httpstatus - see httpstatus.h. 200 is by far the most frequent and is copied as
 * one text; the others are put together from the table.
 */
#include "net/http/httpstatus.h"

#include <string.h>

#define STATUSES(X)                                                            \
	X(100, "Continue")                                                     \
	X(101, "Switching Protocols")                                          \
	X(102, "Processing")                                                   \
	X(103, "Early Hints")                                                  \
	X(200, "OK")                                                           \
	X(201, "Created")                                                      \
	X(202, "Accepted")                                                     \
	X(203, "Non-Authoritative Information")                                \
	X(204, "No Content")                                                   \
	X(205, "Reset Content")                                                \
	X(206, "Partial Content")                                              \
	X(207, "Multi-Status")                                                 \
	X(208, "Already Reported")                                             \
	X(226, "IM Used")                                                      \
	X(300, "Multiple Choices")                                             \
	X(301, "Moved Permanently")                                            \
	X(302, "Found")                                                        \
	X(303, "See Other")                                                    \
	X(304, "Not Modified")                                                 \
	X(305, "Use Proxy")                                                    \
	X(307, "Temporary Redirect")                                           \
	X(308, "Permanent Redirect")                                           \
	X(400, "Bad Request")                                                  \
	X(401, "Unauthorized")                                                 \
	X(402, "Payment Required")                                             \
	X(403, "Forbidden")                                                    \
	X(404, "Not Found")                                                    \
	X(405, "Method Not Allowed")                                           \
	X(406, "Not Acceptable")                                               \
	X(407, "Proxy Authentication Required")                                \
	X(408, "Request Timeout")                                              \
	X(409, "Conflict")                                                     \
	X(410, "Gone")                                                         \
	X(411, "Length Required")                                              \
	X(412, "Precondition Failed")                                          \
	X(413, "Request Entity Too Large")                                     \
	X(414, "Request URI Too Long")                                         \
	X(415, "Unsupported Media Type")                                       \
	X(416, "Requested Range Not Satisfiable")                              \
	X(417, "Expectation Failed")                                           \
	X(418, "I'm a teapot")                                                 \
	X(421, "Misdirected Request")                                          \
	X(422, "Unprocessable Entity")                                         \
	X(423, "Locked")                                                       \
	X(424, "Failed Dependency")                                            \
	X(425, "Too Early")                                                    \
	X(426, "Upgrade Required")                                             \
	X(428, "Precondition Required")                                        \
	X(429, "Too Many Requests")                                            \
	X(431, "Request Header Fields Too Large")                              \
	X(451, "Unavailable For Legal Reasons")                                \
	X(500, "Internal Server Error")                                        \
	X(501, "Not Implemented")                                              \
	X(502, "Bad Gateway")                                                  \
	X(503, "Service Unavailable")                                          \
	X(504, "Gateway Timeout")                                              \
	X(505, "HTTP Version Not Supported")                                   \
	X(506, "Variant Also Negotiates")                                      \
	X(507, "Insufficient Storage")                                         \
	X(508, "Loop Detected")                                                \
	X(510, "Not Extended")                                                 \
	X(511, "Network Authentication Required")

static const char prefix[] = "HTTP/1.1 ";
static const char ok_line[] = "HTTP/1.1 200 OK\r\n";

const char *httpstatus_text(int code)
{
	switch (code) {
#define STATUS_CASE(number, text)                                              \
	case number:                                                           \
		return text;
		STATUSES(STATUS_CASE)
	default:
		return "";
	}
}

size_t httpstatus_line(char *out, int code)
{
	const char *text;
	size_t len, at = sizeof(prefix) - 1;

	if (code == 200) {
		memcpy(out, ok_line, sizeof(ok_line) - 1);
		return sizeof(ok_line) - 1;
	}
	text = httpstatus_text(code);
	len = strlen(text);
	memcpy(out, prefix, at);
	out[at++] = (char)('0' + code / 100 % 10);
	out[at++] = (char)('0' + code / 10 % 10);
	out[at++] = (char)('0' + code % 10);
	/* The space stays where there is no text: RFC 9112 section 4. */
	out[at++] = ' ';
	memcpy(out + at, text, len);
	memcpy(out + at + len, "\r\n", 2);
	return at + len + 2;
}
