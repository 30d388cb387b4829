/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_limits.c - the limits of memory that this process lives under, and how
 * far they are used: those of its memory cgroup and of the cgroups above it (v1
 * and v2, also in a namespace of its own), RLIMIT_AS, and limit=.
 *
 * Files are opened for each look, and closed: a descriptor that stays would be
 * one more that a program closes, and then uses for a file of its own.
 */
#include "heap/seldom.h"
#include "heap/exit/memory_limits.h"
#include "heap/alloc.h"
#include "heap/exit/at_exit.h"
#include "heap/kernel.h"

#include <string.h>
#include <sys/resource.h>

#define MAX_DIR 512u
#define MAX_CGROUPS 16u
#define MAX_TEXT ((size_t)1 << 20)
#define NO_LIMIT (UINT64_C(1) << 60) /* v1 says "none" by a number like it */

/* Under the lock of save_at.c. */
MT_SELDOM_BSS static struct cgroup {
    char dir[MAX_DIR];
    bool v2;
} cgroups[MAX_CGROUPS];
static unsigned n_cgroups;
MT_SELDOM_BSS static char limits_text[8192];

static bool limits_number(const char *text, uint64_t *value)
{
    uint64_t n = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return false;
    *value = n;
    return true;
}

/* Into limits_text, with a NUL. */
static bool limits_read(const char *path)
{
    size_t n = mt_exit_read_file(path, limits_text, sizeof limits_text - 1);
    limits_text[n] = '\0';
    return n > 0;
}

static bool cgroup_read(const struct cgroup *g, const char *file)
{
    char path[MAX_DIR + 64];
    size_t n = strlen(g->dir);
    memcpy(path, g->dir, n);
    strcpy(path + n, file);
    return limits_read(path);
}

/* False if there is none. */
static bool cgroup_limit(const struct cgroup *g, uint64_t *limit)
{
    return cgroup_read(g, g->v2 ? "/memory.max" : "/memory.limit_in_bytes") &&
           limits_number(limits_text, limit) && *limit < NO_LIMIT;
}

/* What the kernel cannot take back at once. */
static bool cgroup_usage(const struct cgroup *g, uint64_t *usage)
{
    const char *key = g->v2 ? "\ninactive_file " : "\ntotal_inactive_file ";
    uint64_t files = 0;
    if (!cgroup_read(g, g->v2 ? "/memory.current" : "/memory.usage_in_bytes") ||
        !limits_number(limits_text, usage))
        return false;
    if (cgroup_read(g, "/memory.stat")) {
        const char *at = strstr(limits_text, key);
        if (at)
            limits_number(at + strlen(key), &files);
    }
    *usage -= files < *usage ? files : *usage;
    return true;
}

/* --- where the cgroups are --- */

/* Is it one of the words between commas? */
static bool limits_has_word(const char *text, size_t length, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= length; at++)
        if (memcmp(text + at, word, n) == 0 &&
            (at == 0 || text[at - 1] == ',') &&
            (at + n == length || text[at + n] == ','))
            return true;
    return false;
}

/* To the first `c`, or to the end. */
static const char *limits_to(const char *text, char c)
{
    while (*text && *text != c)
        text++;
    return text;
}

static bool limits_goes_up(const char *path, size_t length)
{
    for (size_t at = 0; at + 3 <= length; at++)
        if (memcmp(path + at, "/..", 3) == 0)
            return true;
    return false;
}

static size_t limits_word(const char *text)
{
    size_t n = 0;
    while (text[n] && text[n] != ' ' && text[n] != '\n')
        n++;
    return n;
}

/* Points `root` and `point` at the fields of a line of mountinfo; false if no
 * memory cgroups are mounted there. */
static bool limits_is_mount(const char *line, bool v2, const char **root,
                            const char **point)
{
    const char *end = limits_to(line, '\n');
    const char *dash = strstr(line, " - ");
    const char *type = v2 ? "cgroup2" : "cgroup";
    if (dash == NULL || dash > end)
        return false;
    for (unsigned field = 0; field < 4; field++) {
        line += limits_word(line);
        line += *line == ' ';
        if (field == 2)
            *root = line;
    }
    *point = line;
    dash += 3;
    size_t n = limits_word(dash);
    if (line > end || n != strlen(type) || memcmp(dash, type, n) != 0)
        return false;
    if (v2)
        return true;
    dash += n + (dash[n] == ' ');
    dash += limits_word(dash);
    dash += *dash == ' ';
    return limits_has_word(dash, limits_word(dash), "memory");
}

