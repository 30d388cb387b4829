/* SPDX-License-Identifier: BSD-2-Clause
 *
 * short_name.c - names of functions as people say them.
 *
 * A demangled name is copied piece by piece.  Brackets nest: template
 * arguments are shortened by the same rules, and those that a container adds
 * by default (its allocator, its hash) are left out.  A name that does not
 * nest properly is copied to its end as it is.
 */
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/system_library.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Deeper nesting is copied as it is. */
#define SHORT_NAME_DEPTH 64

/* The input and the output so far.  The output is never longer, because every
 * rule leaves something out. */
struct short_name {
    const char *in;
    char *out;
    unsigned depth;
};

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Is the argument, which is complete, one that containers have by default? */
static bool is_default_argument(const char *argument)
{
    static const char *const defaults[] = {
        "std::allocator<", "std::char_traits<", "std::less<",
        "std::hash<",      "std::equal_to<",    "std::default_delete<"};

    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (starts_with(argument, defaults[i]))
            return true;
    return false;
}

/* std::basic_string<char> is std::string; so are the streams. */
static char *short_name_alias(char *from, char *end)
{
    static const char prefix[] = "std::basic_", suffix[] = "<char>";
    size_t n = (size_t)(end - from), ends = sizeof suffix - 1;

    for (char *p = from;
         n >= sizeof prefix - 1 + ends && p + sizeof prefix - 1 + ends <= end;
         p++) {
        size_t skip = strlen("basic_");
        char *name = p + strlen("std::");
        if (!starts_with(p, prefix) || (p > from && is_name_char(p[-1])))
            continue;
        if (memcmp(end - ends, suffix, ends) != 0 ||
            memchr(p, '<', (size_t)(end - ends - p)) != NULL)
            continue;
        memmove(name, name + skip, (size_t)(end - ends - name) - skip);
        return end - ends - skip;
    }
    return end;
}

/* Skips a bracket and all inside of it; NULL if it does not end. */
static const char *short_name_skip(const char *in, char open, char close)
{
    unsigned depth = 0;

    for (; *in; in++) {
        depth += *in == open;
        if (*in == close && --depth == 0)
            return in + 1;
    }
    return NULL;
}

/* Does the text written so far end in the word `operator`? */
static bool after_operator(const char *from, const char *end)
{
    static const char word[] = "operator";
    size_t n = sizeof word - 1;

    return end - from >= (ptrdiff_t)n && memcmp(end - n, word, n) == 0 &&
           (end - from == (ptrdiff_t)n ||
            !is_name_char(end[-(ptrdiff_t)n - 1]));
}

/* Copies the symbol after `operator`, the longest that fits. */
static bool short_name_operator(struct short_name *s)
{
    static const char *const symbols[] = {
        "->*", "<=>", "<<=", ">>=", "->", "<<", ">>", "<=", ">=", "==",
        "!=",  "&&",  "||",  "++",  "--", "+=", "-=", "*=", "/=", "%=",
        "^=",  "&=",  "|=",  "<",   ">",  "+",  "-",  "*",  "/",  "%",
        "^",   "&",   "|",   "~",   "!",  "=",  ",",  NULL};

    for (size_t i = 0; symbols[i]; i++)
        if (starts_with(s->in, symbols[i])) {
            s->out = stpcpy(s->out, symbols[i]);
            s->in += strlen(symbols[i]);
            /* The demangler sets a space between `operator<` and `<`. */
            if (starts_with(s->in, " <"))
                s->in++;
            return true;
        }
    return false;
}

static void short_name_copy(struct short_name *s, char *from, bool argument);

/* Template arguments, from '<' to '>'. */
static void short_name_arguments(struct short_name *s)
{
    char *open = s->out;
    bool first = true;

    *s->out++ = *s->in++;
    while (*s->in && *s->in != '>') {
        char *from = s->out;
        if (!first) {
            *s->out++ = ',';
            *s->out++ = ' ';
        }
        char *begin = s->out;
        while (*s->in == ' ')
            s->in++;
        short_name_copy(s, begin, true);
        while (s->out > begin && s->out[-1] == ' ')
            s->out--;
        *s->out = 0;
        if (!first && is_default_argument(begin))
            s->out = from;
        first = false;
        if (*s->in == ',')
            s->in++;
    }
    if (*s->in == '>')
        s->in++;
    *s->out++ = '>';
    /* `<>` of a pack says nothing. */
    if (s->out == open + 2)
        s->out = open;
}

/* An inline namespace or an ABI tag at the input: skips it. */
static bool short_name_noise(struct short_name *s, const char *from)
{
    static const char *const inner[] = {"__cxx11::", "__1::", "__debug::"};

    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        if (starts_with(s->in, inner[i]) && s->out > from &&
            s->out[-1] == ':') {
            s->in += strlen(inner[i]);
            return true;
        }
    if (starts_with(s->in, "[abi:") || starts_with(s->in, "[clone ")) {
        const char *end = strchr(s->in, ']');
        if (end) {
            s->in = end + 1;
            while (s->out > from && s->out[-1] == ' ')
                s->out--;
            return true;
        }
    }
    return false;
}

/* Parameters at the input are skipped; `operator()` and the like stay. */
static bool short_name_parameters(struct short_name *s, const char *from)
{
    static const char anonymous[] = "(anonymous namespace)";
    const char *end;

    if (starts_with(s->in, anonymous)) {
        s->out = stpcpy(s->out, anonymous);
        s->in += sizeof anonymous - 1;
        return true;
    }
    if (after_operator(from, s->out) && s->in[1] == ')') {
        *s->out++ = '(';
        *s->out++ = ')';
        s->in += 2;
        return true;
    }
    end = short_name_skip(s->in, '(', ')');
    if (!end)
        return false;
    s->in = end;
    if (starts_with(s->in, " const"))
        s->in += strlen(" const");
    return true;
}

