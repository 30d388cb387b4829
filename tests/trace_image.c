/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace_image.c - builds a trace region in memory, record by record, and a
 * core around it, for tests of readers.
 */
#include "tests/trace_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT_BYTES 4096u

uint32_t image_section_bytes = 256u << 10;

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "trace_image: %s\n", what);
    abort();
}

void *image_at(struct image *image, uint64_t address)
{
    need(address >= IMAGE_BASE && address - IMAGE_BASE < image->size,
         "address outside the trace region");
    return image->bytes + (address - IMAGE_BASE);
}

void *image_record(struct image *image, unsigned section, uint32_t index,
                   size_t bytes)
{
    const struct mt_section_record *s = &image->root->sections[section];

    need(bytes <= s->entry_bytes, "record size");
    return image_at(image, s->base + (uint64_t)index * s->entry_bytes);
}

uint64_t image_alloc(struct image *image, unsigned section, size_t bytes)
{
    struct mt_section_record *s = &image->root->sections[section];
    uint64_t address = s->base + s->used;

    need(s->used + bytes <= s->reserved, "section is full");
    s->used += bytes;
    s->committed = (s->used + 4095) & ~UINT64_C(4095);
    return address;
}

static uint32_t add_record(struct image *image, unsigned section)
{
    struct mt_section_record *s = &image->root->sections[section];

    image_alloc(image, section, s->entry_bytes);
    return (uint32_t)(s->used / s->entry_bytes - 1);
}

/* --- schema --- */

struct schema_line {
    const char *kind, *name;
    unsigned offset, bytes, count;
};

