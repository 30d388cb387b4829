/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reader.c - libmemtrace-read's interface over the commands.
 */
#include "config.h"

#include "coreanalyze/source/callbacks.h"
#include "coreanalyze/commands/command.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/reader.h"
#include "coreanalyze/analyses/show.h"
#include "coreanalyze/snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

struct memtrace_reader {
    struct mt_source *source;
    struct memtrace_reader_target target; /* the caller's functions, or all 0 */
    struct mt_progress progress;
    struct mt_strings *names; /* of the caller's symbols */
    struct mt_error error;
    char *text;
    char **values;
};

static bool reader_progress(void *context, const char *step, uint64_t done,
                            uint64_t total)
{
    struct memtrace_reader *reader = context;

    return reader->target.progress(reader->target.context, step, done, total) ==
           0;
}

static bool name_hook(void *context, uint64_t pc, struct mt_frame *frame)
{
    struct memtrace_reader *reader = context;
    struct memtrace_reader_symbol *symbol = calloc(1, sizeof *symbol);
    bool found = false;

    if (symbol && reader->target.symbol(reader->target.context, pc, symbol)) {
        symbol->function[sizeof symbol->function - 1] = '\0';
        symbol->file[sizeof symbol->file - 1] = '\0';
        if (symbol->function[0]) {
            frame->function = mt_strings_add(reader->names, symbol->function,
                                             strlen(symbol->function));
            frame->offset = symbol->offset;
        }
        if (symbol->file[0]) {
            frame->file = mt_strings_add(reader->names, symbol->file,
                                         strlen(symbol->file));
            frame->line = symbol->line;
        }
        found = frame->function || frame->file;
    }
    free(symbol);
    return found;
}

static void give_error(const struct mt_error *from, char *error, size_t bytes)
{
    if (error && bytes > 0)
        snprintf(error, bytes, "%s", from->text);
}

static struct memtrace_reader *open_reader(struct mt_source *source,
                                           struct mt_error *error)
{
    struct memtrace_reader *reader = NULL;

    if (source == NULL)
        return NULL;
    reader = calloc(1, sizeof *reader);
    if (reader)
        reader->names = mt_strings_new();
    if (reader == NULL || reader->names == NULL) {
        mt_source_free(source);
        free(reader);
        return mt_no_memory(error, "the reader"), NULL;
    }
    reader->source = source;
    return reader;
}

API struct memtrace_reader *
memtrace_reader_open(const char *pid_or_core, char *error, size_t error_bytes)
{
    struct mt_error e = {0};
    struct memtrace_reader *reader =
        open_reader(mt_source_open(pid_or_core, &e), &e);

    give_error(&e, error, error_bytes);
    return reader;
}

