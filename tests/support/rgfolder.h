/* SPDX-License-Identifier: MIT */
/*
 * rgfolder - a folder of the test program's own below /tmp:
 *
 *	return cmocka_run_group_tests(tests, t_folder_make, t_folder_remove);
 */
#ifndef RG_TESTS_RGFOLDER_H
#define RG_TESTS_RGFOLDER_H

/* Its path, and a descriptor of it, between the two below. */
extern char t_folder[];
extern int t_folder_fd;

/* t_folder_make, t_folder_remove - before the first test and after the last one; there
 * must be nothing left in it. */
int t_folder_make(void **state);
int t_folder_remove(void **state);

/* t_folder_path - of a name in it; static memory, until the next call. */
const char *t_folder_path(const char *name);

#endif
