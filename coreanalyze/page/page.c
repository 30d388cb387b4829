/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page.c - writes the file of a page around its data.
 */
#include "coreanalyze/page/page.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/page/page_files.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void page_put_file(FILE *out, const char *from, const char *end)
{
    fwrite(from, 1, (size_t)(end - from), out);
}

/* Text between tags. */
static void page_put_text(FILE *out, const char *text)
{
    while (*text) {
        size_t n = mt_utf8_length(text);
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (n == 0 || (unsigned char)*text < 0x20)
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
    }
}

bool mt_page_begin(struct mt_page *page, FILE *out, const char *path,
                   const char *title, struct mt_error *error)
{
    uint8_t random[16];

    page->out = out;
    page->path = path;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return mt_fail(error, "no random bytes for the page");
    for (unsigned i = 0; i < sizeof random; i++)
        snprintf(page->nonce + 2 * i, 3, "%02x", random[i]);
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
            "<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\""
            "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
            "base-uri 'none'; form-action 'none'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n"
            "<meta name=\"generator\" content=\"memtrace\">\n<title>",
            page->nonce, page->nonce);
    page_put_text(out, title);
    fprintf(out, "</title>\n<style nonce=\"%s\">\n", page->nonce);
    page_put_file(out, mt_page_style, mt_page_style_end);
    fputs("</style>\n</head>\n<body>\n", out);
    page_put_file(out, mt_page_body, mt_page_body_end);
    return true;
}

/* --- data --- */

/* Between strings, JSON has no `<`; inside, it may have the escape. */
static ssize_t page_write(void *cookie, const char *data, size_t bytes)
{
    FILE *out = cookie;
    size_t from = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != '<')
            continue;
        fwrite(data + from, 1, i - from, out);
        fputs("\\u003c", out);
        from = i + 1;
    }
    fwrite(data + from, 1, bytes - from, out);
    return ferror(out) ? 0 : (ssize_t)bytes;
}

FILE *mt_page_data(struct mt_page *page, const char *id, struct mt_error *error)
{
    const cookie_io_functions_t functions = {.write = page_write};
    FILE *data = fopencookie(page->out, "w", functions);

    if (!data) {
        mt_no_memory(error, "the page");
        return NULL;
    }
    fprintf(page->out, "<script type=\"application/json\" id=\"%s\">", id);
    return data;
}

bool mt_page_data_end(struct mt_page *page, FILE *data, struct mt_error *error)
{
    bool ok = fclose(data) == 0;
    int number = errno;

    fputs("</script>\n", page->out);
    return ok ||
           mt_fail(error, "cannot write %s: %s", page->path, strerror(number));
}

void mt_page_end(struct mt_page *page)
{
    fprintf(page->out, "<script nonce=\"%s\">\n\"use strict\";\n(() => {\n",
            page->nonce);
    page_put_file(page->out, mt_page_script, mt_page_script_end);
    fputs("})();\n</script>\n</body>\n</html>\n", page->out);
}
