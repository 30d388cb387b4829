/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_heapsnapshot.c - V8's heap snapshot, of the graph of who holds what:
 * Chrome's DevTools and memlab show its retainers and dominators.
 *
 * A node is all blocks of a stack, named by the function that allocated them, a
 * holder, or one of its places.  Holders are below "(GC roots)", from which the
 * readers measure distances.  An edge says how many pointers it is.  Pointers
 * to what a stronger holder reaches, too, are weak: they retain nothing.  What
 * no root reaches is below "(not reached)".
 */
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/export/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NODE_FIELDS 7u
/* Nodes of our own, after the root: they come before the others. */
#define GC_ROOTS 1u
#define NOT_REACHED 2u
#define FIRST_NODE 3u

enum node_type { NODE_OBJECT = 3, NODE_NATIVE = 8, NODE_SYNTHETIC = 9 };
enum edge_type { EDGE_ELEMENT = 1, EDGE_PROPERTY = 2, EDGE_WEAK = 6 };

static const char meta[] =
    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\","
    "\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"],"
    "\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\","
    "\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\","
    "\"concatenated string\",\"sliced string\",\"symbol\",\"bigint\","
    "\"object shape\"],\"string\",\"number\",\"number\",\"number\",\"number\","
    "\"number\"],\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"
    "\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\","
    "\"hidden\",\"shortcut\",\"weak\"],\"string_or_number\",\"node\"],"
    "\"trace_function_info_fields\":[\"function_id\",\"name\","
    "\"script_name\",\"script_id\",\"line\",\"column\"],"
    "\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\","
    "\"children\"],\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],"
    "\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]"
    "},";

struct heapsnapshot {
    const struct mt_export *export;
    const struct mt_merged *merged;
    FILE *out;
    char **strings;
    size_t n_strings, strings_capacity;
    struct mt_table by_text;
    uint32_t *titles; /* by stack: a node of the profile; 0: none */
    uint32_t *names;  /* by node: its string */
    bool failed;
};

static bool heapsnap_match(const void *items, size_t item, const void *key)
{
    char *const *strings = items;

    return strcmp(strings[item], key) == 0;
}

/* Takes the text, which may be NULL; the number of the string. */
static uint32_t heapsnap_string(struct heapsnapshot *w, char *text)
{
    uint64_t hash;
    size_t at;

    if (!text) {
        w->failed = true;
        return 0;
    }
    hash = mt_hash_bytes(MT_HASH_START, text, strlen(text));
    at = mt_table_find(&w->by_text, hash, heapsnap_match, w->strings, text);
    if (at != MT_TABLE_NONE) {
        free(text);
        return (uint32_t)at;
    }
    at = w->n_strings;
    if (!mt_grow(&w->strings, &w->strings_capacity, at + 1,
                 sizeof *w->strings) ||
        !mt_table_add(&w->by_text, hash, at)) {
        free(text);
        w->failed = true;
        return 0;
    }
    w->strings[w->n_strings++] = text;
    return (uint32_t)at;
}

/* --- names --- */

/* "parse (json.c:12)", of the frame that names the stack. */
static char *heapsnap_stack_name(const struct heapsnapshot *w, uint32_t stack)
{
    const struct mt_profile *p = w->export->now.profile;
    uint32_t node = w->titles[stack];
    const struct mt_profile_frame *frame;
    const struct mt_profile_function *f;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (!out)
        return NULL;
    if (node) {
        frame = &p->frames[p->nodes[node].frame];
        f = &p->functions[frame->function];
        mt_put_text(out, f->name);
        if (f->file) {
            fputs(" (", out);
            mt_put_text(out, mt_base_name(f->file));
            if (frame->line)
                fprintf(out, ":%" PRIu32, frame->line);
            putc(')', out);
        }
    } else {
        fprintf(out, "stack %" PRIu32, stack);
    }
    return fclose(out) == 0 ? text : NULL;
}

static char *heapsnap_node_name(const struct heapsnapshot *w,
                                const struct mt_merged_node *node)
{
    const struct mt_retained *r = &w->merged->retained;

    if (node->kind == MT_MERGED_ROOT)
        return strdup("");
    if (node->kind == MT_MERGED_HOLDER)
        return mt_retained_holder_name(w->export->holders,
                                       &r->holders[node->index]);
    if (node->kind == MT_MERGED_PLACE)
        return mt_retained_place_name(
            w->export->holders, &r->holders[r->places[node->index].holder],
            &r->places[node->index]);
    return heapsnap_stack_name(w, node->index);
}

static bool heapsnap_names(struct heapsnapshot *w)
{
    const struct mt_profile *p = w->export->now.profile;

    w->titles = calloc(p->model->n_stacks + 1, sizeof *w->titles);
    w->names = calloc(w->merged->n_nodes + 1, sizeof *w->names);
    if (!w->titles || !w->names)
        return false;
    for (size_t i = 0; i < p->n_samples; i++)
        w->titles[p->samples[i].stack] = p->samples[i].title;
    heapsnap_string(w, strdup(""));
    for (size_t i = 0; i < w->merged->n_nodes; i++)
        w->names[i] =
            heapsnap_string(w, heapsnap_node_name(w, &w->merged->nodes[i]));
    return !w->failed;
}

/* --- nodes and edges --- */

/* The number of a node in the file: the root is 0 in both. */
static uint32_t heapsnap_number(uint32_t node)
{
    return node ? node + FIRST_NODE - 1 : 0;
}