API struct memtrace_reader *
memtrace_reader_open_target(const struct memtrace_reader_target *target,
                            char *error, size_t error_bytes)
{
    struct mt_error e = {0};
    struct memtrace_reader *reader =
        open_reader(mt_source_open_callbacks(target, &e), &e);

    if (reader)
        reader->target = *target;
    give_error(&e, error, error_bytes);
    return reader;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

API void memtrace_reader_close(struct memtrace_reader *reader)
{
    if (reader == NULL)
        return;
    mt_source_free(reader->source);
    mt_strings_free(reader->names);
    free_list(reader->values);
    free(reader->text);
    free(reader);
}

static struct mt_session session_of(struct memtrace_reader *reader, FILE *out)
{
    struct mt_session session = {
        .target = reader->source,
        .root_symbol = reader->target.root_symbol,
        .out = out,
        .name_context = reader,
    };

    reader->progress = (struct mt_progress){reader_progress, reader};
    if (reader->target.progress)
        session.progress = &reader->progress;
    if (reader->target.symbol)
        session.name_hook = name_hook;
    return session;
}

API int memtrace_reader_run(struct memtrace_reader *reader, int argc,
                            const char *const *argv, const char **text,
                            const char **error)
{
    size_t bytes;
    int status = MT_EXIT_ERROR;
    FILE *out;

    free(reader->text);
    reader->text = NULL;
    out = open_memstream(&reader->text, &bytes);
    memset(&reader->error, 0, sizeof reader->error);
    if (out == NULL) {
        mt_no_memory(&reader->error, "the reader");
    } else if (argc < 1 || mt_command_find(argv[0]) == NULL ||
               !mt_command_find(argv[0])->takes_target) {
        mt_fail(&reader->error, "unknown command '%s'",
                argc > 0 ? argv[0] : "");
    } else {
        struct mt_session session = session_of(reader, out);
        status = mt_session_run(&session, argc, argv, &reader->error);
    }
    if (out && fclose(out) != 0 && status == MT_EXIT_OK) {
        mt_no_memory(&reader->error, "the text");
        status = MT_EXIT_ERROR;
    }
    *text = reader->text ? reader->text : "";
    *error = reader->error.text;
    return status;
}

/* --- what there is --- */

API const char *const *memtrace_reader_verbs(void)
{
    static const char *verbs[32];
    size_t n = 0;

    for (size_t i = 0; mt_commands[i] && n < 31; i++)
        if (mt_commands[i]->takes_target)
            verbs[n++] = mt_commands[i]->name;
    return verbs;
}

API const char *memtrace_reader_help(const char *verb)
{
    static char *helps[32]; /* made when first asked for, kept for good */
    const struct mt_command *command = mt_command_find(verb);
    size_t i = 0, bytes;
    FILE *out;

    if (command == NULL || !command->takes_target)
        return NULL;
    while (mt_commands[i] != command)
        i++;
    if (i >= 32)
        return NULL;
    if (helps[i] == NULL && (out = open_memstream(&helps[i], &bytes)) != NULL) {
        mt_command_help(command, false, out);
        fclose(out);
    }
    return helps[i];
}

API const char *const *memtrace_reader_options(const char *verb)
{
    static const char *names[64];
    const struct mt_command *command = mt_command_find(verb);
    size_t n = 0;

    if (command == NULL)
        return NULL;
    for (size_t i = 0; command->options[i].name && n < 62; i++)
        names[n++] = command->options[i].name;
    names[n++] = "--help";
    names[n] = NULL;
    return names;
}

struct list {
    char **items; /* ended by NULL, or NULL */
    size_t n, capacity;
};

#define MAX_VALUES 1000 /* more than a person completes from */

static void reader_list_add(struct list *list, const char *text)
{
    if (list->n == MAX_VALUES)
        return;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], text) == 0)
            return;
    if (mt_grow(&list->items, &list->capacity, list->n + 2,
                sizeof *list->items) &&
        (list->items[list->n] = strdup(text)) != NULL)
        list->items[++list->n] = NULL;
}

static bool is_moment(const char *option)
{
    return strcmp(option, "--since") == 0 || strcmp(option, "--older") == 0;
}

static void list_values(const struct mt_model *model, const char *option,
                        struct list *list)
{
    if (strcmp(option, "--heap") == 0)
        for (size_t i = 0; i < model->n_heaps; i++)
            if (model->heaps[i].in_use)
                reader_list_add(list, model->heaps[i].name);
    if (is_moment(option))
        for (size_t i = 0; i < model->n_epochs; i++)
            if (model->epochs[i].mark && model->epochs[i].label)
                reader_list_add(list, model->epochs[i].label);
}

static bool takes_value(const char *option)
{
    for (size_t i = 0; mt_commands[i]; i++)
        for (const struct mt_option *o = mt_commands[i]->options; o->name; o++)
            if (mt_commands[i]->takes_target && o->argument &&
                strcmp(o->name, option) == 0)
                return true;
    return false;
}

API const char *const *memtrace_reader_values(struct memtrace_reader *reader,
                                              const char *option)
{
    static const char *const none[] = {NULL};
    struct mt_snapshot_options options = {reader->target.root_symbol, NULL, 0};
    struct list list = {NULL, 0, 0};
    struct mt_model *model;

    if (!takes_value(option))
        return NULL;
    if (strcmp(option, "--sort") == 0)
        return mt_show_sort_names;
    if (strcmp(option, "--heap") != 0 && !is_moment(option))
        return none;
    model = mt_snapshot_take(reader->source, &options, &reader->error);
    if (model)
        list_values(model, option, &list);
    mt_model_free(model);
    free_list(reader->values);
    reader->values = list.items;
    return list.items ? (const char *const *)list.items : none;
}

API const char *memtrace_reader_version(void)
{
    return PACKAGE_VERSION;
}
