/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_demangle.c - demangles C++ and Rust names, with a bound on what
 * comes of a name.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* Names of templates are long, but a name of 60 bytes can be made to stand
 * for gigabytes. */
#define MAX_MANGLED 32768u
#define MAX_DEMANGLED 65536u

struct sink {
    size_t used;
    jmp_buf full;
    char text[MAX_DEMANGLED];
};

/* libiberty has no other way to make a demangler stop.  Those that call back
 * allocate nothing that could leak, but for Rust's names beyond ASCII. */
static void demangle_collect(const char *text, size_t bytes, void *data)
{
    struct sink *sink = data;

    if (bytes >= sizeof(sink->text) - sink->used)
        longjmp(sink->full, 1);
    memcpy(sink->text + sink->used, text, bytes);
    sink->used += bytes;
}

static bool demangle_run(const char *mangled, bool parameters,
                         struct sink *sink)
{
    int options = DMGL_ANSI | (parameters ? DMGL_PARAMS : 0);

    if (setjmp(sink->full) != 0)
        return false;
    /* Rust's older names are C++ names that end in a hash. */
    if (rust_demangle_callback(mangled, options, demangle_collect, sink) != 0)
        return true;
    sink->used = 0;
    /* std::string by its full name, as GDB has it. */
    return cplus_demangle_v3_callback(mangled, options | DMGL_VERBOSE,
                                      demangle_collect, sink) != 0;
}

char *mt_demangle(const char *mangled, bool parameters, bool *no_memory)
{
    char *text = NULL;

    if (mangled[0] != '_' || strchr("ZRD", mangled[1]) == NULL ||
        strnlen(mangled, MAX_MANGLED) == MAX_MANGLED)
        return NULL;
    if (mangled[1] == 'D')
        return dlang_demangle(mangled, DMGL_ANSI);
    struct sink *sink = malloc(sizeof(*sink));

    if (sink == NULL) {
        *no_memory = true;
        return NULL;
    }
    sink->used = 0;
    if (demangle_run(mangled, parameters, sink) && sink->used > 0) {
        sink->text[sink->used] = 0;
        text = strdup(sink->text);
        *no_memory |= text == NULL;
    }
    free(sink);
    return text;
}

const char *mt_demangle_keep(struct mt_strings *strings, const char *mangled,
                             bool parameters)
{
    bool no_memory = false;
    char *text = mt_demangle(mangled, parameters, &no_memory);

    if (no_memory)
        mt_strings_lack(strings);
    return mt_strings_take(strings, text);
}
