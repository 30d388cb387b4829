/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbolize_pc: the symbolizer for the scripts that compare it with others.
 *
 *     symbolize_pc [-r] [-s] [-m] [-d DEBUG-DIR] FILE < ADDRESSES
 *
 * For each hexadecimal address of FILE a line
 * ADDRESS|QUALITY|FUNCTION+OFFSET@FILE:LINE|... with the innermost frame
 * first.  -r: they are return addresses; -s: symbol tables alone; -m: mangled
 * names.  Without FILE's build-id: as if the target had recorded none.
 */
#include "coreanalyze/symbols/symbolize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text(const char *string)
{
    return string != NULL ? string : "?";
}

static void print(uint64_t pc, const struct mt_symbol_frame *frames, size_t n,
                  enum mt_symbol_quality quality)
{
    printf("%llx|%d", (unsigned long long)pc, (int)quality);
    for (size_t i = 0; i < n; i++)
        printf("|%s+%#llx@%s:%u", text(frames[i].function),
               (unsigned long long)frames[i].offset, text(frames[i].file),
               frames[i].line);
    printf("\n");
}

int main(int argc, char **argv)
{
    const char *debug_dirs[2] = {"/usr/lib/debug", NULL};
    struct mt_symbolizer_options options = {.debug_dirs = debug_dirs,
                                            .no_debuginfod = true};
    struct mt_symbol_frame frames[64];
    struct mt_symbol_report report;
    bool returns = false;
    int option;
    char line[64];

    while ((option = getopt(argc, argv, "rsmd:")) != -1)
        switch (option) {
        case 'r':
            returns = true;
            break;
        case 's':
            options.no_dwarf = true;
            break;
        case 'm':
            options.no_demangle = true;
            break;
        case 'd':
            debug_dirs[0] = optarg;
            break;
        default:
            return 1;
        }
    if (optind + 1 != argc)
        return 1;
    struct mt_symbol_module module = {.path = argv[optind]};
    struct mt_symbolizer *symbolizer = mt_symbolizer_new(&options);
    if (symbolizer == NULL)
        return 1;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        enum mt_symbol_quality quality;
        uint64_t pc = strtoull(line, NULL, 16);
        size_t n = mt_symbolize(symbolizer, &module, pc, returns, frames, 64,
                                &quality);

        print(pc, frames, n, quality);
    }
    if (mt_symbolizer_report(symbolizer, 0, &report))
        fprintf(stderr, "match %d quality %d debug %s note %s bytes %zu\n",
                (int)report.match, (int)report.quality, text(report.debug_path),
                text(report.note), mt_symbolizer_memory(symbolizer));
    mt_symbolizer_free(symbolizer);
    return 0;
}
