/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_capture: a libFuzzer target.  The input is an object of odd layout, with
 * holes between its segments, its unwind data, and a stack on which the object
 * has frames; or it is the text of MEMTRACE.
 *
 *     make tests/fuzz_capture CC=clang
 *     tests/fuzz_capture CORPUS-DIR
 *
 * The object lies in memory whose holes cannot be accessed, and the stack ends
 * before such a page.  Its program headers are true, as the kernel and the
 * dynamic linker have mapped it by them; nothing else has to be.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "heap/alloc.h"
#include "heap/capture/cfi.h"
#include "heap/capture/module_table.c"
#include "heap/capture/unwind.h"
#include "heap/capture/walk.h"
#include "heap/page_kinds.h"
#include "heap/trace_region.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define PAGES 16u
#define STACK_PAGES 4u
#define MAX_LOADS 6u
#define OBJECT UINT64_C(0x200000000000)
#define STACK UINT64_C(0x210000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t *object; /* the object's memory, where it can be written */
/* The linker's own part of one begins with its address and its namespace. */
static struct {
    struct link_map map;
    uint64_t own[2];
} linked;
static uint64_t eh_frame;
static struct {
    uint64_t start, end;
} loads[MAX_LOADS];
static unsigned n_loads;
static bool contiguous;

static uint64_t take(struct input *in, unsigned n)
{
    uint64_t value = 0;
    if (n > in->left)
        n = (unsigned)in->left;
    memcpy(&value, in->at, n);
    in->at += n;
    in->left -= n;
    return value;
}

/* The C library's facts of the object, and of any other. */
int _dl_find_object(void *pc, struct dl_find_object *found)
{
    uint64_t at = (uintptr_t)pc;
    if (at < OBJECT || at >= OBJECT + PAGES * PAGE || n_loads == 0)
        return -1;
    *found = (struct dl_find_object){.dlfo_eh_frame = (void *)eh_frame,
                                     .dlfo_link_map = &linked.map};
    found->dlfo_map_start = (void *)loads[0].start;
    found->dlfo_map_end = (void *)loads[n_loads - 1].end;
    for (unsigned i = 0; i < n_loads && !contiguous; i++) {
        found->dlfo_map_start = (void *)loads[i].start;
        found->dlfo_map_end = (void *)loads[i].end;
        if (at >= loads[i].start && at < loads[i].end)
            return 0;
    }
    return contiguous && at < loads[n_loads - 1].end ? 0 : -1;
}

