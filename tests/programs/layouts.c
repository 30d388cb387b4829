/* SPDX-License-Identifier: BSD-2-Clause
 *
 * layouts.c - blocks as well-known libraries lay them out, held by what those
 * keep in place of a pointer to the start; see e2e/known-layouts.
 *
 *     layouts NAME [spoil]
 *
 * 100 blocks of the layout, each of which holds a block of 40 bytes that
 * nothing else holds.  `spoil` changes what the layout is known by.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 100u
#define INNER 40u

void *held[N]; /* not static: the compiler keeps them */
uint64_t tables[N][4];
static int spoil;

__attribute__((noinline)) static void *layouts_inner(void)
{
    return malloc(INNER);
}

static void function(void)
{
}

/* A box with a count of references: four words before it. */
__attribute__((noinline)) static void *make_box(void)
{
    uint64_t *box = calloc(1, 32 + 48);

    box[0] = 0xffffffff;
    box[1] = 40;
    box[3] = spoil ? 1 : 0x44ae2bf0;
    box[4] = (uintptr_t)layouts_inner();
    return box + 4;
}

__attribute__((noinline)) static void *make_closure(void)
{
    uint64_t *closure = calloc(1, 72);

    closure[0] = spoil ? 1 << 20 : 0;
    closure[5] = (uintptr_t)function;
    closure[6] = (uintptr_t)layouts_inner();
    closure[8] = (uintptr_t)function;
    return closure + 4;
}

/* 1,008 bytes at a multiple of 1,024; the record at its end is in a ring. */
__attribute__((noinline)) static void *make_slab(void)
{
    void *memory = NULL;
    uint64_t *record;

    if (posix_memalign(&memory, 1024, 1008))
        abort();
    memset(memory, 0, 1008);
    record = (uint64_t *)((char *)memory + 1008 - 32);
    record[2] = record[3] = (uintptr_t)record;
    if (spoil)
        record[3] = (uintptr_t)memory;
    ((uint64_t *)memory)[8] = (uintptr_t)layouts_inner();
    return (uint64_t *)memory + 8;
}

/* Of two elements with room for four; the second has a value. */
__attribute__((noinline)) static void *make_pattern(void)
{
    uint64_t *pattern = malloc(24), *elements = calloc(4, 16);

    pattern[0] = UINT64_C(4) << 32 | 2;
    pattern[1] = (uintptr_t)elements - (uintptr_t)pattern;
    if (spoil)
        pattern[1] += 16;
    pattern[2] = 1;
    elements[3] = (uintptr_t)layouts_inner();
    return pattern;
}

__attribute__((noinline)) static void *make_ralloc(void)
{
    static uint64_t *parent;
    static unsigned n;
    uint64_t *header = calloc(1, 48 + 64);

    if (parent && !spoil) {
        header[2] = (uintptr_t)parent;
        parent[3] = (uintptr_t)header;
    } else if (!spoil) {
        /* The first one is the child of itself. */
        header[0] = header[1] = (uintptr_t)header;
    }
    parent = ++n < N ? header : NULL;
    header[6] = (uintptr_t)layouts_inner();
    return header + 6;
}

__attribute__((noinline)) static uint64_t *new_context(void)
{
    uint64_t *header = calloc(1, 48 + 64);

    __asm__ volatile("" : : "r"(header) : "memory");
    return header;
}

/* One without links, held by one that is the child of itself. */
__attribute__((noinline)) static void *make_alone(void)
{
    uint64_t *holder = new_context();
    uint64_t *alone = spoil ? calloc(1, 48 + 64) : new_context();

    holder[0] = holder[1] = (uintptr_t)holder;
    holder[7] = (uintptr_t)(alone + 6);
    alone[6] = (uintptr_t)layouts_inner();
    return holder + 6;
}

/* A slab of a context, which is itself. */
__attribute__((noinline)) static void *make_chunk(void)
{
    uint64_t *slab = calloc(1, 48 + 32 + 64);

    slab[0] = slab[1] = (uintptr_t)slab;
    slab[7] = spoil ? 0 : (uintptr_t)(slab + 6);
    slab[12] = (uintptr_t)layouts_inner();
    return slab + 11;
}

/* Its size, a page of 512 bytes, the header of 56, and the pager's 40. */
__attribute__((noinline)) static void *make_sqlite(void)
{
    uint64_t *block = calloc(1, 8 + 512 + 56 + 40), *page = block + 1,
             *header = page + 512 / 8;

    block[0] = 512 + 56 + 40;
    header[0] = (uintptr_t)page + (spoil ? 8 : 0);
    header[1] = (uintptr_t)(header + 56 / 8);
    page[3] = (uintptr_t)layouts_inner();
    return header;
}

__attribute__((noinline)) static void *make_mariadb(void)
{
    uint64_t *header = calloc(1, 24 + 72);

    header[1] = spoil ? 8 : 72 | 2;
    header[3] = (uintptr_t)layouts_inner();
    return header + 3;
}