#define LINE_FIELD(offset, type, name, doc)                                    \
    {"field", #name, offset, sizeof(type), 1},
#define LINE_ARRAY(offset, type, name, n, doc)                                 \
    {"field", #name, offset, sizeof(type), n},
#define LINE_RECORD(name, FIELDS, size)                                        \
    {"record", #name, 0, size, 0}, FIELDS(LINE_FIELD, LINE_ARRAY)
static const struct schema_line schema[] = {MT_RECORDS(LINE_RECORD)};

void image_schema(struct image *image, void (*edit)(char *line, size_t bytes))
{
    struct mt_section_record *s = &image->root->sections[MT_SECTION_SCHEMA];
    char line[256];

    s->used = 0;
    for (size_t i = 0; i <= sizeof schema / sizeof *schema; i++) {
        const struct schema_line *l = i ? &schema[i - 1] : NULL;
        if (l == NULL)
            snprintf(line, sizeof line, "memtrace layout %u.%u\n",
                     image->root->layout_major, image->root->layout_minor);
        else if (l->count == 0)
            snprintf(line, sizeof line, "record %s %u\n", l->name, l->bytes);
        else
            snprintf(line, sizeof line, "field %s %u %u %u documented\n",
                     l->name, l->offset, l->bytes, l->count);
        if (edit)
            edit(line, sizeof line);
        uint64_t at = image_alloc(image, MT_SECTION_SCHEMA, strlen(line));
        memcpy(image_at(image, at), line, strlen(line));
    }
}

/* --- records --- */

struct image *image_new(void)
{
    static const struct {
        const char *name;
        uint32_t entry_bytes;
    } sections[] = {
#define SECTION(ID, name, entry, kept, doc) {#name, (uint32_t)(entry)},
        MT_SECTIONS(SECTION)};
    struct image *image = calloc(1, sizeof *image);
    struct mt_root *root;

    need(image != NULL, "out of memory");
    image->size = ROOT_BYTES + MT_N_SECTIONS * (size_t)image_section_bytes;
    image->bytes = calloc(1, image->size);
    need(image->bytes != NULL, "out of memory");
    root = image->root = (struct mt_root *)image->bytes;
    root->magic = MT_MAGIC;
    root->self = IMAGE_BASE;
    root->layout_major = MT_LAYOUT_MAJOR;
    root->layout_minor = MT_LAYOUT_MINOR;
    root->root_bytes = sizeof *root;
    root->n_sections = MT_N_SECTIONS;
    root->region_bytes = image->size;
    root->pid = IMAGE_PID;
    root->start_monotonic_ns = IMAGE_START_NS;
    root->flags = MT_ROOT_READY;
    root->page_bytes = 4096;
    root->slice_bytes = MT_SLICE_BYTES;
    root->depth = 32;
    root->spare_bytes = 1;
    for (unsigned i = 0; i < MT_N_SECTIONS; i++) {
        struct mt_section_record *s = &root->sections[i];
        snprintf(s->name, sizeof s->name, "%s", sections[i].name);
        s->base = IMAGE_BASE + ROOT_BYTES + i * (uint64_t)image_section_bytes;
        s->reserved = image_section_bytes;
        s->entry_bytes = sections[i].entry_bytes;
    }
    image_schema(image, NULL);
    image_alloc(image, MT_SECTION_STRINGS, 8); /* offset 0 means none */
    add_record(image, MT_SECTION_SPANS);       /* id 0 is not used */
    for (unsigned i = 0; i < MT_STACK_FIRST; i++)
        add_record(image, MT_SECTION_STACKS);
    add_record(image, MT_SECTION_NODES); /* id 0 means none */
    image_epoch(image, 0, NULL);
    return image;
}

void image_free(struct image *image)
{
    free(image->bytes);
    free(image);
}

uint32_t image_string(struct image *image, const char *text)
{
    size_t bytes = strlen(text) + 1;
    uint64_t at = image_alloc(image, MT_SECTION_STRINGS, bytes);

    memcpy(image_at(image, at), text, bytes);
    return (uint32_t)(at - image->root->sections[MT_SECTION_STRINGS].base);
}

uint32_t image_heap(struct image *image, const char *name, uint32_t trace,
                    uint32_t flags)
{
    uint32_t id = add_record(image, MT_SECTION_HEAPS);
    struct mt_heap_record *h = IMAGE_RECORD(image, HEAPS, mt_heap_record, id);

    memcpy(h->name, name, strnlen(name, sizeof h->name));
    h->flags = MT_HEAP_IN_USE | flags;
    h->trace = trace;
    h->page_bytes = 4096;
    h->numa_node = -1;
    h->id = id;
    return id;
}

uint32_t image_region(struct image *image, uint32_t heap, uint64_t base,
                      uint32_t slices)
{
    uint32_t id = add_record(image, MT_SECTION_REGIONS);
    struct mt_region_record *r =
        IMAGE_RECORD(image, REGIONS, mt_region_record, id);
    struct mt_heap_record *h = IMAGE_RECORD(image, HEAPS, mt_heap_record, heap);

    r->base = base;
    r->size = r->committed = slices * MT_SLICE_BYTES;
    r->slice_map = image_alloc(image, MT_SECTION_SLICE_MAPS, slices * 4ul);
    r->heap = heap;
    r->state = 1;
    if (h->n_regions++ == 0)
        h->base = base;
    h->size += r->size;
    h->committed += r->size;
    return id;
}

uint32_t image_node(struct image *image, uint32_t parent, uint64_t pc)
{
    uint32_t id = add_record(image, MT_SECTION_NODES);
    struct mt_node_record *n = IMAGE_RECORD(image, NODES, mt_node_record, id);

    n->pc = pc;
    n->parent = parent;
    return id;
}

uint32_t image_stack(struct image *image, unsigned depth,
                     const uint64_t *frames)
{
    uint32_t id = add_record(image, MT_SECTION_STACKS);
    struct mt_stack_record *s =
        IMAGE_RECORD(image, STACKS, mt_stack_record, id);

    s->depth = (uint16_t)depth;
    s->modules = (uint32_t)(image->root->sections[MT_SECTION_MODULES].used /
                            sizeof(struct mt_module_record));
    for (unsigned i = depth; i-- > 0;)
        s->node = image_node(image, s->node, frames[i]);
    return id;
}

uint32_t image_epoch(struct image *image, uint64_t ns, const char *mark)
{
    uint32_t label = mark ? image_string(image, mark) : 0;
    uint32_t id = add_record(image, MT_SECTION_EPOCHS);
    struct mt_epoch_record *e =
        IMAGE_RECORD(image, EPOCHS, mt_epoch_record, id);

    e->monotonic_ns = IMAGE_START_NS + ns;
    e->kind = mark ? MT_EPOCH_MARK : MT_EPOCH_TIME;
    e->label = label;
    image->root->epoch = id;
    return id;
}

uint32_t image_module(struct image *image, uint64_t start, uint64_t end,
                      const char *path)
{
    uint32_t name = image_string(image, path);
    uint32_t id = add_record(image, MT_SECTION_MODULES);
    struct mt_module_record *m =
        IMAGE_RECORD(image, MODULES, mt_module_record, id);

    m->start = m->load_bias = start;
    m->end = end;
    m->path = name;
    m->loaded_ns = IMAGE_START_NS;
    return id;
}

uint32_t image_thread(struct image *image, uint32_t tid, const char *name)
{
    uint32_t id = add_record(image, MT_SECTION_THREADS);
    struct mt_thread_record *t =
        IMAGE_RECORD(image, THREADS, mt_thread_record, id);

    t->state = MT_THREAD_LIVE;
    t->tid = tid;
    t->started_ns = IMAGE_START_NS;
    snprintf(t->name, sizeof t->name, "%s", name);
    return id;
}

/* --- spans --- */

static uint32_t add_span(struct image *image, uint32_t region, uint32_t slices,
                         uint8_t state)
{
    uint32_t id = add_record(image, MT_SECTION_SPANS);
    struct mt_span_record *s = IMAGE_RECORD(image, SPANS, mt_span_record, id);
    struct mt_region_record *r =
        IMAGE_RECORD(image, REGIONS, mt_region_record, region);
    uint32_t *map = image_at(image, r->slice_map);

    need((r->top + slices) * MT_SLICE_BYTES <= r->size, "region is full");
    s->base = r->base + r->top * MT_SLICE_BYTES;
    s->state = state;
    s->heap = (uint16_t)r->heap;
    s->region = region;
    s->first_slice = r->top;
    s->n_slices = slices;
    for (uint32_t i = 0; i < slices; i++)
        map[r->top++] = id;
    return id;
}

static uint64_t span_field(struct image *image, uint32_t id, size_t field)
{
    return image->root->sections[MT_SECTION_SPANS].base +
           id * sizeof(struct mt_span_record) + field;
}

uint32_t image_small(struct image *image, uint32_t region, uint64_t block_bytes,
                     uint32_t n_blocks)
{
    uint32_t slices = (uint32_t)((n_blocks * block_bytes + MT_SLICE_BYTES - 1) /
                                 MT_SLICE_BYTES);
    uint32_t id = add_span(image, region, slices, MT_SPAN_SMALL);
    struct mt_span_record *s = IMAGE_RECORD(image, SPANS, mt_span_record, id);
    size_t words = (n_blocks + 63) / 64;

    s->block_bytes = block_bytes;
    s->n_blocks = n_blocks;
    s->recip = ((UINT64_C(1) << 40) + block_bytes - 1) / block_bytes;
    if (n_blocks <= 64) {
        s->local = span_field(image, id,
                              offsetof(struct mt_span_record, inline_local));
        s->remote = span_field(image, id,
                               offsetof(struct mt_span_record, inline_remote));
    } else {
        s->local = image_alloc(image, MT_SECTION_BITMAPS, words * 8);
        s->remote = image_alloc(image, MT_SECTION_BITMAPS, words * 8);
    }
    memset(image_at(image, s->local), 0xff, words * 8);
    s->tags = image_alloc(image, MT_SECTION_TAGS, n_blocks * 8ul);
    return id;
}

uint32_t image_large(struct image *image, uint32_t region, uint64_t requested)
{
    uint32_t slices =
        (uint32_t)((requested + MT_SLICE_BYTES - 1) / MT_SLICE_BYTES);
    uint32_t id = add_span(image, region, slices, MT_SPAN_LARGE);
    struct mt_span_record *s = IMAGE_RECORD(image, SPANS, mt_span_record, id);

    s->block_bytes = slices * MT_SLICE_BYTES;
    s->n_blocks = 1;
    s->requested = requested;
    s->local =
        span_field(image, id, offsetof(struct mt_span_record, inline_local));
    s->remote =
        span_field(image, id, offsetof(struct mt_span_record, inline_remote));
    s->tags =
        span_field(image, id, offsetof(struct mt_span_record, inline_tag));
    s->inline_local = 1;
    return id;
}

uint32_t image_free_run(struct image *image, uint32_t region, uint32_t slices)
{
    return add_span(image, region, slices, MT_SPAN_FREE);
}

static void set_bit(struct image *image, uint64_t bits, uint32_t index,
                    bool set)
{
    uint64_t *words = image_at(image, bits);
    uint64_t bit = UINT64_C(1) << (index % 64);

    words[index / 64] =
        set ? words[index / 64] | bit : words[index / 64] & ~bit;
}

uint64_t image_block(struct image *image, uint32_t span, uint32_t index,
                     uint32_t stack, uint32_t epoch, uint64_t bytes)
{
    struct mt_span_record *s = IMAGE_RECORD(image, SPANS, mt_span_record, span);

    need(index < s->n_blocks && bytes <= s->block_bytes, "no such block");
    set_bit(image, s->local, index, false);
    set_bit(image, s->remote, index, false);
    if (s->tags)
        ((uint64_t *)image_at(image, s->tags))[index] =
            stack
                ? MT_TAG(stack, epoch,
                         s->state == MT_SPAN_LARGE ? 0 : s->block_bytes - bytes)
                : 0;
    return s->base + index * s->block_bytes;
}

void image_release(struct image *image, uint32_t span, uint32_t index,
                   bool remote)
{
    struct mt_span_record *s = IMAGE_RECORD(image, SPANS, mt_span_record, span);

    set_bit(image, remote ? s->remote : s->local, index, true);
}

struct image *image_planned(struct plan *plan)
{
    struct image *image = image_new();
    const uint64_t frames[3][3] = {{0x401010, 0x401020, 0x401030},
                                   {0x401110, 0x401020, 0x401030},
                                   {0x401010, 0x401020, 0x401040}};

    image_epoch(image, 1000000000, NULL);
    image_epoch(image, 5000000000, NULL);
    image_module(image, 0x401000, 0x402000, "/nowhere/program");
    image_thread(image, IMAGE_PID, "main");
    plan->heap = image_heap(image, "main heap", MT_TRACE_ON, MT_HEAP_MAIN);
    plan->region = image_region(image, plan->heap, IMAGE_HEAP, 128);
    for (unsigned i = 0; i < 3; i++)
        plan->stacks[i] = image_stack(image, 3, frames[i]);
    plan->small = image_small(image, plan->region, 112, 50);
    plan->large = image_large(image, plan->region, 1000000);
    plan->bits = image_small(image, plan->region, 48, 300);
    image_free_run(image, plan->region, 2);
    for (uint32_t i = 0; i < 3; i++)
        plan->blocks[0] =
            image_block(image, plan->small, 10 * i, plan->stacks[0], 1, 100);
    plan->blocks[0] -= 20 * 112;
    plan->blocks[1] =
        image_block(image, plan->large, 0, plan->stacks[1], 0, 1000000);
    plan->blocks[2] =
        image_block(image, plan->bits, 200, plan->stacks[2], 2, 40);
    image_block(image, plan->bits, 201, plan->stacks[2], 2, 40);
    image_release(image, plan->bits, 201, true);
    image_block(image, plan->bits, 7, 0, 0, 40);
    return image;
}

/* --- cores --- */

struct out {
    uint8_t *bytes;
    size_t size;
};

static void put(struct out *out, const void *data, size_t bytes)
{
    out->bytes = realloc(out->bytes, out->size + bytes + 1);
    need(out->bytes != NULL, "out of memory");
    memcpy(out->bytes + out->size, data, bytes);
    out->size += bytes;
}

static void put_note(struct out *out, uint32_t type, const void *data,
                     uint32_t bytes)
{
    static const uint8_t zeros[4];
    Elf64_Nhdr note = {5, bytes, type};

    put(out, &note, sizeof note);
    put(out, "CORE\0\0\0", 8);
    put(out, data, bytes);
    put(out, zeros, -bytes & 3);
}

static void put_notes(struct image *image, struct out *out)
{
    uint8_t status[336] = {0}, info[136] = {0};
    uint32_t pid = IMAGE_PID;
    const struct {
        uint64_t n, page, start, end, offset;
        char path[24];
    } files = {
        1, 4096, IMAGE_HEAP, IMAGE_HEAP + MT_SLICE_BYTES, 3, "/nowhere/mapped"};

    status[12] = 6; /* SIGABRT */
    memcpy(status + 32, &pid, 4);
    memset(status + 112, 0x11, 27 * 8);
    memcpy(info + 24, &pid, 4);
    memcpy(info + 40, "planned", 8);
    memcpy(info + 56, "planned --run", 14);
    put_note(out, NT_PRSTATUS, status, sizeof status);
    put_note(out, NT_PRPSINFO, info, sizeof info);
    if (!image->no_files)
        put_note(out, NT_FILE, &files, 40 + 16);
}

static Elf64_Phdr load_segment(uint64_t address, uint64_t bytes,
                               uint64_t memory, uint64_t offset)
{
    return (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_flags = PF_R | PF_W,
                        .p_offset = offset,
                        .p_vaddr = address,
                        .p_filesz = bytes,
                        .p_memsz = memory};
}

uint8_t *image_core_bytes(struct image *image, size_t *bytes)
{
    struct out out = {NULL, 0}, notes = {NULL, 0};
    Elf64_Ehdr header = {.e_type = ET_CORE,
                         .e_machine = EM_X86_64,
                         .e_version = 1,
                         .e_phoff = sizeof header,
                         .e_ehsize = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = image->extra ? 4 : 3};
    uint64_t before = image->pages_before * 4096ul, at;
    Elf64_Phdr program[4];
    uint8_t *filler = calloc(1, before + 1);

    memcpy(header.e_ident, ELFMAG "\2\1\1", 7);
    put_notes(image, &notes);
    at = sizeof header + header.e_phnum * sizeof *program;
    program[0] =
        (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes.size};
    at = (at + notes.size + 7) & ~UINT64_C(7);
    program[1] = load_segment(IMAGE_HEAP, 0, 128 * MT_SLICE_BYTES, at);
    program[2] = load_segment(IMAGE_BASE - before, image->size + before,
                              image->size + before, at);
    program[3] = load_segment(image->extra_address, image->extra_bytes,
                              image->extra_bytes, at + before + image->size);
    put(&out, &header, sizeof header);
    put(&out, program, header.e_phnum * sizeof *program);
    put(&out, notes.bytes, notes.size);
    put(&out, "\0\0\0\0\0\0\0", at - out.size);
    need(filler != NULL, "out of memory");
    put(&out, filler, before);
    put(&out, image->bytes, image->size);
    if (image->extra)
        put(&out, image->extra, image->extra_bytes);
    free(filler);
    free(notes.bytes);
    *bytes = out.size;
    return out.bytes;
}

static char core_path[64];

static void remove_core(void)
{
    if (core_path[0])
        unlink(core_path);
    core_path[0] = '\0';
}

const char *image_core(struct image *image, uint64_t limit)
{
    size_t bytes;
    uint8_t *core = image_core_bytes(image, &bytes);
    int file;

    if (core_path[0] == '\0')
        atexit(remove_core);
    remove_core();
    snprintf(core_path, sizeof core_path, "/tmp/memtrace-unit-XXXXXX");
    file = mkstemp(core_path);
    need(file >= 0, "no temporary file");
    if (limit && limit < bytes)
        bytes = limit;
    need(write(file, core, bytes) == (ssize_t)bytes, "cannot write");
    close(file);
    free(core);
    return core_path;
}
