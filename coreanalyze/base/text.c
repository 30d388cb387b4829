/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text.c - text for people: UTF-8 that is checked, numbers with units,
 * plurals.
 */
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The smallest code point for each length in bytes. */
static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

size_t mt_utf8_length(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = p[0] < 0x80           ? 1
               : (p[0] >> 5) == 0x6  ? 2
               : (p[0] >> 4) == 0xe  ? 3
               : (p[0] >> 3) == 0x1e ? 4
                                     : 0;
    uint32_t code;

    if (n <= 1)
        return p[0] == 0 ? 0 : n;
    code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return n;
}

/* C0, DEL and C1 are control characters. */
static bool is_control(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;

    return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) ||
           (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void mt_put_text(FILE *out, const char *text)
{
    while (*text) {
        size_t n = mt_utf8_length(text);
        if (n == 0 || is_control(text, n)) {
            putc('?', out);
            text += n ? n : 1;
            continue;
        }
        fwrite(text, 1, n, out);
        text += n;
    }
}

void mt_put_size(FILE *out, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    unsigned shift = 0;

    while (shift < 60 && bytes >> shift >= 1024)
        shift += 10;
    if (shift == 0)
        fprintf(out, "%" PRIu64, bytes);
    else if ((bytes & ((UINT64_C(1) << shift) - 1)) == 0)
        fprintf(out, "%" PRIu64 "%c", bytes >> shift, units[shift / 10 - 1]);
    else {
        /* Not by a double: printf would follow the locale. */
        unsigned __int128 hundredths = (unsigned __int128)bytes * 100 >> shift;
        fprintf(out, "%u.%02u%c", (unsigned)(hundredths / 100),
                (unsigned)(hundredths % 100), units[shift / 10 - 1]);
    }
}

const char *mt_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

void mt_put_bytes(FILE *out, uint64_t bytes)
{
    mt_put_count_as(out, "%b", bytes, false);
}

void mt_put_count(FILE *out, const char *text, uint64_t n)
{
    mt_put_count_as(out, text, n, true);
}

void mt_put_count_as(FILE *out, const char *text, uint64_t n, bool exact)
{
    while (*text) {
        size_t plain = strcspn(text, "%{");
        fwrite(text, 1, plain, out);
        text += plain;
        if (*text == '{') {
            const char *many = text + strcspn(text, "|");
            const char *end = many + strcspn(many, "}");
            const char *word = n == 1 ? text + 1 : many + (*many == '|');
            fwrite(word, 1, (size_t)((n == 1 ? many : end) - word), out);
            text = end + (*end == '}');
        } else if (text[0] == '%' && text[1] == 's') {
            fprintf(out, "%" PRIu64, n);
            text += 2;
        } else if (text[0] == '%' && text[1] == 'b') {
            if (exact || n < 1024)
                fprintf(out, "%" PRIu64 " byte%s", n, mt_plural(n));
            else
                mt_put_size(out, n);
            text += 2;
        } else if (*text) {
            putc(*text++, out);
        }
    }
}

/* By the number of edits from each start of `word` to each start of `name`, of
 * which three rows are kept. */
bool mt_is_near(const char *word, const char *name)
{
    enum { MOST = 40 };
    unsigned rows[3][MOST + 1], most;
    size_t n = strlen(word), m = strlen(name);

    if (n > MOST || m > MOST)
        return false;
    most = n < 4 ? 1 : 2;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned fewest = above[j - 1] + (word[i - 1] != name[j - 1]);
            fewest = above[j] + 1 < fewest ? above[j] + 1 : fewest;
            fewest = row[j - 1] + 1 < fewest ? row[j - 1] + 1 : fewest;
            if (i > 1 && j > 1 && word[i - 1] == name[j - 2] &&
                word[i - 2] == name[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < fewest)
                fewest = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = fewest;
        }
    }
    return rows[n % 3][m] <= most;
}

const char *mt_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

uint64_t mt_scan_hex(const char **at)
{
    uint64_t value = 0;

    for (;; (*at)++) {
        unsigned digit = (unsigned char)**at - '0';

        if (digit > 9) {
            digit = ((unsigned char)**at | 0x20) - 'a' + 10;
            if (digit < 10 || digit > 15)
                return value;
        }
        value = value << 4 | digit;
    }
}

uint64_t mt_scan_decimal(const char **at)
{
    uint64_t value = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        value = value * 10 + (uint64_t)(**at - '0');
    return value;
}

char **mt_text_list_copy(const char *const *texts)
{
    char **copy;
    size_t n = 0;

    while (texts[n])
        n++;
    copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(texts[i]);
        if (!copy[i]) {
            mt_text_list_free(copy);
            return NULL;
        }
    }
    return copy;
}

void mt_text_list_free(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}
