// SPDX-License-Identifier: MIT
/*
 * rgfolder - see the header.
 */
#include "tests/support/rgfolder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEMPLATE "/tmp/rg-test-XXXXXX"

char t_folder[] = TEMPLATE;
int t_folder_fd = -1;

int t_folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(t_folder))
		return -1;
	t_folder_fd = open(t_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t_folder_fd >= 0 ? 0 : -1;
}

int t_folder_remove(void **state)
{
	(void)state;
	close(t_folder_fd);
	return rmdir(t_folder);
}

const char *t_folder_path(const char *name)
{
	static char path[sizeof(TEMPLATE) + 64];

	snprintf(path, sizeof(path), "%s/%s", t_folder, name);
	return path;
}
