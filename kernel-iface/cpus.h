/* SPDX-License-Identifier: MIT */
/*
 * cpus - how many CPUs this process may use.
 *
 * The smaller of the affinity mask and the cgroup's CPU limit (quota / period,
 * rounded up, at least 1; versions 1 and 2, each ancestor of the process' own group
 * considered), as the Go runtime since 1.25 does.
 *   I1  nothing here allocates or takes a lock: sysmon looks again and again.
 */
#ifndef RGK_CPUS_H
#define RGK_CPUS_H

int cpus_affinity(void); /* CPUs in the affinity mask, >= 1 */
int cpus_usable(void);   /* the same, limited by the cgroup */

/* cpus_procs - how many should compute at a time: as cpus_usable, but a limit below 2
 * counts as 2, which Go does, too: what is limited is an average. */
int cpus_procs(void);

/* Where it is read; tests put something else there while nothing runs. */
struct cpus_source {
	const char *self;              /* /proc/self/cgroup */
	const char *mount_1, *mount_2; /* of versions 1 (cpu) and 2 */
	int (*affinity)(void);
};
extern struct cpus_source cpus_source;

/*
 * cpus_quota - the limit read from a cgroup file system mounted at `mount` for the
 * group `path`, in CPUs rounded up; 0: none. version 1 or 2. For tests too.
 */
int cpus_quota(const char *mount, const char *path, int version);

#endif
