// SPDX-License-Identifier: MIT
/*
 * Attacks dirlist's invariants: every entry once, also when they fill the buffer many
 * times over; kinds, errors, contexts, and no descriptor left.
 */
#include "tests/net/netpair.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 1500 };

static char folder[] = "/tmp/rg-dirlist-XXXXXX";
static int top;

static void name_of(int i, char name[80])
{
	/* Long ones fill the buffer. */
	snprintf(name, 80, "file-%d-%060d", i, i);
}

static void close_ok(rg_dir *d)
{
	T_CHECK_INT_EQ(rg_dir_close(d), 0);
}

TEST(dirlist_every_entry_comes_once)
{
	static unsigned char seen[FILES];
	rg_dir_entry e;
	rg_dir *d;
	int n = 0, i, ret;
	struct stat st;
	char name[80];

	memset(seen, 0, sizeof(seen));
	T_CHECK_INT_EQ(rg_dir_open(AT_FDCWD, folder, &d), 0);
	while ((ret = rg_dir_next(d, &e)) == 1) {
		if (!strcmp(e.name, "sub")) {
			T_CHECK(e.type == DT_DIR || e.type == DT_UNKNOWN);
			continue;
		}
		T_CHECK_INT_EQ(sscanf(e.name, "file-%d-", &i), 1);
		T_CHECK(i >= 0 && i < FILES && !seen[i]);
		name_of(i, name);
		T_CHECK_STR_EQ(e.name, name);
		T_CHECK(e.type == DT_REG || e.type == DT_UNKNOWN);
		if (n++ % 100 == 0) {
			T_CHECK_INT_EQ(fstatat(top, e.name, &st, 0), 0);
			T_CHECK(e.ino == st.st_ino);
		}
		seen[i] = 1;
	}
	T_CHECK_INT_EQ(ret, 0);
	T_CHECK_INT_EQ(n, FILES);
	T_CHECK_INT_EQ(rg_dir_next(d, &e), 0);
	close_ok(d);
}

TEST(dirlist_empty_folders_and_errors)
{
	rg_dir *d = NULL;
	rg_dir_entry e;
	char name[80];

	T_CHECK_INT_EQ(rg_dir_open(top, "sub", &d), 0);
	T_CHECK_INT_EQ(rg_dir_next(d, &e), 0);
	close_ok(d);
	d = NULL;
	T_CHECK_INT_EQ(rg_dir_open(top, "none", &d), -ENOENT);
	name_of(1, name);
	T_CHECK_INT_EQ(rg_dir_open(top, name, &d), -ENOTDIR);
	T_CHECK_INT_EQ(rg_dir_open(-5, "sub", &d), -EBADF);
	T_CHECK_PTR_EQ(d, NULL);
	T_CHECK_INT_EQ(rg_dir_close(NULL), -EINVAL);
	/* Removed while it is open. */
	T_CHECK_INT_EQ(mkdirat(top, "gone", 0700), 0);
	T_CHECK_INT_EQ(rg_dir_open(top, "gone", &d), 0);
	T_CHECK_INT_EQ(unlinkat(top, "gone", AT_REMOVEDIR), 0);
	T_CHECK_INT_EQ(rg_dir_next(d, &e), -ENOENT);
	close_ok(d);
}

TEST(dirlist_heeds_the_context)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_dir *d, *none = NULL;
	rg_dir_entry e;

	T_CHECK_INT_EQ(rg_dir_open(top, "sub", &d), 0);
	rg_ctx_cancel(ctx, 0);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_dir_next(d, &e), -ECANCELED);
	T_CHECK_INT_EQ(rg_dir_open(top, "sub", &none), -ECANCELED);
	T_CHECK_PTR_EQ(none, NULL);
	close_ok(d);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

static int make_folder(void **state)
{
	char name[80];

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < FILES; i++) {
		int fd;

		name_of(i, name);
		fd = openat(top, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return mkdirat(top, "sub", 0700);
}

static int remove_folder(void **state)
{
	char name[80];

	(void)state;
	for (int i = 0; i < FILES; i++) {
		name_of(i, name);
		(void)unlinkat(top, name, 0);
	}
	(void)unlinkat(top, "sub", AT_REMOVEDIR);
	close(top);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirlist_every_entry_comes_once),
		cmocka_unit_test(dirlist_empty_folders_and_errors),
		cmocka_unit_test(dirlist_heeds_the_context),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
