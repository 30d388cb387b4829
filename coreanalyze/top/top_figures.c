/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_figures.c - numbers for a table that is 80 columns wide.
 */
#include "coreanalyze/top/top_figures.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *mt_top_bytes(const struct mt_style *style, uint64_t bytes,
                         char text[MT_TOP_FIGURE])
{
    const struct mt_report report = {.style = style};

    return mt_figure(&report, bytes, text);
}

static uint64_t figure_size(int64_t n)
{
    return n < 0 ? -(uint64_t)n : (uint64_t)n;
}

static const char *figure_signed(int64_t n, const char *plain,
                                 char text[MT_TOP_FIGURE])
{
    if (n == 0)
        return strcpy(text, "0");
    snprintf(text, MT_TOP_FIGURE, "%c%.30s", n < 0 ? '-' : '+', plain);
    return text;
}

const char *mt_top_signed_bytes(const struct mt_style *style, int64_t bytes,
                                char text[MT_TOP_FIGURE])
{
    char plain[MT_TOP_FIGURE];

    return figure_signed(bytes, mt_top_bytes(style, figure_size(bytes), plain),
                         text);
}

const char *mt_top_count(const struct mt_style *style, uint64_t n,
                         char text[MT_TOP_FIGURE])
{
    static const char units[] = "kMGTPE";
    uint64_t unit = 1000;
    unsigned i = 0;

    if (style->bytes || n < 1000000) {
        snprintf(text, MT_TOP_FIGURE, "%" PRIu64, n);
        return text;
    }
    while (i < 5 && n / unit >= 10000) {
        unit *= 1000;
        i++;
    }
    snprintf(text, MT_TOP_FIGURE, "%" PRIu64 "%c", n / unit, units[i]);
    return text;
}

const char *mt_top_signed_count(const struct mt_style *style, int64_t n,
                                char text[MT_TOP_FIGURE])
{
    char plain[MT_TOP_FIGURE];

    return figure_signed(n, mt_top_count(style, figure_size(n), plain), text);
}

const char *mt_top_ages(const uint64_t ages[MT_SHOW_AGES], bool utf8,
                        char text[MT_TOP_FIGURE])
{
    uint64_t most = 1;
    char *to = text;

    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        most = ages[i] > most ? ages[i] : most;
    for (unsigned i = 0; i < MT_SHOW_AGES; i++) {
        uint64_t steps = utf8 ? 8 : 9;
        unsigned step =
            (unsigned)(((unsigned __int128)ages[i] * steps + most - 1) / most);
        if (!utf8)
            *to++ = step ? (char)('0' + step) : '.';
        else if (step)
            to += sprintf(to, "\xe2\x96%c", (char)(0x80 + step));
        else
            *to++ = ' ';
    }
    *to = '\0';
    return text;
}

int64_t mt_top_whole(double rate)
{
    if (rate >= 9e18 || rate <= -9e18)
        return rate > 0 ? INT64_MAX : INT64_MIN;
    if (rate > 0 && rate < 1)
        return 1;
    if (rate < 0 && rate > -1)
        return -1;
    return (int64_t)(rate + (rate < 0 ? -0.5 : 0.5));
}
