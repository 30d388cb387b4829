/* SPDX-License-Identifier: BSD-2-Clause
 *
 * when.c - parses a moment (an age, a time of the day, a mark) and finds the
 * range of epochs that it means.
 */
#include "coreanalyze/analyses/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static double unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

struct mt_when mt_when_parse(const char *text)
{
    struct mt_when when = {.kind = MT_WHEN_MARK, .text = text};
    char *end;

    if (isdigit((unsigned char)text[0])) {
        double seconds = strtod(text, &end), unit = unit_seconds(*end);
        if (*end == '\0' || (unit > 0 && end[1] == '\0')) {
            when.kind = MT_WHEN_AGE;
            when.seconds = seconds * (*end ? unit : 1);
        }
    } else if (text[0] == '@' && isdigit((unsigned char)text[1])) {
        errno = 0;
        when.epoch = strtoull(text + 1, &end, 10);
        if (*end == '\0' && errno == 0)
            when.kind = MT_WHEN_EPOCH;
    }
    return when;
}

static bool find_mark(const struct mt_model *model, const char *label,
                      uint64_t before, uint32_t *epoch)
{
    for (size_t i = before < model->n_epochs ? before : model->n_epochs;
         i-- > 0;) {
        const struct mt_epoch *e = &model->epochs[i];
        if (e->mark && e->label && strcmp(e->label, label) == 0) {
            *epoch = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static void find_age(const struct mt_model *model, double seconds,
                     uint32_t *epoch)
{
    double from = (double)model->now_ns - seconds * 1e9;

    *epoch = 0;
    while (*epoch + 1 < model->n_epochs &&
           (double)model->epochs[*epoch].ns < from)
        ++*epoch;
}

bool mt_when_epoch(const struct mt_model *model, const struct mt_when *when,
                   uint64_t before, uint32_t *epoch, struct mt_error *error)
{
    *epoch = 0;
    if (when->kind == MT_WHEN_NOT)
        return true;
    if (when->kind == MT_WHEN_AGE) {
        find_age(model, when->seconds, epoch);
        return true;
    }
    if (find_mark(model, when->text, before, epoch))
        return true;
    if (when->kind == MT_WHEN_EPOCH && when->epoch < model->n_epochs) {
        *epoch = (uint32_t)when->epoch;
        return true;
    }
    if (when->kind == MT_WHEN_EPOCH)
        return mt_fail(error, "the trace has no epoch %s: it has %zu",
                       when->text, model->n_epochs);
    return mt_fail(error, "the trace has no mark '%s'%s", when->text,
                   find_mark(model, when->text, UINT64_MAX, epoch)
                       ? " before the other one"
                       : "; times are written as 90, 90s, 5m, 2h or 1d");
}
