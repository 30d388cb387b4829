/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy_verdict.c - the one place that decides the result of a search for
 * leaks: from what the policy allows, and what was found and seen.
 */
#include "coreanalyze/check/policy.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/snapshot/allocators.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Adds to the text, with `separator` unless it is empty. */
static __attribute__((format(printf, 3, 4))) void
verdict_add(struct mt_verdict *verdict, const char *separator,
            const char *format, ...)
{
    size_t n = strlen(verdict->why), room = sizeof verdict->why - n;
    va_list list;

    if (n > 0 && room > strlen(separator)) {
        strcpy(verdict->why + n, separator);
        n += strlen(separator);
        room -= strlen(separator);
    }
    va_start(list, format);
    vsnprintf(verdict->why + n, room, format, list);
    va_end(list);
}

static void verdict_add_loss(const struct mt_policy *policy,
                             const struct mt_facts *facts,
                             struct mt_verdict *verdict)
{
    verdict_add(verdict, "", "%" PRIu64 " byte%s in %" PRIu64 " block%s lost",
                facts->failing_bytes, mt_plural(facts->failing_bytes),
                facts->failing_blocks, mt_plural(facts->failing_blocks));
    if (policy->max_bytes)
        verdict_add(verdict, ", ", "%" PRIu64 " allowed", policy->max_bytes);
}

/* Adds leaks that were found and do not count. */
static void verdict_add_uncounted(const struct mt_policy *policy,
                                  const struct mt_facts *facts,
                                  struct mt_verdict *verdict)
{
    if (facts->failing_bytes > 0)
        verdict_add(verdict, "", "%" PRIu64 " bytes lost, %" PRIu64 " allowed",
                    facts->failing_bytes, policy->max_bytes);
    else if (facts->lost_bytes > 0)
        verdict_add(verdict, "",
                    "%" PRIu64 " bytes lost, which do not count by --fail-on "
                    "or --max-per-stack",
                    facts->lost_bytes);
    if (facts->possible_bytes > 0)
        verdict_add(verdict, ", ", "%" PRIu64 " bytes possibly lost",
                    facts->possible_bytes);
    if (facts->suppressed_bytes > 0)
        verdict_add(verdict, ", ", "%" PRIu64 " bytes suppressed",
                    facts->suppressed_bytes);
    if (facts->known_bytes > 0)
        verdict_add(verdict, ", ", "%" PRIu64 " bytes in the baseline",
                    facts->known_bytes);
}

struct mt_verdict mt_policy_decide(const struct mt_policy *policy,
                                   const struct mt_facts *facts)
{
    struct mt_verdict verdict = {.result = MT_RESULT_PASSED};

    if (facts->not_searched) {
        verdict.result = MT_RESULT_NOT_CHECKED;
        verdict_add(&verdict, "", "%s", facts->not_searched);
    } else if (facts->failing_blocks > 0 &&
               (facts->failing_bytes > policy->max_bytes ||
                policy->max_bytes == 0)) { /* blocks may be empty */
        verdict.result = MT_RESULT_LEAKS;
        verdict_add_loss(policy, facts, &verdict);
        if (facts->incomplete)
            verdict_add(&verdict, ", ",
                        "if nothing in memory that was not searched holds "
                        "them");
    } else if (facts->unseen) {
        verdict.result = MT_RESULT_NOT_CHECKED;
        verdict_add(&verdict, "", "%s", facts->unseen);
    } else if (facts->incomplete) {
        verdict.result = MT_RESULT_NOT_CHECKED;
        verdict_add(&verdict, "",
                    "not all memory could be searched: see the notes");
    } else {
        verdict_add_uncounted(policy, facts, &verdict);
    }
    return verdict;
}

static uint64_t facts_sum(const struct mt_show_sum sums[MT_N_LEAK_KINDS])
{
    return sums[MT_LEAK_DEFINITE].bytes + sums[MT_LEAK_INDIRECT].bytes +
           sums[MT_LEAK_POSSIBLE].bytes;
}

struct mt_facts mt_policy_facts(const struct mt_findings_process *process,
                                const struct mt_model *model,
                                const struct mt_leaks *leaks)
{
    struct mt_show_sum definite = mt_leaks_left(leaks, MT_LEAK_DEFINITE);
    struct mt_show_sum indirect = mt_leaks_left(leaks, MT_LEAK_INDIRECT);
    struct mt_show_sum possible = mt_leaks_left(leaks, MT_LEAK_POSSIBLE);
    struct mt_facts facts = {
        .not_searched = leaks->stopped ? "stopped early" : NULL,
        .incomplete = !mt_leaks_complete(model, leaks),
        .lost_bytes = definite.bytes + indirect.bytes,
        .possible_bytes = possible.bytes,
        .suppressed_bytes = facts_sum(leaks->suppressed),
        .known_bytes = facts_sum(leaks->known),
    };

    switch (mt_model_own_malloc(model)) {
    case MT_OWN_MALLOC_NONE:
        break;
    case MT_OWN_MALLOC_HIDDEN:
        facts.unseen = "the program uses a malloc of its own: its blocks are "
                       "not seen; build it without that malloc";
        break;
    case MT_OWN_MALLOC_ALL:
        if (!facts.not_searched)
            facts.not_searched =
                "the program defines malloc itself: none of its blocks are "
                "seen; build it without that malloc";
    }
    if (!facts.not_searched && mt_model_lacks_memory(model))
        facts.not_searched = "out of memory";
    if (process) {
        facts.failing_bytes = process->failing_bytes;
        facts.failing_blocks = process->failing_count;
    } else if (definite.count > 0) {
        facts.failing_bytes = definite.bytes + indirect.bytes;
        facts.failing_blocks = definite.count + indirect.count;
    }
    return facts;
}

enum mt_result mt_policy_decide_all(const uint64_t processes[MT_N_RESULTS])
{
    uint64_t passed = processes[MT_RESULT_PASSED];

    if (processes[MT_RESULT_LEAKS] > 0)
        return MT_RESULT_LEAKS;
    return processes[MT_RESULT_NOT_CHECKED] > 0 || passed == 0
               ? MT_RESULT_NOT_CHECKED
               : MT_RESULT_PASSED;
}
