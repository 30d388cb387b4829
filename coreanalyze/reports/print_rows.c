/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_rows.c - the figures and the stack of a row, as text.
 *
 * A stack begins at the first frame of the program itself, with the library
 * function that it called in brackets. Callers follow until the row differs
 * from all others.  Frames that start a thread, and libraries between callers,
 * are left out; a mark stands for the latter.
 */
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/frame_text.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/reports/style.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_NAME 10 /* columns */

/* Rows differ at some frame; the ones up to there are shown, but not more. */
#define ROW_CALLERS_MOST 6
#define ROW_CALLERS_LEAST 2
/* Least number of columns for a name, however deep its indent. */
#define ROW_LEAST_COLUMNS 24
/* Of a name that is cut, so much more may be left out to begin with a word. */
#define ROW_WORD_COLUMNS 12
/* If the figures leave less room than this, the stack gets its own lines. */
#define ROW_STACK_COLUMNS 36
#define ROW_STACK_INDENT 10

bool mt_report_is_full(const struct mt_report *report)
{
    return report->style == NULL || report->style->full;
}

const char *mt_figure(const struct mt_report *report, uint64_t bytes,
                      char text[MT_FIGURE_BYTES])
{
    static const char units[] = "KMGTPE";
    unsigned shift = 0;

    if (mt_report_is_full(report) || report->style->bytes || bytes < 1024) {
        snprintf(text, MT_FIGURE_BYTES, "%" PRIu64, bytes);
        return text;
    }
    while (shift < 60 && bytes >> shift >= 1024)
        shift += 10;
    /* Rounded tenths; 1023.96K is 1.0M. Not by a double: printf would follow
     * the locale. */
    uint64_t tenths = (uint64_t)(((unsigned __int128)bytes * 20 +
                                  ((unsigned __int128)1 << shift)) >>
                                 (shift + 1));
    if (tenths >= 10240 && shift < 60) {
        tenths = 10;
        shift += 10;
    }
    if (tenths < 100)
        snprintf(text, MT_FIGURE_BYTES, "%u.%u%c", (unsigned)(tenths / 10),
                 (unsigned)(tenths % 10), units[shift / 10 - 1]);
    else
        snprintf(text, MT_FIGURE_BYTES, "%u%c", (unsigned)((tenths + 5) / 10),
                 units[shift / 10 - 1]);
    return text;
}

const char *mt_figure_bytes(const struct mt_report *report, uint64_t bytes,
                            char text[MT_FIGURE_BYTES])
{
    size_t n = strlen(mt_figure(report, bytes, text));

    if (text[strspn(text, "0123456789")] == '\0')
        snprintf(text + n, MT_FIGURE_BYTES - n, " byte%s", mt_plural(bytes));
    return text;
}

const char *mt_age_text(const struct mt_model *model, uint32_t epoch,
                        char text[MT_FIGURE_BYTES])
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    uint64_t seconds =
        (mt_model_age_ns(model, epoch) + model->idle_ns) / 1000000000;
    unsigned i = 0;

    /* Two of a unit at least: 119s, 2m. */
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(text, MT_FIGURE_BYTES, "%" PRIu64 "%c", seconds / units[i].seconds,
             units[i].unit);
    return text;
}

int mt_row_indent(const struct mt_report *report, int indent)
{
    unsigned width = report->style->width;

    if (width == 0 || (int)width - indent >= ROW_STACK_COLUMNS)
        return indent;
    fprintf(report->out, "\n%*s", ROW_STACK_INDENT, "");
    return ROW_STACK_INDENT;
}

/* --- a stack --- */

struct row_frames {
    struct mt_frame *frames;
    size_t n, capacity;
    bool incomplete; /* out of memory */
};

/* Memory ran out: what is printed is not all, and the command fails. */
static void row_lacks(const struct mt_report *report)
{
    if (report->resolver)
        mt_resolver_lacks(report->resolver);
}

static void row_frames_add(void *context, const struct mt_frame *frame)
{
    struct row_frames *list = context;

    if (list->incomplete || !mt_grow(&list->frames, &list->capacity,
                                     list->n + 1, sizeof *list->frames)) {
        list->incomplete = true;
        return;
    }
    list->frames[list->n++] = *frame;
}

/* The frames of a row.  In the short form libraries of the system show at most
 * the function that was called, unless the row has nothing else. */
static void row_frames_read(const struct mt_report *report,
                            const struct mt_show_row *row,
                            struct row_frames *list)
{
    enum mt_frame_kind kind = MT_FRAME_LIBRARY;

