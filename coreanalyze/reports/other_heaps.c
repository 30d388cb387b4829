/* SPDX-License-Identifier: BSD-2-Clause
 *
 * other_heaps.c - libraries in the target that give blocks of their own by an
 * interface that the traced heap does not serve.  Those blocks are in no
 * report.  Only a call of the library could count them.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"

#include <string.h>

static const struct {
    const char *library, *function; /* how its name begins; one of its own */
} other_heaps[] = {
    {"libmimalloc", "mi_malloc"},
    {"libtbbmalloc.", "scalable_malloc"},
    {"librpmalloc", "rpmalloc"},
    {"libumem", "umem_alloc"},
};

/* The function of the allocator that the module is, or NULL. */
static const char *other_heap_of(const struct mt_module *module)
{
    const char *name = module->path ? mt_base_name(module->path) : "";

    for (size_t i = 0; i < sizeof other_heaps / sizeof *other_heaps; i++)
        if (strncmp(name, other_heaps[i].library,
                    strlen(other_heaps[i].library)) == 0)
            return other_heaps[i].function;
    return NULL;
}

size_t mt_print_other_heaps(const struct mt_report *report, const char *prefix)
{
    const struct mt_source *source = report->model->source;
    size_t n = 0;

    for (size_t i = 0; i < source->n_modules; i++) {
        const char *function = other_heap_of(&source->modules[i]);
        if (!function)
            continue;
        fputs(prefix, report->out);
        mt_put_text(report->out, mt_base_name(source->modules[i].path));
        fprintf(report->out,
                " is loaded: blocks that the program takes from it by its own "
                "functions (%s) are not seen\n",
                function);
        n++;
    }
    return n;
}

void mt_json_other_heaps(struct mt_json *json, const struct mt_source *source)
{
    mt_json_open(json, "other_heaps", '[');
    for (size_t i = 0; i < source->n_modules; i++)
        if (other_heap_of(&source->modules[i]))
            mt_json_string(json, NULL, mt_base_name(source->modules[i].path));
    mt_json_close(json, ']');
}
