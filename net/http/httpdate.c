// SPDX-License-Identifier: MIT
/*
 * httpdate - see httpdate.h. The calendar is Howard Hinnant's days-to-civil (in
 * the public domain): years begin in March, eras are 400 years. gmtime_r is not
 * used: glibc's takes the time zone's lock.
 */
#include "net/http/httpdate.h"

#include <string.h>
#include <time.h>

#include "kernel-iface/base/check.h"

static void put2(char *out, unsigned n)
{
	out[0] = (char)('0' + n / 10);
	out[1] = (char)('0' + n % 10);
}

struct civil {
	unsigned year, month, day; /* month 1 to 12 */
};

static struct civil civil_of_days(int64_t days)
{
	int64_t z = days + 719468; /* since 0000-03-01 */
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	struct civil c;

	c.day = doy - (153 * mp + 2) / 5 + 1;
	c.month = mp < 10 ? mp + 3 : mp - 9;
	c.year = (unsigned)(yoe + era * 400) + (c.month <= 2);
	return c;
}

void httpdate_format(char out[HTTPDATE_LEN], int64_t unix_seconds)
{
	static const char day_names[] = "ThuFriSatSunMonTueWed";
	static const char month_names[] =
		"JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t days = unix_seconds / 86400;
	unsigned rest = (unsigned)(unix_seconds - days * 86400);
	struct civil c;

	if (unix_seconds < 0 && unix_seconds % 86400) {
		days--;
		rest = (unsigned)(unix_seconds - days * 86400);
	}
	c = civil_of_days(days);
	memcpy(out, day_names + 3 * (((days % 7) + 7) % 7), 3);
	memcpy(out + 3, ", ", 2);
	put2(out + 5, c.day);
	out[7] = ' ';
	memcpy(out + 8, month_names + 3 * ((c.month - 1) % 12), 3);
	out[11] = ' ';
	put2(out + 12, c.year / 100 % 100);
	put2(out + 14, c.year % 100);
	out[16] = ' ';
	put2(out + 17, rest / 3600);
	out[19] = ':';
	put2(out + 20, rest / 60 % 60);
	out[22] = ':';
	put2(out + 23, rest % 60);
	memcpy(out + 25, " GMT", 4);
}

const char *httpdate_now(struct httpdate *d)
{
	struct timespec now;

	/* Coarse: good to one tick, and served from user space. It cannot fail
	 * with a valid clock. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (rg_unlikely(now.tv_sec != d->second)) {
		httpdate_format(d->text, now.tv_sec);
		d->second = now.tv_sec;
	}
	return d->text;
}