static void heapsnap_put_node(struct heapsnapshot *w, uint32_t number,
                              enum node_type type, uint32_t name,
                              uint64_t bytes, uint64_t edges)
{
    fprintf(
        w->out, "%s%u,%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",0,0\n",
        number ? "," : "", (unsigned)type, name, number * 2 + 1, bytes, edges);
}

static uint64_t heapsnap_count(const struct mt_merged *m, size_t *at,
                               uint32_t from)
{
    size_t first = *at;

    while (*at < m->n_edges && m->edges[*at].from == from)
        ++*at;
    return *at - first;
}

static void heapsnap_put_nodes(struct heapsnapshot *w, uint64_t n_lost)
{
    const struct mt_merged *m = w->merged;
    size_t at = 0;
    uint64_t n = heapsnap_count(m, &at, 0);

    fputs("\"nodes\":[", w->out);
    heapsnap_put_node(w, 0, NODE_SYNTHETIC, 0, 0, 2);
    heapsnap_put_node(w, GC_ROOTS, NODE_SYNTHETIC,
                      heapsnap_string(w, strdup("(GC roots)")), 0, n);
    heapsnap_put_node(w, NOT_REACHED, NODE_SYNTHETIC,
                      heapsnap_string(w, strdup("(not reached)")), 0, n_lost);
    for (uint32_t i = 1; i < m->n_nodes; i++) {
        const struct mt_merged_node *node = &m->nodes[i];
        enum node_type type = node->kind == MT_MERGED_HOLDER  ? NODE_SYNTHETIC
                              : node->kind == MT_MERGED_PLACE ? NODE_NATIVE
                                                              : NODE_OBJECT;
        n = heapsnap_count(m, &at, i);
        heapsnap_put_node(w, heapsnap_number(i), type, w->names[i], node->bytes,
                          n);
    }
    fputs("],\n\"edges\":[", w->out);
}

static void heapsnap_put_edge(struct heapsnapshot *w, bool first,
                              enum edge_type type, uint64_t name, uint32_t to)
{
    fprintf(w->out, "%s%u,%" PRIu64 ",%" PRIu32 "\n", first ? "" : ",",
            (unsigned)type, name, to * NODE_FIELDS);
}

static void heapsnap_put_pointers(struct heapsnapshot *w,
                                  const struct mt_merged_edge *edge)
{
    uint64_t n = edge->pointers ? edge->pointers : edge->weak;
    enum edge_type type = edge->pointers ? EDGE_PROPERTY : EDGE_WEAK;
    char text[48];

    snprintf(text, sizeof text, "%" PRIu64 " pointer%s", n, mt_plural(n));
    heapsnap_put_edge(w, false, type, heapsnap_string(w, strdup(text)),
                      heapsnap_number(edge->to));
}

/* In the order of their nodes. */
static void heapsnap_put_edges(struct heapsnapshot *w)
{
    const struct mt_merged *m = w->merged;
    size_t at = 0;
    uint64_t n = 0;

    heapsnap_put_edge(w, true, EDGE_ELEMENT, 1, GC_ROOTS);
    heapsnap_put_edge(w, false, EDGE_ELEMENT, 2, NOT_REACHED);
    for (; at < m->n_edges && m->edges[at].from == 0; at++)
        heapsnap_put_edge(w, false, EDGE_ELEMENT, at + 1,
                          heapsnap_number(m->edges[at].to));
    for (uint32_t i = 1; i < m->n_nodes; i++)
        if (m->nodes[i].kind == MT_MERGED_LOST)
            heapsnap_put_edge(w, false, EDGE_ELEMENT, ++n, heapsnap_number(i));
    for (; at < m->n_edges; at++)
        heapsnap_put_pointers(w, &m->edges[at]);
}

static void heapsnap_put_strings(struct heapsnapshot *w)
{
    struct mt_json json = {.out = w->out, .depth = 1, .more = true};

    mt_json_open(&json, "strings", '[');
    for (size_t i = 0; i < w->n_strings; i++)
        mt_json_string(&json, NULL, w->strings[i]);
    mt_json_close(&json, ']');
    fputs("}\n", w->out);
}

static void heapsnap_put(struct heapsnapshot *w)
{
    const struct mt_merged *m = w->merged;
    uint64_t n_lost = 0;

    for (uint32_t i = 1; i < m->n_nodes; i++)
        n_lost += m->nodes[i].kind == MT_MERGED_LOST;
    fputs(meta, w->out);
    fprintf(w->out,
            "\"node_count\":%zu,\"edge_count\":%" PRIu64
            ",\"trace_function_count\":0,\"extra_native_bytes\":0},\n",
            m->n_nodes + FIRST_NODE - 1, (uint64_t)m->n_edges + n_lost + 2);
    heapsnap_put_nodes(w, n_lost);
    heapsnap_put_edges(w);
    fputs("],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n"
          "\"samples\":[],\n\"locations\":[]",
          w->out);
    heapsnap_put_strings(w);
}

bool mt_export_heapsnapshot(const struct mt_export *export,
                            struct mt_error *error)
{
    struct heapsnapshot w = {
        .export = export, .merged = export->merged, .out = export->out};
    bool ok = heapsnap_names(&w);

    if (ok)
        heapsnap_put(&w);
    ok = ok && !w.failed;
    for (size_t i = 0; i < w.n_strings; i++)
        free(w.strings[i]);
    free(w.strings);
    free(w.titles);
    free(w.names);
    mt_table_free(&w.by_text);
    return ok || mt_no_memory(error, "the snapshot");
}