static void map_all(void)
{
    int file = memfd_create("object", 0);
    if (ftruncate(file, PAGES * PAGE) != 0)
        abort();
    object =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mmap((void *)OBJECT, PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
             file, 0) == MAP_FAILED ||
        mmap((void *)STACK, (STACK_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
    mprotect((void *)(STACK + STACK_PAGES * PAGE), PAGE, PROT_NONE);
    close(file);
    if (!mt_region_start())
        abort();
}

/* The first segment has the headers; between segments there may be holes, and
 * some cannot be read. */
static size_t put_headers(struct input *in)
{
    ElfW(Ehdr) *e = (void *)object;
    ElfW(Phdr) *p = (void *)(object + sizeof *e);
    unsigned page = 0;
    n_loads = 0;
    mprotect((void *)OBJECT, PAGES * PAGE, PROT_NONE);
    *e = (ElfW(Ehdr)){.e_ident = ELFMAG,
                      .e_phoff = sizeof *e,
                      .e_phentsize = sizeof *p,
                      .e_entry = take(in, 2)};
    while (n_loads < MAX_LOADS && page < PAGES) {
        uint64_t shape = take(in, 2), pages = 1 + shape % 4;
        if (pages > PAGES - page)
            pages = PAGES - page;
        bool readable = page == 0 || shape & 0x30;
        p[e->e_phnum++] = (ElfW(Phdr)){.p_type = PT_LOAD,
                                       .p_flags = readable ? PF_R : PF_X,
                                       .p_offset = page * PAGE,
                                       .p_vaddr = page * PAGE,
                                       .p_memsz = pages * PAGE - shape / 1024};
        loads[n_loads].start = OBJECT + page * PAGE;
        loads[n_loads++].end = OBJECT + (page + pages) * PAGE - shape / 1024;
        if (readable)
            mprotect((void *)(OBJECT + page * PAGE), pages * PAGE, PROT_READ);
        page += (unsigned)pages + (shape >> 6 & 3);
    }
    for (unsigned n = (unsigned)take(in, 1) % 3; n > 0; n--)
        p[e->e_phnum++] = (ElfW(Phdr)){
            .p_type = PT_NOTE, .p_vaddr = take(in, 2), .p_filesz = take(in, 2)};
    return sizeof *e + e->e_phnum * sizeof *p;
}

/* A table of functions, a CIE and an FDE, as they should be. */
static void put_unwind_data(struct input *in, size_t from)
{
    uint32_t hdr = (uint32_t)(from + take(in, 2) % (PAGES * PAGE - from - 256));
    uint32_t section = hdr + 32;
    uint8_t *at = object + hdr;
    uint64_t kind = take(in, 1);
    int32_t words[6] = {(int32_t)(section - hdr - 4), 1, -(int32_t)hdr,
                        (int32_t)(section - hdr + 24)};
    static const uint8_t cie[] = {20,   0,   0,   0, 0,   0,   0,  0,
                                  1,    'z', 'R', 0, 1,   120, 16, 1,
                                  0x1b, 12,  7,   8, 144, 1,   0,  0};
    eh_frame = kind & 1 ? OBJECT + hdr : OBJECT + take(in, 2);
    memcpy(at, kind & 2 ? "\1\x1b\3\x3b" : "\1\x1b\xff\xff", 4);
    memcpy(at + 4, words, sizeof words);
    memcpy(object + section, cie, sizeof cie);
    uint8_t *fde = object + section + sizeof cie;
    int32_t head[5] = {60, 28, -(int32_t)(section + 32), PAGES * PAGE, 0};
    memcpy(fde, head, sizeof head);
    for (unsigned i = 17; i < 64; i++)
        fde[i] = (uint8_t)take(in, 1);
}

/* The rest of the input overwrites the object, except for its headers. */
static void put_rest(struct input *in, size_t from)
{
    while (in->left > 3) {
        size_t at = from + take(in, 2) % (PAGES * PAGE - from);
        size_t n = 1 + take(in, 1) % 32;
        if (n > in->left)
            n = in->left;
        if (n > PAGES * PAGE - at)
            n = PAGES * PAGE - at;
        memcpy(object + at, in->at, n);
        in->at += n;
        in->left -= n;
    }
}

static uint64_t some_word(struct input *in)
{
    uint64_t word = take(in, 2);
    switch (word >> 14) {
    case 0:
        return OBJECT + word % (PAGES * PAGE);
    case 1:
        return STACK + word % (STACK_PAGES * PAGE) / 8 * 8;
    case 2:
        return word & 0xff;
    default:
        return take(in, 8);
    }
}

static void put_stack(struct input *in)
{
    uint64_t *words = (uint64_t *)STACK;
    for (unsigned i = 0; i < STACK_PAGES * PAGE / 8; i++)
        words[i] = i < 64 || i % 64 == 0 ? some_word(in) : words[i % 64] + i;
}

static void unwind_all(struct input *in)
{
    static struct mt_stack_ranges ranges;
    static uint64_t frames[128], addresses[64], values[64];
    for (unsigned i = 0; i < 4; i++) {
        struct mt_regs regs = {.rip = OBJECT + take(in, 2) % (PAGES * PAGE),
                               .rsp =
                                   STACK + take(in, 2) % (STACK_PAGES * PAGE),
                               .rbp = some_word(in),
                               .rbx = some_word(in),
                               .r12 = some_word(in)};
        if (take(in, 1) % 4)
            regs.rsp &= ~UINT64_C(7);
        struct mt_read_log log = {
            .addresses = addresses, .values = values, .max_words = 64};
        struct mt_unwinding u = {.frames = frames,
                                 .max_frames = 1 + (unsigned)take(in, 1) % 128,
                                 .ranges = i & 1 ? &ranges : NULL,
                                 .read_log = i & 2 ? &log : NULL};
        mt_unwind(&u, &regs);
        if (u.n_frames < 1 || u.n_frames > u.max_frames || log.n_words > 64)
            abort();
        mt_modules_note(frames, u.n_frames);
        mt_modules_match(frames, u.n_frames,
                         mt_modules_span(frames, u.n_frames));
    }
}

static void look_at_object(struct input *in)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t pc = OBJECT + take(in, 2) % (PAGES * PAGE);
        struct mt_object found;
        struct mt_cfi_work work;
        mt_cfi_row_at(pc, &work);
        mt_rules_compile(pc, NULL, &work);
        mt_rules_outermost(pc, &work);
        if (mt_object_find(pc, &found)) {
            uint8_t id[32];
            find_build_id(&found, id);
            modules_fingerprint(&found);
        }
    }
}

static void set_options(const uint8_t *data, size_t bytes)
{
    static char text[4096];
    uint64_t nodes;
    if (bytes >= sizeof text)
        bytes = sizeof text - 1;
    memcpy(text, data, bytes);
    text[bytes] = 0;
    mt_config_read(text);
    mt_memory_nodes(text, strlen(text), &nodes);
    if (mt_config.depth < 1 || mt_config.depth > MT_DEPTH_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = {data, bytes};
    if (!object)
        map_all();
    if (take(&in, 1) % 8 == 0) {
        set_options(in.at, in.left);
        return 0;
    }
    memset(object, 0, PAGES * PAGE);
    memset(live, 0, sizeof live);
    n_live = 0;
    modules_section()->used = 0;
    contiguous = take(&in, 1) & 1;
    linked.own[0] = (uintptr_t)&linked.map;
    linked.own[1] = in.left & 1;
    linked.map.l_addr = take(&in, 1) & 3 ? OBJECT : 0;
    linked.map.l_name = (char *)"/odd/object";
    size_t from = put_headers(&in);
    struct input again = {data, bytes};
    put_unwind_data(&in, from);
    put_stack(&in);
    put_rest(&in, from);
    look_at_object(&again);
    unwind_all(&again);
    return 0;
}
