/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which module a frame is in, and what it is called: addresses that were given
 * to one module after the other, and code under signal handlers.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/symbols/symbolize.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct image *image;
static struct plan plan;
static struct mt_source *source;
static struct mt_model *model;
static struct mt_error error;

static void start(void)
{
    image = image_planned(&plan);
}

static void take(void)
{
    const struct mt_snapshot_options none = {0};

    memset(&error, 0, sizeof error);
    model = NULL;
    source = mt_source_open_core(image_core(image, 0), &error);
    if (source)
        model = mt_snapshot_take(source, &none, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
}

static void end(void)
{
    mt_model_free(model);
    mt_source_free(source);
    image_free(image);
}

static bool module_is(uint64_t address, uint32_t modules, const char *path)
{
    const struct mt_module *m = mt_model_module(model, address, modules);

    if (m == NULL || path == NULL)
        return m == NULL && path == NULL;
    return m->path && strcmp(m->path, path) == 0;
}

/* Times prove nothing: a module may be found long after it was loaded. */
static void last_of_those_listed(void)
{
    struct mt_module_record *m;

    start(); /* record 0 is the program's */
    image_module(image, 0x900000, 0x901000, "/old.so");
    m = IMAGE_RECORD(image, MODULES, mt_module_record,
                     image_module(image, 0x900000, 0x902000, "/new.so"));
    m->loaded_ns = IMAGE_START_NS - 100;
    image_module(image, 0x901800, 0x903000, "/newest.so");
    take();
    CU_ASSERT(module_is(0x900010, 1, NULL));
    CU_ASSERT(module_is(0x900010, 2, "/old.so"));
    CU_ASSERT(module_is(0x900010, 3, "/new.so"));
    CU_ASSERT(module_is(0x900010, 4, "/new.so"));
    CU_ASSERT(module_is(0x901010, 2, NULL));
    CU_ASSERT(module_is(0x901010, 3, "/new.so"));
    CU_ASSERT(module_is(0x901810, 3, "/new.so"));
    CU_ASSERT(module_is(0x901810, 4, "/newest.so"));
    CU_ASSERT(module_is(0x902fff, 4, "/newest.so"));
    CU_ASSERT(module_is(0x903000, 4, NULL));
    end();
}

/* Counts are of records, also of those that are passed over. */
static void damaged_and_unfinished_ones_count(void)
{
    start();
    IMAGE_RECORD(image, MODULES, mt_module_record,
                 image_module(image, 0x900000, 0x901000, "/damaged.so"))
        ->build_id_bytes = 99;
    image_module(image, 0x900000, 0x901000, "/old.so");
    image_module(image, 0x900000, 0, "/unfinished.so");
    image_module(image, 0x900000, 0x901000, "/new.so");
    take();
    CU_ASSERT_EQUAL(model->coverage.skipped_modules, 1);
    CU_ASSERT(module_is(0x900010, 2, NULL));
    CU_ASSERT(module_is(0x900010, 3, "/old.so"));
    CU_ASSERT(module_is(0x900010, 4, "/old.so"));
    CU_ASSERT(module_is(0x900010, 5, "/new.so"));
    end();
}

static void what_is_there_now(void)
{
    start();
    /* The core's own list has /nowhere/mapped at IMAGE_HEAP. */
    IMAGE_RECORD(image, MODULES, mt_module_record,
                 image_module(image, IMAGE_HEAP, IMAGE_HEAP + 4096, "/gone.so"))
        ->unloaded_ns = IMAGE_START_NS + 5;
    image_module(image, 0x900000, 0x901000, "/there.so");
    take();
    CU_ASSERT(module_is(IMAGE_HEAP + 8, 2, "/gone.so"));
    CU_ASSERT(!module_is(IMAGE_HEAP + 8, 1, "/gone.so"));
    if (mt_source_module(source, IMAGE_HEAP + 8))
        CU_ASSERT(!module_is(IMAGE_HEAP + 8, MT_MODULES_NOW, "/gone.so"));
    CU_ASSERT(module_is(0x900010, MT_MODULES_NOW, "/there.so"));
    /* A stack that is newer than the list as it was read. */
    CU_ASSERT(module_is(0x900010, 4, "/there.so"));
    end();
}

static void one_module_listed_twice(void)
{
    uint32_t gone;

    start();
    gone = image_module(image, 0x900000, 0x901000, "/one.so");
    image_module(image, 0x900000, 0x901000, "/one.so");
    image_module(image, 0x900000, 0x901000, "/two.so");
    take();
    CU_ASSERT_EQUAL(gone, 1);
    CU_ASSERT_EQUAL(mt_model_module_id(model, 0x900010, 2),
                    mt_model_module_id(model, 0x900010, 3));
    CU_ASSERT_NOT_EQUAL(mt_model_module_id(model, 0x900010, 3),
                        mt_model_module_id(model, 0x900010, 4));
    CU_ASSERT_EQUAL(mt_model_module_id(model, 0x900010, 1), 0);
    end();
}

/* Stacks with the same frames are merged if those are in the same modules. */
static void merging(void)
{
    const uint64_t frames[2] = {0x900010, 0x900020};
    const uint32_t counts[] = {2, 2, 3};
    struct mt_show_options options = {.depth = 1};
    struct mt_show show = {0};
    size_t n = 0;

    start();
    image_module(image, 0x900000, 0x901000, "/one.so");
    image_module(image, 0x900000, 0x901000, "/two.so");
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t id = image_stack(image, 2, frames);
        IMAGE_RECORD(image, STACKS, mt_stack_record, id)->modules = counts[i];
        image_block(image, plan.bits, 20 + i, id, 0, 10);
    }
    take();
    CU_ASSERT(mt_show_run(model, &options, &show, &error));
    for (size_t i = 0; i < show.n_rows; i++) {
        uint32_t modules = model->stacks[show.rows[i].stack].modules;
        if (show.rows[i].heap != plan.heap || modules < 2)
            continue;
        CU_ASSERT_EQUAL(show.rows[i].count, modules == 2 ? 2 : 1);
        n++;
    }
    CU_ASSERT_EQUAL(n, 2);
    mt_show_free(&show);
    end();
}

