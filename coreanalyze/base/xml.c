/* SPDX-License-Identifier: BSD-2-Clause
 *
 * xml.c - text as XML can carry it: what XML forbids is replaced.
 */
#include "coreanalyze/base/xml.h"
#include "coreanalyze/base/text.h"

#include <stdbool.h>
#include <string.h>

static bool is_character(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];

    if (n == 1)
        return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
    /* U+FFFE and U+FFFF. */
    return n > 1 && !(n == 3 && c == 0xef && (unsigned char)text[1] == 0xbf &&
                      (unsigned char)text[2] >= 0xbe);
}

void mt_xml_put(FILE *out, const char *text)
{
    while (*text) {
        size_t n = mt_utf8_length(text);
        if (!is_character(text, n))
            fputs("\xef\xbf\xbd", out);
        else if (n == 1 && strchr("&<>\"'\t\n\r", *text))
            fprintf(out, "&#%u;", (unsigned)*text);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
    }
}

void mt_xml_element(FILE *out, const char *indent, const char *tag,
                    const char *text)
{
    fprintf(out, "%s<%s>", indent, tag);
    mt_xml_put(out, text);
    fprintf(out, "</%s>\n", tag);
}
