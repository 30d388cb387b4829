/* SPDX-License-Identifier: BSD-2-Clause
 *
 * search_options.c - words of options, and targets that stand still.
 */
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/reach/mark_keep.h"

#include <stdlib.h>
#include <string.h>

#define ALL_KINDS ((1u << MT_N_LEAK_KINDS) - 1)

struct word {
    const char *text;
    unsigned bits;
};

/* Words with commas between them; the last entry of the table is {0}. */
static bool search_take_words(const struct mt_args *args,
                              const struct word *words, unsigned *bits,
                              const char *what, struct mt_error *error)
{
    const char *text = args->value;

    *bits = 0;
    for (;;) {
        size_t length = strcspn(text, ","), i = 0;
        while (words[i].text && (strlen(words[i].text) != length ||
                                 memcmp(words[i].text, text, length) != 0))
            i++;
        if (words[i].text == NULL)
            return mt_fail(error, "%s: unknown %s '%.*s'", args->argv[0], what,
                           (int)length, text);
        *bits |= words[i].bits;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

bool mt_parse_kinds(void *member, const struct mt_args *args,
                    struct mt_error *error)
{
    static const struct word words[] = {
        {"definite", 1u << MT_LEAK_DEFINITE},
        {"indirect", 1u << MT_LEAK_INDIRECT},
        {"possible", 1u << MT_LEAK_POSSIBLE},
        {"reachable", 1u << MT_LEAK_REACHABLE},
        {"all", ALL_KINDS},
        {"none", 0},
        {0},
    };

    return search_take_words(
        args, words, member,
        "kind (definite, indirect, possible, reachable, all)", error);
}

bool mt_parse_heuristics(void *member, const struct mt_args *args,
                         struct mt_error *error)
{
    static const struct word words[] = {
        {"stdstring", MT_HEURISTIC_STDSTRING},
        {"length64", MT_HEURISTIC_LENGTH64},
        {"newarray", MT_HEURISTIC_NEWARRAY},
        {"multipleinheritance", MT_HEURISTIC_MULTIPLEINHERITANCE},
        {"cpython", MT_HEURISTIC_CPYTHON},
        {"hashbrown", MT_HEURISTIC_HASHBROWN},
        {"gobject", MT_HEURISTIC_GOBJECT},
        {"ralloc", MT_HEURISTIC_RALLOC},
        {"sqlite", MT_HEURISTIC_SQLITE},
        {"mariadb", MT_HEURISTIC_MARIADB},
        {"zend", MT_HEURISTIC_ZEND},
        {"llvm", MT_HEURISTIC_LLVM},
        {"exception", MT_HEURISTIC_EXCEPTION},
        {"fontconfig", MT_HEURISTIC_FONTCONFIG},
        {"links", MT_HEURISTIC_LINKS},
        {"tagged", MT_HEURISTIC_TAGGED},
        {"interior", MT_HEURISTIC_INTERIOR},
        {"all", MT_HEURISTICS_ALL},
        {"none", 0},
        {0},
    };

    return search_take_words(args, words, member,
                             "heuristic (stdstring, length64, newarray, "
                             "multipleinheritance, cpython, hashbrown, "
                             "gobject, fontconfig, ralloc, sqlite, "
                             "mariadb, zend, llvm, exception, links, tagged, "
                             "all, interior, none)",
                             error);
}

bool mt_take_tag_bits(void *member, const struct mt_args *args,
                      struct mt_error *error)
{
    struct mt_scan_options *scan = member;
    const char *text = args->value;

    for (;;) {
        bool low = strncmp(text, "low=", 4) == 0;
        bool high = strncmp(text, "high=", 5) == 0;
        char *end = NULL;
        unsigned long n =
            low || high ? strtoul(text + (low ? 4 : 5), &end, 10) : 0;
        /* Blocks are aligned to 16 bytes; user addresses have 47 bits. */
        if (!(low || high) || end == text + (low ? 4 : 5) ||
            (*end && *end != ',') || n > (low ? 4 : 17))
            return mt_fail(error,
                           "%s: --tag-bits takes low=N (up to 4) and high=N "
                           "(up to 17), not '%s'",
                           args->argv[0], args->value);
        if (low)
            scan->low_tags = (UINT64_C(1) << n) - 1;
        else
            scan->high_tags = n ? ~(UINT64_MAX >> n) : 0;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
}

static bool search_report(void *context, uint64_t done, uint64_t total)
{
    const struct mt_progress *progress = context;

    return progress->report(progress->context, "following pointers", done,
                            total);
}

void mt_mark_defaults(struct mt_session *session,
                      struct mt_mark_options *options)
{
    memset(options, 0, sizeof *options);
    options->scan.heuristics = MT_HEURISTICS_ALL;
    if (session->progress) {
        options->progress = search_report;
        options->progress_context = (void *)(uintptr_t)session->progress;
    }
}

bool mt_target_captured(struct mt_session *session, const char *command,
                        const char *name, bool stop,
                        const struct mt_scan_options *scan,
                        struct mt_target *target, struct mt_error *error)
{
    struct mt_snapshot_options options = {session->root_symbol,
                                          session->progress, 0};

    if (!mt_target_open(session, command, name, target, error))
        return false;
    if (target->source->process.mini)
        return mt_fail(error,
                       "%s: not checked: a %s has no memory of the program to "
                       "search; it takes the process or a whole core",
                       command,
                       target->source->process.box ? "black box" : "mini-core");
    if (!mt_capture_memory(target->source, &options, scan, stop, error))
        return mt_target_untraced(session, target, error);
    return mt_target_model(session, target, error);
}
