/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_limits.c - the memory cgroups of a process, by files of its own.
 */
#include "heap/exit/memory_limits.h"
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char top[] = "/tmp/memtrace-limits.XXXXXX";

static void remove_top(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", top);
    if (system(command) != 0)
        perror(command);
}

static void make_top(void)
{
    static bool made;

    if (made)
        return;
    CU_ASSERT_FATAL(mkdtemp(top) != NULL);
    made = true;
    atexit(remove_top);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s%s", top, dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s%s/%s", top, dir, name);
    file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* The cgroups of `own` below a mount of `root`: their limits. */
static unsigned find(const char *type, const char *root, const char *options,
                     const char *own, struct mt_limit_now now[4])
{
    char mounts[512];
    unsigned n = 0;

    snprintf(mounts, sizeof mounts,
             "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/memory rw\n"
             "21 20 0:22 / /nowhere rw shared:2 - cgroup cgroup rw,cpu\n"
             "22 20 0:23 %s %s rw,nosuid shared:4 master:1 - %s cg %s\n",
             root, top, type, options);
    mt_limits_find_in(mounts, own);
    while (n < 4 && mt_limits_get(n, &now[n]) && now[n].kind == MT_LIMIT_CGROUP)
        n++;
    return n;
}

static void test_v2(void)
{
    static const char stat[] = "anon 5\nfile 900\ninactive_file 300\nslab 1\n";
    struct mt_limit_now now[4];

    make_top();
    put("/a", "memory.max", "5000\n");
    put("/a", "memory.current", "4000\n");
    put("/a", "memory.stat", "anon 5\n");
    put("/a/b", "memory.max", "max\n");
    put("/a/b/c", "memory.max", "2000\n");
    put("/a/b/c", "memory.current", "1000\n");
    put("/a/b/c", "memory.stat", stat);
    /* self and those above it; one has no limit, the root no file */
    CU_ASSERT_EQUAL(find("cgroup2", "/", "rw", "0::/a/b/c\n", now), 2);
    CU_ASSERT_EQUAL(now[0].limit, 2000);
    CU_ASSERT_EQUAL(now[0].usage, 700);
    CU_ASSERT_EQUAL(now[1].limit, 5000);
    CU_ASSERT_EQUAL(now[1].usage, 4000);
    /* a container that has its own mount, but not its own namespace */
    CU_ASSERT_EQUAL(find("cgroup2", "/x/y", "rw", "0::/x/y/a\n", now), 1);
    CU_ASSERT_EQUAL(now[0].limit, 5000);
    /* /x/yy is not below /x/y */
    CU_ASSERT_EQUAL(find("cgroup2", "/x/y", "rw", "0::/x/yy/a\n", now), 0);
    /* without memory, and with nothing */
    CU_ASSERT_EQUAL(find("cgroup", "/", "rw,cpu", "4:memory:/a\n", now), 0);
    CU_ASSERT_EQUAL(find("cgroup2", "/", "rw", "", now), 0);
    CU_ASSERT_EQUAL(find("cgroup2", "/", "rw", "0::/gone/long\n", now), 0);
}

static void test_v1(void)
{
    static const char own[] = "5:cpu,cpuacct:/z\n4:hugetlb,memory:/d\n0::/\n";
    struct mt_limit_now now[4];

    make_top();
    put("/d", "memory.limit_in_bytes", "7000\n");
    put("/d", "memory.usage_in_bytes", "6000\n");
    put("/d", "memory.stat",
        "cache 1\ninactive_file 9\ntotal_cache 3\n"
        "total_inactive_file 500\n");
    put("", "memory.limit_in_bytes", "9223372036854771712\n");
    CU_ASSERT_EQUAL(find("cgroup", "/", "rw,hugetlb,memory", own, now), 1);
    CU_ASSERT_EQUAL(now[0].limit, 7000);
    CU_ASSERT_EQUAL(now[0].usage, 5500);
    /* in a namespace of its own, beside the process's place */
    put("", "memory.limit_in_bytes", "8000\n");
    put("", "memory.usage_in_bytes", "100\n");
    CU_ASSERT_EQUAL(find("cgroup", "/d", "rw,memory", "4:memory:/../e\n", now),
                    1);
    CU_ASSERT_EQUAL(now[0].limit, 8000);
    CU_ASSERT_EQUAL(now[0].usage, 100);
}

static const struct unit_test tests[] = {
    {"v2: itself and those above, mounts of containers", test_v2},
    {"v1: the memory controller, namespaces", test_v1},
};
UNIT_MAIN(tests)
