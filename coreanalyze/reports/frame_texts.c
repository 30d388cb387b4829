/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_texts.c - writes the JSON of a program counter's frames once, and
 * copies it from then on.
 */
#include "coreanalyze/reports/frame_texts.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"

#include <stdlib.h>

#define MAX_TEXTS (64u << 20) /* bytes; what comes later is not kept */
#define INNER_DEPTH 3u        /* items have no line of their own from here on */

struct frame_text {
    const struct mt_frame *frames;
    char *text;
    size_t bytes;
};

struct mt_frame_texts {
    struct frame_text *items;
    size_t n, capacity, bytes;
    struct mt_table by_frames;
};

struct mt_frame_texts *mt_frame_texts_new(void)
{
    return calloc(1, sizeof(struct mt_frame_texts));
}

void mt_frame_texts_free(struct mt_frame_texts *texts)
{
    if (!texts)
        return;
    for (size_t i = 0; i < texts->n; i++)
        free(texts->items[i].text);
    free(texts->items);
    mt_table_free(&texts->by_frames);
    free(texts);
}

static void frame_texts_put(struct mt_json *json, const struct mt_frame *frame)
{
    mt_json_open(json, NULL, '{');
    mt_json_address(json, "pc", frame->pc);
    mt_json_string(json, "module", frame->module);
    mt_json_address(json, "module_offset", frame->module_offset);
    if (frame->build_id_bytes)
        mt_json_bytes(json, "build_id", frame->build_id, frame->build_id_bytes);
    else
        mt_json_null(json, "build_id");
    mt_json_string(json, "function", frame->function);
    mt_json_u64(json, "offset", frame->offset);
    mt_json_string(json, "file", frame->file);
    mt_json_u64(json, "line", frame->line);
    mt_json_bool(json, "inlined", frame->inlined);
    mt_json_close(json, '}');
}

static bool frame_texts_match(const void *items, size_t item, const void *key)
{
    return ((const struct frame_text *)items)[item].frames == key;
}

/* The text of frames, made if it is new; NULL if it is not kept. */
static const struct frame_text *
frame_texts_find(struct mt_frame_texts *texts, const struct mt_json *as,
                 const struct mt_resolved *found)
{
    uint64_t hash = (uintptr_t)found->frames;
    size_t i = mt_table_find(&texts->by_frames, hash, frame_texts_match,
                             texts->items, found->frames);
    struct frame_text fresh = {.frames = found->frames};
    struct mt_json json = *as;

    if (i != MT_TABLE_NONE)
        return &texts->items[i];
    if (texts->bytes > MAX_TEXTS ||
        !mt_grow(&texts->items, &texts->capacity, texts->n + 1,
                 sizeof *texts->items))
        return NULL;
    json.more = false;
    json.out = open_memstream(&fresh.text, &fresh.bytes);
    if (!json.out)
        return NULL;
    for (size_t j = 0; j < found->n; j++)
        frame_texts_put(&json, &found->frames[j]);
    if (fclose(json.out) != 0 ||
        !mt_table_add(&texts->by_frames, hash, texts->n)) {
        free(fresh.text);
        return NULL;
    }
    texts->bytes += fresh.bytes;
    texts->items[texts->n] = fresh;
    return &texts->items[texts->n++];
}

void mt_json_put_resolved(struct mt_json *json, struct mt_frame_texts *texts,
                          const struct mt_resolved *found)
{
    const struct frame_text *text = NULL;

    if (texts && json->depth >= INNER_DEPTH)
        text = frame_texts_find(texts, json, found);
    if (text)
        mt_json_raw(json, text->text, text->bytes);
    else
        for (size_t i = 0; i < found->n; i++)
            frame_texts_put(json, &found->frames[i]);
}