/* The cgroup and those above it, as far as they are to be seen here. */
static void limits_add(bool v2, const char *root, const char *point,
                       const char *path)
{
    size_t n_root = limits_word(root), n_point = limits_word(point);
    size_t n_path = (size_t)(limits_to(path, '\n') - path), skip = n_root;
    char dir[MAX_DIR];
    if (n_root == 1)
        skip = 0;
    if (n_path < skip || memcmp(path, root, skip) != 0 ||
        (n_path > skip && path[skip] != '/') || limits_goes_up(path, n_path))
        skip = n_path; /* of another namespace: what is mounted is ours */
    size_t n = n_point + n_path - skip;
    if (n >= MAX_DIR)
        return;
    memcpy(dir, point, n_point);
    memcpy(dir + n_point, path + skip, n_path - skip);
    for (;; n--) {
        struct cgroup *g = &cgroups[n_cgroups];
        uint64_t limit;
        if (n > n_point && dir[n - 1] == '/')
            continue;
        if (n_cgroups == MAX_CGROUPS)
            return;
        memcpy(g->dir, dir, n);
        g->dir[n] = '\0';
        g->v2 = v2;
        if (cgroup_limit(g, &limit))
            n_cgroups++;
        if (n <= n_point)
            return;
        while (n > n_point && dir[n - 1] != '/')
            n--;
        n += n == n_point; /* the loop takes one */
    }
}

static void limits_find_mounts(const char *mounts, bool v2, const char *path)
{
    while (*mounts) {
        const char *root = "", *point = "";
        if (limits_is_mount(mounts, v2, &root, &point)) {
            limits_add(v2, root, point, path);
            return;
        }
        mounts = limits_to(mounts, '\n');
        mounts += *mounts == '\n';
    }
}

void mt_limits_find_in(const char *mounts, const char *own)
{
    n_cgroups = 0;
    for (const char *line = own; *line;) {
        const char *controllers = limits_to(line, ':');
        controllers += *controllers == ':';
        const char *path = limits_to(controllers, ':');
        size_t words = (size_t)(path - controllers);
        path += *path == ':';
        if (words == 0 || limits_has_word(controllers, words, "memory"))
            limits_find_mounts(mounts, words == 0, path);
        line = limits_to(line, '\n');
        line += *line == '\n';
    }
}

void mt_limits_find(void)
{
    char *mounts = mt_os_reserve(MAX_TEXT, 0), own[4096];
    n_cgroups = 0;
    if (mounts == NULL)
        return;
    if (mt_os_commit(mounts, MAX_TEXT)) {
        size_t n =
            mt_exit_read_file(MT_EXIT_SELF "mountinfo", mounts, MAX_TEXT - 1);
        mounts[n] = '\0';
        n = mt_exit_read_file(MT_EXIT_SELF "cgroup", own, sizeof own - 1);
        own[n] = '\0';
        mt_limits_find_in(mounts, own);
        mt_os_uncommit(mounts, MAX_TEXT);
    }
    mt_os_release(mounts, MAX_TEXT);
}

/* --- how far they are used --- */

static bool limits_statm(uint64_t *size, uint64_t *resident)
{
    const char *second;
    if (!limits_read(MT_EXIT_SELF "statm") || !limits_number(limits_text, size))
        return false;
    second = limits_text + limits_word(limits_text);
    second += *second == ' ';
    if (!limits_number(second, resident))
        return false;
    *size *= 4096;
    *resident *= 4096;
    return true;
}

uint64_t mt_limits_resident(void)
{
    uint64_t size, resident;
    return limits_statm(&size, &resident) ? resident : 0;
}

bool mt_limits_get(unsigned i, struct mt_limit_now *now)
{
    struct rlimit rlimit;
    uint64_t resident;
    *now = (struct mt_limit_now){0};
    if (i < n_cgroups) {
        now->kind = MT_LIMIT_CGROUP;
        if (!cgroup_limit(&cgroups[i], &now->limit) ||
            !cgroup_usage(&cgroups[i], &now->usage))
            now->limit = 0;
    } else if (i == n_cgroups) {
        now->kind = MT_LIMIT_ADDRESS_SPACE;
        if (mt_kernel(SYS_prlimit64, 0, RLIMIT_AS, NULL, &rlimit) == 0 &&
            rlimit.rlim_cur != RLIM_INFINITY &&
            limits_statm(&now->usage, &resident))
            now->limit = rlimit.rlim_cur;
    } else if (i == n_cgroups + 1) {
        now->kind = MT_LIMIT_HEAP;
        now->limit = mt_main->record->limit;
        now->usage = mt_main->record->span_bytes;
    } else {
        return false;
    }
    return true;
}