/* Copies up to the end, or up to what ends a template argument. */
static void short_name_copy(struct short_name *s, char *from, bool argument)
{
    bool deep = ++s->depth > SHORT_NAME_DEPTH;

    while (*s->in) {
        char c = *s->in;
        if (argument && (c == ',' || c == '>'))
            break;
        if (deep) {
            *s->out++ = *s->in++;
        } else if (short_name_noise(s, from)) {
            continue;
        } else if (after_operator(from, s->out) && short_name_operator(s)) {
            if (*s->in == '<')
                short_name_arguments(s);
        } else if (c == '<' && s->out > from &&
                   (is_name_char(s->out[-1]) || s->out[-1] == '}' ||
                    s->out[-1] == '>')) {
            short_name_arguments(s);
            s->out = short_name_alias(from, s->out);
        } else if (c == '(' && !argument && short_name_parameters(s, from)) {
            continue;
        } else if (c == '(' && argument) {
            const char *end = short_name_skip(s->in, '(', ')');
            size_t n = end ? (size_t)(end - s->in) : 1;
            memmove(s->out, s->in, n);
            s->out += n;
            s->in += n;
        } else {
            *s->out++ = *s->in++;
        }
    }
    s->depth--;
}

char *mt_short_name(const char *name)
{
    /* Every piece is copied or left out; ", " may replace ",". */
    char *result = malloc(strlen(name) * 2 + 8);
    struct short_name s = {name, result, 0};

    if (!result)
        return NULL;
    short_name_copy(&s, result, false);
    while (s.out > result && s.out[-1] == ' ')
        s.out--;
    *s.out = 0;
    if (*result == 0)
        strcpy(result, name);
    return result;
}

void mt_short_name_fold(char *name, const char *mark)
{
    size_t n = strlen(mark);
    unsigned depth = 0;
    char *out = name, *open = NULL;

    for (const char *in = name; *in; in++) {
        bool is_operator = after_operator(name, out);
        if (*in == '<' && !is_operator && depth++ == 0) {
            *out++ = '<';
            open = out;
            continue;
        }
        if (*in == '>' && depth > 0 && --depth == 0) {
            /* Only where it is not longer than what it stands for. */
            if ((size_t)(out - open) > n) {
                memcpy(open, mark, n);
                out = open + n;
            }
            *out++ = '>';
            continue;
        }
        *out++ = *in;
    }
    *out = 0;
}

/* --- frames --- */

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

static bool begins_with_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (starts_with(name, *list))
            return true;
    return false;
}

static const char *const starts[] = {"_start",
                                     "__libc_start_main",
                                     "__libc_start_main_impl",
                                     "clone",
                                     "__libc_start_call_main",
                                     "clone3",
                                     "__clone",
                                     "__clone3",
                                     "__GI___clone3",
                                     "start_thread",
                                     "_dl_init",
                                     "call_init",
                                     "thread_start",
                                     "_dl_start_user",
                                     "execute_native_thread_routine",
                                     NULL};
static const char *const namespaces[] = {
    "std::",  "__gnu_cxx::",  "__cxxabiv1::", "boost::",
    "absl::", "operator new", "alloc::",      "<alloc::",
    "core::", "<core::",      "hashbrown::",  "<hashbrown::",
    "<std::", "__rust_",      "__rdl_",       NULL};
static const char *const allocators[] = {"malloc",  "calloc",   "realloc",
                                         "zalloc",  "memalign", "strdup",
                                         "strndup", "memdup",   NULL};

/* Does it allocate for its caller, by its name: zmalloc, PyMem_Malloc,
 * sqlite3DbMallocRaw, g_strdup?  A plain `alloc` may be anything. */
static bool names_allocator(const char *function)
{
    for (size_t i = 0; allocators[i]; i++)
        if (strcasestr(function, allocators[i]))
            return true;
    return false;
}

enum mt_frame_kind mt_frame_kind(const struct mt_frame *frame)
{
    if (frame->function && is_one_of(frame->function, starts))
        return MT_FRAME_START;
    if (frame->module && mt_module_is_library(frame->module))
        return MT_FRAME_LIBRARY;
    /* Inlined out of a header of the system: getchar, for one. */
    if (frame->inlined && frame->file && starts_with(frame->file, "/usr/"))
        return MT_FRAME_LIBRARY;
    if (!frame->function)
        return MT_FRAME_PROGRAM;
    if (begins_with_one_of(frame->function, namespaces))
        return MT_FRAME_LIBRARY;
    return strchr(frame->function, ':') == NULL &&
                   names_allocator(frame->function)
               ? MT_FRAME_WRAPPER
               : MT_FRAME_PROGRAM;
}

size_t mt_frame_title(const struct mt_frame *frames, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (mt_frame_kind(&frames[i]) == MT_FRAME_PROGRAM)
            return i;
    for (size_t i = n; i-- > 0;)
        if (mt_frame_kind(&frames[i]) == MT_FRAME_WRAPPER)
            return i;
    for (size_t i = 0; i < n; i++)
        if (mt_frame_kind(&frames[i]) != MT_FRAME_START)
            return i;
    return 0;
}

size_t mt_frame_own(const struct mt_frame *frames, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum mt_frame_kind kind = mt_frame_kind(&frames[i]);
        if ((kind == MT_FRAME_PROGRAM || kind == MT_FRAME_WRAPPER) &&
            (frames[i].module || frames[i].function))
            return i;
    }
    return n;
}
