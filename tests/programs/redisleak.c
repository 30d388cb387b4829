/* SPDX-License-Identifier: BSD-2-Clause
 *
 * redisleak.c - a redis module that loses blocks, and keeps others:
 *
 *     LEAK.PLANT N    N records, each with a text; the module forgets them
 *     LEAK.KEEP N     the same, but in a table that the module has
 *
 * The few functions of the server that it takes are declared here, as the
 * server's documentation of modules has them.
 */
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 72
#define TEXT_BYTES 1000

struct context; /* of the server; begins with the function that finds others */
struct string;

typedef int command(struct context *, struct string **argv, int argc);
typedef int get_api(const char *name, void *function);

static int (*set_attributes)(struct context *, const char *name, int version,
                             int api_version);
static int (*create_command)(struct context *, const char *name, command *,
                             const char *flags, int first, int last, int step);
static int (*string_to_number)(const struct string *, long long *);
static int (*reply_number)(struct context *, long long);

#define N_OCCUPIED 2000

struct record {
    char *text;
    char rest[RECORD_BYTES - sizeof(char *)];
};

static struct record **table;
static size_t n_kept;
static struct record *volatile occupied[N_OCCUPIED];

static __attribute__((noinline)) struct record *make_record(void)
{
    struct record *r = malloc(sizeof *r);

    memset(r, 0, sizeof *r);
    r->text = malloc(TEXT_BYTES);
    memset(r->text, 'x', TEXT_BYTES);
    return r;
}

static __attribute__((noinline)) void plant_leak(long long n)
{
    while (n-- > 0) {
        struct record *volatile lost = make_record();
        lost = NULL;
        (void)lost;
    }
}

static __attribute__((noinline)) void keep(long long n)
{
    table = realloc(table, (n_kept + (size_t)n) * sizeof *table);
    while (n-- > 0)
        table[n_kept++] = make_record();
}

/* Lua's tables keep the addresses of strings that were freed: the places that
 * are free at the start are not those of the records to come. */
static __attribute__((noinline)) void occupy(void)
{
    for (size_t i = 0; i < N_OCCUPIED; i++)
        occupied[i] = make_record();
}

/* The server's own work overwrites remains of the records below the stack
 * pointer; this does not wait for it. */
static __attribute__((noinline)) void scrub(void)
{
    volatile char below[16384];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

static int run(struct context *context, struct string **argv, int argc,
               void (*what)(long long))
{
    long long n = 0;

    if (argc == 2 && string_to_number(argv[1], &n) == 0 && n > 0)
        what(n);
    scrub();
    return reply_number(context, n);
}

static int plant_command(struct context *context, struct string **argv,
                         int argc)
{
    return run(context, argv, argc, plant_leak);
}

static int keep_command(struct context *context, struct string **argv, int argc)
{
    return run(context, argv, argc, keep);
}

__attribute__((visibility("default"))) int
RedisModule_OnLoad(struct context *context, struct string **argv, int argc);

int RedisModule_OnLoad(struct context *context, struct string **argv, int argc)
{
    get_api *get = *(get_api **)context;

    (void)argv;
    (void)argc;
    if (get("RedisModule_SetModuleAttribs", &set_attributes) != 0 ||
        get("RedisModule_CreateCommand", &create_command) != 0 ||
        get("RedisModule_StringToLongLong", &string_to_number) != 0 ||
        get("RedisModule_ReplyWithLongLong", &reply_number) != 0)
        return 1;
    occupy();
    set_attributes(context, "leak", 1, 1);
    return create_command(context, "leak.plant", plant_command, "", 0, 0, 0) ||
           create_command(context, "leak.keep", keep_command, "", 0, 0, 0);
}