/* --- names: libc is the module --- */

static void ignore(int number)
{
    (void)number;
}

/* The address that handlers return to, as the kernel gets it. */
static uint64_t restorer(void)
{
    struct sigaction action = {.sa_handler = ignore};
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } kernel = {0};

    /* libc's: before glibc 2.34 libpthread has one too. */
    int (*set)(int, const struct sigaction *, struct sigaction *);
    *(void **)&set =
        dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), "sigaction");
    set(SIGUSR1, &action, NULL);
    syscall(SYS_rt_sigaction, SIGUSR1, NULL, &kernel, 8);
    return (uint64_t)(uintptr_t)kernel.restorer;
}

static struct link_map *libc_map(void)
{
    uint64_t pc = (uint64_t)(uintptr_t)&getpid;
    struct link_map *found = NULL;

    for (struct link_map *m = _r_debug.r_map; m; m = m->l_next)
        if (m->l_addr <= pc && (!found || m->l_addr > found->l_addr))
            found = m;
    return found;
}

static struct {
    unsigned n;
    struct mt_frame frames[8];
} visited;

static void note_frame(void *context, const struct mt_frame *frame)
{
    (void)context;
    if (visited.n < 8)
        visited.frames[visited.n] = *frame;
    visited.n++;
}

/* The frames of a stack in libc: `second` is the second one. */
static void visit_stack(uint64_t second)
{
    uint64_t in_libc = (uint64_t)(uintptr_t)&getppid;
    const uint64_t frames[4] = {in_libc + 4, second, in_libc, in_libc + 4};
    struct mt_show_row row = {.depth = 4};
    const struct link_map *libc = libc_map();
    uint32_t id;

    start();
    image_module(image, libc->l_addr, libc->l_addr + (4 << 20), libc->l_name);
    id = row.stack = image_stack(image, 4, frames);
    IMAGE_RECORD(image, STACKS, mt_stack_record, id)->modules = 2;
    take();
    struct mt_resolver *resolver =
        mt_resolver_new(model, &(struct mt_resolver_options){0});
    struct mt_report report = {model, NULL, resolver, stdout, NULL, NULL};
    visited.n = 0;
    mt_report_frames(&report, &row, note_frame, NULL);
    CU_ASSERT_EQUAL_FATAL(visited.n, 4);
    /* The strings go with the resolver. */
    for (unsigned i = 0; i < 4; i++)
        if (visited.frames[i].function)
            visited.frames[i].function = strdup(visited.frames[i].function);
    mt_resolver_free(resolver);
    end();
}

