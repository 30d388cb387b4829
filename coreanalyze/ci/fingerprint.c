/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fingerprint.c - a stack by its names alone.
 */
#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/text.h"

#include <ctype.h>
#include <string.h>

/* "walk.isra.0.cold" is walk: the compiler splits and copies functions as it
 * likes.  A dot in a name of the user's (C++, Go) is followed by other words.
 */
static size_t plain_length(const char *name)
{
    static const char *const suffixes[] = {".cold",  ".part",      ".isra",
                                           ".llvm",  ".constprop", ".lto_priv",
                                           ".clone", NULL};
    size_t shortest = strlen(name);

    for (size_t i = 0; suffixes[i]; i++) {
        size_t n = strlen(suffixes[i]);
        const char *at = name;
        while ((at = strstr(at + 1, suffixes[i])) != NULL) {
            if (at[n] != '\0' && at[n] != '.')
                continue;
            if ((size_t)(at - name) < shortest)
                shortest = (size_t)(at - name);
            break;
        }
    }
    return shortest;
}

/* libfoo.so.1.2.3 counts as libfoo.so: an upgrade does not make leaks new. */
static size_t module_length(const char *base)
{
    const char *so = strstr(base, ".so");

    return so && (so[3] == '\0' || so[3] == '.') ? (size_t)(so - base) + 3
                                                 : strlen(base);
}

static uint64_t hash_frame(const struct mt_leak_frame *f)
{
    const char *base = f->module ? mt_base_name(f->module) : "?";
    uint64_t hash = mt_hash_bytes(MT_HASH_START, base, module_length(base));

    hash = mt_hash_bytes(hash, "\n", 1);
    if (f->function)
        hash = mt_hash_bytes(hash, f->function, plain_length(f->function));
    return hash;
}

uint64_t mt_fingerprint(const struct mt_leak_frame *frames, size_t n)
{
    uint64_t hash = MT_HASH_START, last = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t frame = hash_frame(&frames[i]);
        if (frames[i].function == NULL || frame != last)
            hash = mt_hash_bytes(hash, &frame, sizeof frame);
        last = frame;
        if (frames[i].function && strcmp(frames[i].function, "main") == 0)
            break;
    }
    return hash;
}
