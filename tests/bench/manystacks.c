/* SPDX-License-Identifier: BSD-2-Clause
 *
 * manystacks.c - keeps a block each of 40,000 stacks that differ, with more
 * than 300,000 paths of calls, and waits: for tests/bench/report.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef STACKS
#define STACKS 40000u
#endif
#define DEPTH 12u /* four levels make stacks differ, eight follow */

typedef void step(uint64_t path, unsigned depth);
static step *const steps[16];
static void *volatile kept[STACKS];
static unsigned n_kept;

__attribute__((noinline)) static void finish(uint64_t path)
{
    kept[n_kept++ % STACKS] = malloc(16 + path % 500);
}

#define STEP(name)                                                             \
    __attribute__((noinline)) static void name(uint64_t path, unsigned depth)  \
    {                                                                          \
        if (depth == 0)                                                        \
            finish(path);                                                      \
        else                                                                   \
            steps[path & 15](path >> 4, depth - 1);                            \
        __asm__ volatile("");                                                  \
    }
STEP(parse_header)
STEP(parse_body)
STEP(read_field)
STEP(read_list)
STEP(make_index)
STEP(insert_node)
STEP(grow_table)
STEP(copy_string)
STEP(open_stream)
STEP(decode_frame)
STEP(render_row)
STEP(render_cell)
STEP(load_plugin)
STEP(call_plugin)
STEP(merge_pages)
STEP(split_page)

static step *const steps[16] = {
    parse_header, parse_body,   read_field, read_list,   make_index,  insert_node,
    grow_table,   copy_string,  open_stream, decode_frame, render_row, render_cell,
    load_plugin,  call_plugin,  merge_pages, split_page};

int main(void)
{
    char c;

    for (uint64_t i = 0; i < STACKS; i++)
        steps[0](i | i * UINT64_C(0x9e3779b97f4a7c15) << 16, DEPTH);
    puts("ready");
    fflush(stdout);
    return read(0, &c, 1) < 0;
}
