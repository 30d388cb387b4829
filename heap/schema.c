/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The text schema, from the field tables of layout.h.
 */
#include "internal.h"
#include "print.h"
#include "region.h"

#include <string.h>

struct field {
    const char *name;
    uint32_t offset, bytes, count; /* count 0: the name is a record's */
    const char *doc;
};

#define FIELD(offset, type, name, doc) {#name, offset, sizeof(type), 1, doc},
#define ARRAY(offset, type, name, n, doc) {#name, offset, sizeof(type), n, doc},
#define RECORD(name, FIELDS, size) {#name, 0, size, 0, ""}, FIELDS(FIELD, ARRAY)
static const struct field fields[] = {MT_RECORDS(RECORD)};

#define SECTION(ID, name, entry, doc) {#name, 0, 0, 0, doc},
static const struct field sections[] = {MT_SECTIONS(SECTION)};

static void write_all(struct mt_print *out)
{
    mt_print(out, "memtrace layout ");
    mt_print_u64(out, MT_LAYOUT_MAJOR);
    mt_print(out, ".");
    mt_print_u64(out, MT_LAYOUT_MINOR);
    mt_print(out, "\n");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *f = &fields[i];
        mt_print(out, f->count ? "field " : "record ");
        mt_print(out, f->name);
        mt_print(out, " ");
        if (f->count) {
            mt_print_u64(out, f->offset);
            mt_print(out, " ");
        }
        mt_print_u64(out, f->bytes);
        if (f->count) {
            mt_print(out, " ");
            mt_print_u64(out, f->count);
            mt_print(out, " ");
            mt_print(out, f->doc);
        }
        mt_print(out, "\n");
    }
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        mt_print(out, "section ");
        mt_print(out, sections[i].name);
        mt_print(out, " ");
        mt_print(out, sections[i].doc);
        mt_print(out, "\n");
    }
}

void mt_schema_write(void)
{
    struct mt_print length = {0};
    write_all(&length); /* counts only */
    char *text = mt_section_alloc(MT_SECTION_SCHEMA, length.length);
    if (text == NULL)
        return;
    struct mt_print out = {.text = text, .size = length.length};
    write_all(&out);
}