__attribute__((noinline)) static void *make_zend(void)
{
    static unsigned n;
    uint64_t *hash = malloc(16 * 4 + 8 * 32);

    memset(hash, 0xff, 16 * 4);
    memset(hash + 8, 0, 8 * 32);
    hash[8] = (uintptr_t)layouts_inner();
    tables[n][1] = (uint64_t)(uint32_t)(spoil ? -8 : -16) << 32;
    tables[n++][2] = (uintptr_t)(hash + 8);
    return NULL;
}

/* Two operands before an instruction. */
__attribute__((noinline)) static void *make_llvm(void)
{
    uint64_t *operands = calloc(1, 64 + 64);

    operands[3] = operands[7] = (uintptr_t)(operands + 8);
    if (spoil)
        operands[7] = 0;
    operands[9] = (uintptr_t)layouts_inner();
    return operands + 8;
}

/* A node of metadata after its two operands; its word for the context is that
 * of LLVM 14 or of later ones. */
__attribute__((noinline)) static void *make_metadata(void)
{
    static uint64_t all[8], context[] = {(uintptr_t)all};
    static unsigned n;
    static uint64_t users[] = {(uintptr_t)context, 0};
    uint64_t *operands = calloc(1, 16 + 32);

    all[0] = spoil ? (uintptr_t)context : (uintptr_t)(all + 4);
    operands[0] = (uintptr_t)layouts_inner();
    operands[2 + 1 + n % 2] = n % 3 ? (uintptr_t)context : (uintptr_t)users | 4;
    n++;
    return operands + 2;
}

/* A ring: the links lie after three words. */
__attribute__((noinline)) static void *make_ring(void)
{
    static uint64_t *first, *last;
    static unsigned n;
    uint64_t *element = calloc(1, 24 + 16), *links = element + 3;

    element[0] = (uintptr_t)layouts_inner();
    first = first ? first : links;
    if (last) {
        last[0] = (uintptr_t)links;
        links[1] = (uintptr_t)last;
    }
    last = links;
    if (++n == N) {
        links[0] = (uintptr_t)first;
        first[1] = (uintptr_t)links;
        first = last = NULL;
    }
    if (spoil)
        links[1] = (uintptr_t)links;
    return links;
}

/* A heap of a tree: parent with a colour, and two children. */
__attribute__((noinline)) static void *make_tree(void)
{
    static uint64_t *nodes[N + 1];
    static unsigned n;
    uint64_t *element = calloc(1, 16 + 24), *links = element + 2, *parent;

    element[0] = (uintptr_t)layouts_inner();
    nodes[++n] = links;
    if (n > 1) {
        parent = nodes[n / 2];
        links[0] = (uintptr_t)parent | (n & 1);
        parent[1 + n % 2] = spoil ? (uintptr_t)element : (uintptr_t)links;
    }
    return links;
}

/* With the number of its kind in the low bits of the pointer. */
__attribute__((noinline)) static void *make_tagged(void)
{
    static unsigned n;
    uint64_t *block = calloc(1, 40);

    block[1] = (uintptr_t)layouts_inner();
    if (spoil)
        memset(block, 'x', 40);
    return (char *)block + 1 + n++ % 7;
}

/* As a lock-free list has a pointer: its high bits count the changes. */
__attribute__((noinline)) static void *make_counted(void)
{
    static uint64_t n;
    uint64_t *block = calloc(1, 40);

    block[1] = (uintptr_t)layouts_inner();
    n += 653;
    return (void *)(((uintptr_t)block + (spoil ? 8 : 0)) | (n & 0xffff) << 48);
}

/* As the C++ runtime has an exception: type, destructor, two handlers; the
 * function that ends it is after the class of the unwinder's part. */
__attribute__((noinline)) static void *make_exception(void)
{
    static const void *vtable = &vtable, *type[2] = {&vtable};
    uint64_t *record = calloc(1, 128 + 16);

    record[2] = (uintptr_t)type;
    record[4] = record[5] = (uintptr_t)function;
    record[13] = spoil ? 0 : (uintptr_t)function;
    record[16] = (uintptr_t)layouts_inner();
    return record + 16;
}

static const struct {
    const char *name;
    void *(*make)(void);
} layouts[] = {
    {"box", make_box},
    {"closure", make_closure},
    {"slab", make_slab},
    {"pattern", make_pattern},
    {"ralloc", make_ralloc},
    {"alone", make_alone},
    {"chunk", make_chunk},
    {"sqlite", make_sqlite},
    {"mariadb", make_mariadb},
    {"zend", make_zend},
    {"llvm", make_llvm},
    {"metadata", make_metadata},
    {"ring", make_ring},
    {"tree", make_tree},
    {"tagged", make_tagged},
    {"counted", make_counted},
    {"exception", make_exception},
};

__attribute__((noinline)) static void wipe(void)
{
    volatile char frame[8192];

    memset((void *)frame, 0, sizeof frame);
}

int main(int argc, char **argv)
{
    spoil = argc > 2;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (argc > 1 && strcmp(argv[1], layouts[i].name) == 0)
            for (unsigned j = 0; j < N; j++)
                held[j] = layouts[i].make();
    wipe();
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
