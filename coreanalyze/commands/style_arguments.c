/* SPDX-License-Identifier: BSD-2-Clause
 *
 * style_arguments.c - how text looks: by the options, the environment, and the
 * terminal that it goes to.
 */
#include "coreanalyze/commands/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STYLE_USUAL_WIDTH 80

unsigned mt_terminal_columns(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    int fd = fileno(out);
    unsigned n = columns ? (unsigned)strtoul(columns, NULL, 10) : 0;

    if (fd < 0 || !isatty(fd))
        return 0;
    if (n == 0 && ioctl(fd, TIOCGWINSZ, &size) == 0)
        n = size.ws_col;
    return n ? n : STYLE_USUAL_WIDTH;
}

static unsigned terminal_width(FILE *out)
{
    unsigned columns = mt_terminal_columns(out);

    return columns ? columns : STYLE_USUAL_WIDTH;
}

/* Does the locale of the environment have UTF-8? */
static bool has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static bool wants_colour(const char *when, FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    int fd = fileno(out);

    if (when && strcmp(when, "auto") != 0)
        return strcmp(when, "always") == 0;
    return !(no_color && *no_color) && fd >= 0 && isatty(fd) &&
           !(term && strcmp(term, "dumb") == 0);
}

bool mt_arguments_style(const struct mt_style_arguments *arguments, FILE *out,
                        struct mt_style *style, struct mt_error *error)
{
    const char *when = arguments->colour;
    char *end = NULL;
    unsigned long width = 0;

    if (when && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 &&
        strcmp(when, "never") != 0)
        return mt_fail(error,
                       "unknown value '%s' of --color: expected auto, "
                       "always or never",
                       when);
    if (arguments->width) {
        errno = 0;
        width = strtoul(arguments->width, &end, 10);
        if (*arguments->width < '0' || *arguments->width > '9' || *end ||
            errno || width > 100000)
            return mt_fail(error,
                           "invalid number '%s' of --width: expected 0 to "
                           "100000 columns",
                           arguments->width);
    }
    *style = (struct mt_style){
        .full = arguments->full,
        .bytes = arguments->bytes,
        .colour = wants_colour(when, out),
        .width = arguments->width ? (unsigned)width : terminal_width(out),
        .utf8 = has_utf8(),
        .ellipsis = has_utf8() ? "\xe2\x80\xa6" : "...",
    };
    return true;
}

FILE *mt_session_file(const struct mt_session *session)
{
    return session->fold.kept ? session->fold.real : session->out;
}

bool mt_session_style(const struct mt_session *session,
                      const struct mt_style_arguments *arguments,
                      struct mt_style *style, struct mt_error *error)
{
    return mt_arguments_style(arguments, mt_session_file(session), style,
                              error);
}
