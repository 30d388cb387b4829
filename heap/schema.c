/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The text schema, from the field tables of layout.h, as one constant: what a
 * process does at its start is to copy it.
 */
#include "heap/layout.h"
#include "heap/attributes.h"
#include "heap/trace_region.h"

#include <string.h>

/* Bytes of each type in the tables, as a token that becomes text. */
#define BYTES_char 1
#define BYTES_uint8_t 1
#define BYTES_uint16_t 2
#define BYTES_uint32_t 4
#define BYTES_int32_t 4
#define BYTES_uint64_t 8
#define BYTES_mt_section_record 56

#define ASSERT_FIELD(offset, type, name, doc)                                  \
    _Static_assert(sizeof(type) == BYTES_##type, #type);
#define ASSERT_ARRAY(offset, type, name, n, doc)                               \
    ASSERT_FIELD(offset, type, name, doc)
#define ASSERT_RECORD(name, FIELDS, size) FIELDS(ASSERT_FIELD, ASSERT_ARRAY)
MT_RECORDS(ASSERT_RECORD)

#define TEXT_OF(token) #token
#define TEXT(token) TEXT_OF(token)
#define FIELD(offset, type, name, doc)                                         \
    "field " #name " " #offset " " TEXT(BYTES_##type) " 1 " doc "\n"
#define ARRAY(offset, type, name, n, doc)                                      \
    "field " #name " " #offset " " TEXT(BYTES_##type) " " TEXT(n) " " doc "\n"
#define RECORD(name, FIELDS, size)                                             \
    "record " #name " " #size "\n" FIELDS(FIELD, ARRAY)
#define SECTION(ID, name, entry, kept, doc) "section " #name " " doc "\n"

#define SCHEMA                                                                 \
    "memtrace layout " TEXT(MT_LAYOUT_MAJOR) "." TEXT(                         \
        MT_LAYOUT_MINOR) "\n" MT_RECORDS(RECORD) MT_SECTIONS(SECTION)

/* Two copies of a known size take fewer instructions than one by libc. */
#define HALF (sizeof SCHEMA / 16 * 8 + 8)
static const char schema[2 * HALF] = SCHEMA;

void mt_schema_write(void)
{
    char *text = mt_section_alloc(MT_SECTION_SCHEMA, sizeof SCHEMA - 1);
    if (text) {
        memcpy(text, schema, HALF);
        memcpy(text + HALF, schema + HALF, HALF);
    }
}