static void forget_frames(void)
{
    for (unsigned i = 0; i < 4; i++)
        free((char *)(uintptr_t)visited.frames[i].function);
}

/* libc's symbol table has other names for its functions: __GI_getpid. */
static bool frame_is(unsigned i, const char *function, uint64_t offset)
{
    const char *name = visited.frames[i].function;

    return name && strlen(name) >= strlen(function) &&
           strcmp(name + strlen(name) - strlen(function), function) == 0 &&
           visited.frames[i].offset == offset;
}

static void below_a_signal_frame(void)
{
    visit_stack(restorer());
    CU_ASSERT(frame_is(0, "getppid", 4));
    CU_ASSERT(frame_is(1, "<signal handler called>", 0));
    CU_ASSERT(frame_is(2, "getppid", 0)); /* it was about to run */
    CU_ASSERT(frame_is(3, "getppid", 4));
    forget_frames();
}

static void below_a_call(void)
{
    visit_stack((uint64_t)(uintptr_t)&getpid + 4);
    CU_ASSERT(frame_is(1, "getpid", 4));
    CU_ASSERT(!frame_is(2, "getppid", 0)); /* a call before it */
    forget_frames();
}

/* --- more debug information than may be held --- */

#define UNITS 60u
#define LINES 400

/* A library of many units, each with a function of many lines. */
static char *many_units(char *folder)
{
    char *path = NULL, *command = NULL;
    bool built = true;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    for (unsigned i = 0; i < UNITS; i++) {
        char name[64];
        FILE *file;
        snprintf(name, sizeof name, "%s/u%u.c", folder, i);
        file = fopen(name, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        fprintf(file, "int f%u(int n)\n{\n", i);
        for (int line = 0; line < LINES; line++)
            fprintf(file, "    n = n * %d + %u;\n", line + 2, i);
        fputs("    return n;\n}\n", file);
        built &= fclose(file) == 0;
    }
    built &= asprintf(&command,
                      "cd %s && for u in u*.c; do ${CC:-cc} -g -O0 -fPIC -c "
                      "$u || exit 1; done && ${CC:-cc} -shared -o many.so u*.o",
                      folder) > 0 &&
             asprintf(&path, "%s/many.so", folder) > 0;
    CU_ASSERT_FATAL(built && system(command) == 0);
    free(command);
    return path;
}

static void remove_folder(const char *folder)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

/* A model with a stack for each function of the library. */
static void *take_units(const char *path, uint64_t pcs[UNITS])
{
    void *library = dlopen(path, RTLD_NOW);
    struct link_map *map = NULL;

    CU_ASSERT_FATAL(library && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
    start();
    image_module(image, map->l_addr, map->l_addr + (1 << 20), path);
    for (unsigned i = 0; i < UNITS; i++) {
        char name[16];
        uint32_t id;
        snprintf(name, sizeof name, "f%u", i);
        pcs[i] = (uint64_t)(uintptr_t)dlsym(library, name) + 40;
        id = image_stack(image, 1, &pcs[i]);
        IMAGE_RECORD(image, STACKS, mt_stack_record, id)->modules = 2;
    }
    take();
    return library;
}

/* Asks for all functions in an order that goes from unit to unit; returns how
 * often something was dropped in the second half. */
static unsigned ask_units(struct mt_symbolizer *symbols, uint64_t pcs[UNITS])
{
    const struct mt_resolver_options options = {.modules = symbols};
    struct mt_resolver *resolver = mt_resolver_new(model, &options);
    unsigned dropped = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(resolver);
    for (unsigned i = 0; i < UNITS; i++) {
        unsigned unit = i * 7 % UNITS;
        size_t before = mt_symbolizer_memory(symbols);
        struct mt_pc at = {pcs[unit], 2, false};
        struct mt_resolved found = mt_resolve(resolver, &at);
        char name[16];
        snprintf(name, sizeof name, "f%u", unit);
        CU_ASSERT(found.n == 1 && found.frames[0].function &&
                  strcmp(found.frames[0].function, name) == 0);
        CU_ASSERT(found.frames[0].line > 0);
        if (i >= UNITS / 2)
            dropped += mt_symbolizer_memory(symbols) < before;
    }
    CU_ASSERT(mt_resolver_is_whole(resolver));
    mt_resolver_free(resolver);
    return dropped;
}

/* Each unit would be read again for each question; all are named in order. */
static void more_than_may_be_held(void)
{
    char folder[] = "/tmp/unit_resolve.XXXXXX";
    char *path = many_units(folder);
    struct mt_symbolizer_options options = {.no_debuginfod = true};
    struct mt_symbolizer *symbols = mt_symbolizer_new(&options);
    uint64_t pcs[UNITS];
    void *library = take_units(path, pcs);

    CU_ASSERT_PTR_NOT_NULL_FATAL(symbols);
    CU_ASSERT_EQUAL(ask_units(symbols, pcs), 0);
    options.memory_budget = mt_symbolizer_memory(symbols) / 4;
    mt_symbolizer_free(symbols);
    symbols = mt_symbolizer_new(&options);
    CU_ASSERT_PTR_NOT_NULL_FATAL(symbols);
    CU_ASSERT_EQUAL(ask_units(symbols, pcs), 0);
    mt_symbolizer_free(symbols);
    end();
    dlclose(library);
    remove_folder(folder);
    free(path);
}

/* The module with the closest start below an address, of those that hold it. */
static void nested_modules(void)
{
    struct mt_module modules[] = {
        {.start = 0x1000, .end = 0x9000}, {.start = 0x2000, .end = 0x6000},
        {.start = 0x3000, .end = 0x4000}, {.start = 0x3000, .end = 0x3800},
        {.start = 0xa000, .end = 0xb000},
    };
    const struct mt_source nested = {.modules = modules, .n_modules = 5};
    static const struct {
        uint64_t address;
        int module; /* -1: none */
    } wanted[] = {{0xfff, -1},     {0x1000, 0}, {0x2000, 1},  {0x37ff, 3},
                  {0x3800, 2},     {0x4000, 1}, {0x6000, 0},  {0x9000, -1},
                  {0xa000, 4},     {0xafff, 4}, {0xb000, -1}, {0, -1},
                  {UINT64_MAX, -1}};

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CU_ASSERT_PTR_EQUAL(mt_source_module(&nested, wanted[i].address),
                            wanted[i].module < 0 ? NULL
                                                 : &modules[wanted[i].module]);
}

static const struct unit_test tests[] = {
    {"modules within others: the closest start wins", nested_modules},
    {"a frame is in the last of the modules listed then", last_of_those_listed},
    {"damaged and unfinished modules count", damaged_and_unfinished_ones_count},
    {"the module that is there now", what_is_there_now},
    {"a module that two threads listed is one", one_module_listed_twice},
    {"stacks are merged by address and module", merging},
    {"the frame below a signal frame is exact", below_a_signal_frame},
    {"other frames are looked up by their calls", below_a_call},
    {"more debug information than may be held", more_than_may_be_held},
};
UNIT_MAIN(tests)