    if (!mt_report_is_full(report)) {
        mt_report_brief_frames(report, row, row_frames_add, list);
        if (list->n > 0)
            kind = mt_frame_kind(
                &list->frames[mt_frame_title(list->frames, list->n)]);
    }
    if (kind == MT_FRAME_PROGRAM || kind == MT_FRAME_WRAPPER)
        return;
    list->n = 0;
    mt_report_frames(report, row, row_frames_add, list);
}

/* Is the frame left out?  Libraries between functions of the program are, such
 * as what std::function needs to call one. */
static bool row_frames_hides(const struct row_frames *list, size_t title,
                             size_t i)
{
    return i > title && mt_frame_kind(&list->frames[i]) == MT_FRAME_LIBRARY &&
           mt_frame_kind(&list->frames[title]) != MT_FRAME_LIBRARY;
}

/* --- callers that distinguish rows --- */

struct row_key {
    size_t row;
    const uint64_t *pcs; /* from the frame that names the row, outwards */
    size_t n;
};

/* Frames that two rows share. */
static size_t row_key_common(const struct row_key *x, const struct row_key *y)
{
    size_t i = 0;

    while (i < x->n && i < y->n && x->pcs[i] == y->pcs[i])
        i++;
    return i;
}

static int row_key_compare(const void *a, const void *b)
{
    const struct row_key *x = a, *y = b;
    size_t i = row_key_common(x, y);

    if (i == x->n || i == y->n)
        return (x->n > i) - (y->n > i);
    return x->pcs[i] < y->pcs[i] ? -1 : 1;
}

/* The pcs of the frames of a row that are shown, in memory of its own. */
static bool row_key_of(const struct mt_report *report,
                       const struct mt_show_row *row, struct row_key *key)
{
    struct row_frames list = {0};
    uint64_t *pcs;
    size_t title, n = 0;
    bool shown = false;

    row_frames_read(report, row, &list);
    pcs = malloc((list.n + 1) * sizeof *pcs);
    if (!pcs || list.incomplete) {
        free(pcs);
        free(list.frames);
        return false;
    }
    title = list.n > 0 ? mt_frame_title(list.frames, list.n) : 0;
    /* Inlined frames share a pc with the function that they are in. */
    for (size_t i = title; i < list.n; i++) {
        shown |= !row_frames_hides(&list, title, i);
        if (list.frames[i].inlined)
            continue;
        if (shown)
            pcs[n++] = list.frames[i].pc;
        shown = false;
    }
    free(list.frames);
    *key = (struct row_key){key->row, pcs, n};
    return true;
}

static void row_keys_free(struct row_key *keys, size_t n)
{
    for (size_t i = 0; keys && i < n; i++)
        free((void *)(uintptr_t)keys[i].pcs);
    free(keys);
}

unsigned *mt_row_callers(const struct mt_report *report,
                         const struct mt_show_row *rows, size_t n)
{
    struct row_key *keys = calloc(n + 1, sizeof *keys);
    unsigned *callers = calloc(n + 1, sizeof *callers);
    bool ok = keys && callers;

    for (size_t i = 0; ok && i < n; i++) {
        keys[i].row = i;
        callers[i] = ROW_CALLERS_LEAST;
        ok = row_key_of(report, &rows[i], &keys[i]);
    }
    if (ok)
        qsort(keys, n, sizeof *keys, row_key_compare);
    for (size_t i = 0; ok && i + 1 < n; i++) {
        size_t common = row_key_common(&keys[i], &keys[i + 1]);
        unsigned *x = &callers[keys[i].row], *y = &callers[keys[i + 1].row];
        if (common > ROW_CALLERS_MOST)
            common = ROW_CALLERS_MOST;
        *x = *x < common ? (unsigned)common : *x;
        *y = *y < common ? (unsigned)common : *y;
    }
    row_keys_free(keys, n);
    if (!ok) {
        row_lacks(report);
        free(callers);
        return NULL;
    }
    return callers;
}

/* --- for a person --- */

