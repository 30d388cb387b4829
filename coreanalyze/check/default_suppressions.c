/* SPDX-License-Identifier: BSD-2-Clause
 *
 * default_suppressions.c - suppressions that are installed for well-known
 * libraries.  A file NAME.supp, or NAME,NAME.supp, is read when a target has a
 * module of one of the names, whatever its version: NAME.so.1 or NAME3.11.
 */
#include "coreanalyze/check/policy.h"
#include "coreanalyze/base/memory.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDING ".supp"
#define MAX_FILES 256

/* Is `base` NAME, NAME.so, NAME.so.2, NAME3.11 or NAME3.11.so? */
static bool default_is_of(const char *name, size_t n, const char *base)
{
    const char *rest = base + n;

    if (strncmp(base, name, n) != 0)
        return false;
    rest += strspn(rest, ".0123456789");
    return *rest == '\0' ||
           (rest > base && rest[-1] == '.' && strncmp(rest, "so", 2) == 0 &&
            (rest[2] == '\0' || rest[2] == '.'));
}

/* Is one of the names of the file that of a module? */
static bool default_fits(const char *file, const char *base)
{
    const char *end = file + strlen(file) - strlen(ENDING);

    for (const char *name = file; name < end;) {
        size_t n = strcspn(name, ",");
        if (n > (size_t)(end - name))
            n = (size_t)(end - name);
        if (n > 0 && default_is_of(name, n, base))
            return true;
        name += n + 1;
    }
    return false;
}

static bool default_has_module(const struct mt_source *source, const char *file)
{
    for (size_t i = 0; i < source->n_modules; i++) {
        const char *path = source->modules[i].path, *slash;
        if (path == NULL)
            continue;
        slash = strrchr(path, '/');
        if (default_fits(file, slash ? slash + 1 : path))
            return true;
    }
    return false;
}

static bool default_is_read(const struct mt_suppressions *set, const char *path)
{
    for (size_t i = 0; i < set->n_files; i++)
        if (strcmp(set->files[i], path) == 0)
            return true;
    return false;
}

static bool default_read(struct mt_policy *policy, const char *file,
                         struct mt_error *error)
{
    struct mt_suppressions *set = &policy->suppressions;
    char *path = NULL;
    bool ok;

    if (asprintf(&path, "%s/%s", policy->defaults, file) < 0)
        return mt_no_memory(error, "the suppressions");
    ok = default_is_read(set, path);
    if (!ok) {
        set->by_default = true;
        ok = mt_suppressions_read(set, path, error);
        set->by_default = false;
        policy->wanted = true;
    }
    free(path);
    return ok;
}

static int default_is_suppressions(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return entry->d_name[0] != '.' && n > strlen(ENDING) &&
           strcmp(entry->d_name + n - strlen(ENDING), ENDING) == 0;
}

/* The folder is read once. */
static bool default_list(struct mt_policy *policy)
{
    struct dirent **files = NULL;
    bool ok = true;
    int n;

    if (policy->defaults_listed)
        return true;
    n = scandir(policy->defaults, &files, default_is_suppressions, alphasort);
    if (n > 0)
        policy->default_files = calloc((size_t)n, sizeof(char *));
    for (int i = 0; i < n; i++) {
        char *name = ok && i < MAX_FILES && policy->default_files
                         ? strdup(files[i]->d_name)
                         : NULL;
        ok &= name || i >= MAX_FILES;
        if (name)
            policy->default_files[policy->n_default_files++] = name;
        free(files[i]);
    }
    free(files);
    policy->defaults_listed = ok;
    return ok;
}

void mt_policy_forget_defaults(struct mt_policy *policy)
{
    for (size_t i = 0; i < policy->n_default_files; i++)
        free(policy->default_files[i]);
    free(policy->default_files);
    policy->default_files = NULL;
    policy->n_default_files = 0;
    policy->defaults_listed = false;
}

bool mt_policy_defaults(struct mt_policy *policy, const struct mt_model *model,
                        struct mt_error *error)
{
    bool ok = true;

    if (policy->no_defaults || policy->defaults[0] == '\0')
        return true;
    if (!default_list(policy)) {
        mt_policy_forget_defaults(policy);
        return mt_no_memory(error, "the suppressions");
    }
    for (size_t i = 0; ok && i < policy->n_default_files; i++) {
        const char *name = policy->default_files[i];
        if (default_has_module(model->source, name))
            ok = default_read(policy, name, error);
    }
    return ok;
}