/* Code points, one column each. */
static size_t text_columns(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static char *row_frame_name(const struct mt_frame *frame)
{
    static const char *const libc_prefixes[] = {"__GI_", "_IO_new_", "_IO_"};
    const char *function = frame->function;
    char *name = NULL;

    /* glibc's own names for what programs call: __GI__IO_puts is puts. */
    for (size_t i = 0; function && frame->module &&
                       strncmp(mt_base_name(frame->module), "libc", 4) == 0 &&
                       i < sizeof libc_prefixes / sizeof *libc_prefixes;
         i++) {
        size_t n = strlen(libc_prefixes[i]);
        if (strncmp(function, libc_prefixes[i], n) == 0 && function[n])
            function += n;
    }
    if (function)
        return mt_short_name(function);
    if ((frame->module
             ? asprintf(&name, "%s+0x%" PRIx64, mt_base_name(frame->module),
                        frame->module_offset)
             : asprintf(&name, "0x%" PRIx64, frame->pc)) < 0)
        return NULL;
    return name;
}

/* The place of the frame: its line, or its library. */
static char *row_frame_where(const struct mt_report *report,
                             const struct mt_frame *frame)
{
    const char *exe = report->model ? report->model->source->process.exe : NULL;
    char *where = NULL;
    int n = 0;

    if (frame->file && frame->line)
        n = asprintf(&where, "%s:%u", mt_base_name(frame->file), frame->line);
    else if (frame->file)
        n = asprintf(&where, "%s", mt_base_name(frame->file));
    else if (frame->function && frame->module &&
             !(exe && strcmp(exe, frame->module) == 0))
        n = asprintf(&where, "(%s)", mt_base_name(frame->module));
    else
        where = strdup("");
    return n < 0 ? NULL : where;
}

/* Does a name's end close template arguments that it does not open? */
static bool name_is_inside(const char *end)
{
    int depth = 0;

    for (; *end; end++) {
        depth += *end == '<';
        if (*end == '>' && end[1] != '=' && depth-- == 0)
            return true;
    }
    return false;
}

/* The next scope or folder of the rest of a name, if it is near: half a word
 * says less than none. */
static const char *name_next_word(const char *rest)
{
    const char *at;

    if (rest[0] == ':' && rest[1] != ':')
        rest++; /* the half of a :: */
    for (at = rest; *at && at - rest < ROW_WORD_COLUMNS; at++) {
        bool scope = at[0] == ':' && at[1] == ':' && at[2];
        if ((scope || (at[0] == '/' && at[1])) && !name_is_inside(at))
            return at;
    }
    return rest;
}

/* The end of a name in that many columns: it says more than the start.  Returns
 * how many it took. */
static size_t put_cut(const struct mt_report *report, const char *name,
                      size_t columns)
{
    size_t all = text_columns(name), mark = 0;

    if (all > columns) {
        mark = text_columns(report->style->ellipsis);
        fputs(report->style->ellipsis, report->out);
        for (size_t skip = all - (columns > mark ? columns - mark : 0);
             skip > 0 && *name; skip--)
            do
                name++;
            while (((unsigned char)*name & 0xc0) == 0x80);
        name = name_next_word(name);
    }
    mt_put_text(report->out, name);
    return mark + text_columns(name);
}

/* Columns from `column` to the end of the line. */
static size_t line_room(const struct mt_report *report, int column)
{
    unsigned width = report->style ? report->style->width : 0;

    if (mt_report_is_full(report) || width == 0)
        return SIZE_MAX;
    return (int)width > column + LEAST_NAME ? (size_t)((int)width - column)
                                            : LEAST_NAME;
}

void mt_put_in_line(const struct mt_report *report, const char *name,
                    int column)
{
    put_cut(report, name, line_room(report, column));
}

void mt_put_function_in_line(const struct mt_report *report,
                             const char *function, int column)
{
    char *name = mt_report_is_full(report) ? NULL : mt_short_name(function);

    if (name && text_columns(name) > line_room(report, column))
        mt_short_name_fold(name, report->style->ellipsis);
    mt_put_in_line(report, name ? name : function, column);
    free(name);
}

static void put_escape(const struct mt_report *report, const char *code)
{
    if (report->style->colour)
        fprintf(report->out, "\033[%sm", code);
}

size_t mt_print_frame(const struct mt_report *report,
                      const struct mt_frame *frame, size_t columns, bool title)
{
    char *name = row_frame_name(frame), *where = row_frame_where(report, frame);
    size_t room = columns, place = where ? text_columns(where) : 0, used = 0;

    if (!name || !where) {
        row_lacks(report);
        fputs("(out of memory)", report->out);
        free(name);
        free(where);
        return columns;
    }
    if (place > 0 && place + 2 + ROW_LEAST_COLUMNS / 2 < columns)
        room -= place + 2;
    else
        place = 0;
    if (text_columns(name) > room)
        mt_short_name_fold(name, report->style->ellipsis);
    if (title)
        put_escape(report, "1");
    used = put_cut(report, name, room);
    if (title)
        put_escape(report, "0");
    if (place > 0) {
        fputs("  ", report->out);
        put_escape(report, "2");
        mt_put_text(report->out, where);
        put_escape(report, "0");
        used += place + 2;
    }
    free(name);
    free(where);
    return used;
}

void mt_print_callee(const struct mt_report *report,
                     const struct mt_frame *frame, size_t used, size_t columns,
                     int indent)
{
    char *name = row_frame_name(frame);

    if (!name) {
        row_lacks(report);
        return;
    }
    if (used + 3 + text_columns(name) > columns)
        mt_short_name_fold(name, report->style->ellipsis);
    if (used + 3 + text_columns(name) > columns)
        fprintf(report->out, "\n%*s  [", indent, "");
    else
        fputs(" [", report->out);
    put_cut(report, name, columns - 4);
    putc(']', report->out);
    free(name);
}

static void put_short_stack(const struct mt_report *report,
                            const struct row_frames *list, int indent,
                            unsigned callers)
{
    const char *mark = report->style->ellipsis;
    size_t columns = report->style->width, title, used, shown = 0;
    size_t physical = 0, prefix = (size_t)indent + 2;
    bool named = true, hidden = false;

    columns = columns == 0                           ? 100000
              : columns < prefix + ROW_LEAST_COLUMNS ? ROW_LEAST_COLUMNS
                                                     : columns - prefix + 2;
    title = mt_frame_title(list->frames, list->n);
    used = mt_print_frame(report, &list->frames[title], columns, true);
    if (title > 0)
        mt_print_callee(report, &list->frames[title - 1], used, columns,
                        indent);
    putc('\n', report->out);
    if (!list->frames[title].inlined) {
        physical = 1;
        named = false;
    }
    for (size_t i = title + 1; i < list->n; i++) {
        const struct mt_frame *frame = &list->frames[i];
        if (mt_frame_kind(frame) == MT_FRAME_START ||
            (physical > callers && shown > 0))
            break;
        if (row_frames_hides(list, title, i)) {
            hidden = true;
        } else {
            fprintf(report->out, "%*s  %s%s", indent, "", hidden ? mark : "",
                    hidden ? " " : "");
            mt_print_frame(report, frame,
                           columns - 2 - (hidden ? text_columns(mark) + 1 : 0),
                           false);
            putc('\n', report->out);
            shown++;
            named = true;
            hidden = false;
        }
        if (!frame->inlined) {
            physical += named;
            named = false;
        }
    }
}

/* --- the whole form --- */

static void put_full_stack(const struct mt_report *report,
                           const struct row_frames *list, int indent)
{
    FILE *out = report->out;

    for (size_t i = 0; i < list->n; i++) {
        const struct mt_frame *frame = &list->frames[i];
        if (i > 0)
            fprintf(out, "%*s", indent, "");
        mt_put_frame(out, frame);
        if (frame->inlined)
            fputs(" (inlined)", out);
        if (frame->file) {
            fputs(" at ", out);
            mt_put_text(out, mt_base_name(frame->file));
            if (frame->line)
                fprintf(out, ":%u", frame->line);
        }
        putc('\n', out);
    }
}

/* Why a stack has no frames, or no more of them; NULL: it is whole. */
static const char *stack_remark(const struct mt_report *report,
                                const struct mt_show_row *row, bool empty)
{
    const struct mt_stack *stack = &report->model->stacks[row->stack];

    if (row->stack == MT_ID_OVERFLOW)
        return "(the stack table was full)";
    if (row->stack == MT_ID_UNTRACED)
        return "(allocated while tracing was off)";
    if (row->stack == MT_ID_UNSAMPLED)
        return "(not in the sample)";
    if (empty)
        return "(the frames could not be read)";
    if (row->depth == stack->depth && stack->truncated)
        return "(truncated)";
    if (row->depth == stack->depth && stack->incomplete)
        return "(no unwinding rule from here on)";
    return NULL;
}

void mt_print_row_stack(const struct mt_report *report,
                        const struct mt_show_row *row, int indent,
                        unsigned callers)
{
    struct row_frames list = {0};
    const char *remark;

    row_frames_read(report, row, &list);
    remark = stack_remark(report, row, list.n == 0);
    if (list.incomplete)
        row_lacks(report);
    if (list.n > 0 && mt_report_is_full(report))
        put_full_stack(report, &list, indent);
    else if (list.n > 0)
        put_short_stack(report, &list, indent, callers);
    if (remark && (mt_report_is_full(report) || list.n == 0))
        fprintf(report->out, "%*s%s\n", list.n == 0 ? 0 : indent, "", remark);
    free(list.frames);
}

void mt_print_row_frames(const struct mt_report *report,
                         const struct mt_show_row *row, int indent)
{
    mt_print_row_stack(report, row, indent, MT_ROW_CALLERS);
}
