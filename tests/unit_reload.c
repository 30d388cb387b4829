/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_reload.c - one library replaced by another at the same address, whose
 * code has the same layout but other frames.
 */
#include "heap/capture/capture.h"
#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"
#include "heap/trace_region.h"
#include "heap/capture/stacks.h"
#include "tests/regs.h"
#include "tests/unit.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdlib.h>
#include <unistd.h>

TEST_REGS_DEFINE

#define KEEP_FRAME __asm__ volatile("" ::: "memory")

typedef int call_function(void (*)(void));

static struct mt_thread_record record;
static struct mt_capture *capture;
static char directory[] = "/tmp/memtrace-unit-XXXXXX";

/* Result of the last capture. */
static uint32_t last_id;
static unsigned wrong;

static __attribute__((noinline)) void here(void)
{
    struct mt_regs regs;
    void *want[64];
    int n = backtrace(want, 64);
    test_regs(&regs);
    last_id = mt_capture_stack(capture, &regs, 10);
    const struct mt_stack_record *s = mt_stacks_record(last_id);
    uint64_t frames[MT_DEPTH_MAX];
    mt_stacks_frames(last_id, frames);
    int k = 1; /* AddressSanitizer's own backtrace() adds a frame */
    while (k < n - 1 && k < 3 && (uint64_t)(uintptr_t)want[k] != frames[1])
        k++;
    wrong += s->depth != n - k + 1 || s->flags != 0 ||
             memcmp(frames + 1, want + k, 8 * (size_t)(n - k)) != 0;
}

/* Frames of different sizes, instructions of the same. */
static bool build(int which, int frame)
{
    const char *cc = getenv("CC");
    char command[600];
    snprintf(command, sizeof command,
             "cd %s && printf '%%s\\n' 'int call(void (*f)(void)) { "
             "volatile char pad[%d]; pad[0] = 1; f(); return pad[0] + %d; }' "
             ">l%d.c && %s -O1 -fomit-frame-pointer -fno-stack-protector "
             "-nostdlib -shared -fPIC -o l%d.so l%d.c",
             directory, frame, which, which, cc ? cc : "cc", which, which);
    return system(command) == 0;
}

static bool elsewhere; /* the first library has a namespace of its own */

static void *load(int which)
{
    char path[100];
    snprintf(path, sizeof path, "%s/l%d.so", directory, which);
    return elsewhere && which == 0 ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW)
                                   : dlopen(path, RTLD_NOW);
}

static const struct mt_module_record *module_at(uint32_t index)
{
    return (const struct mt_module_record *)(uintptr_t)memtrace_root
               ->sections[MT_SECTION_MODULES]
               .base +
           index;
}

/* The last of the first `n` that holds pc, as docs/layout.md has it. */
static const struct mt_module_record *module_of(uint64_t pc, uint32_t n)
{
    while (n-- > 0)
        if (pc >= module_at(n)->start && pc < module_at(n)->end)
            return module_at(n);
    return NULL;
}

static const char *path_in(uint32_t id, uint64_t pc)
{
    const struct mt_module_record *m =
        module_of(pc, mt_stacks_record(id)->modules);
    return m ? (const char *)(uintptr_t)memtrace_root
                       ->sections[MT_SECTION_STRINGS]
                       .base +
                   m->path
             : "";
}

static __attribute__((noinline)) void call_in(int which, uint32_t *id,
                                              uint64_t *pc)
{
    void *library = load(which);
    CU_ASSERT_PTR_NOT_NULL_FATAL(library);
    call_function *call = (call_function *)(uintptr_t)dlsym(library, "call");
    CU_ASSERT_PTR_NOT_NULL_FATAL(call);
    volatile int rounds = 5;
    for (int i = 0; i < rounds; i++)
        call(here);
    *id = last_id;
    *pc = (uintptr_t)call;
    dlclose(library);
    KEEP_FRAME;
}

static void replaced(void)
{
    uint32_t ids[6];
    uint64_t pcs[6];
    bool same_address = false;
    if (!build(0, 200) || !build(1, 400)) {
        unit_skip("no C compiler");
        return;
    }
    volatile int rounds = 6;
    for (int i = 0; i < rounds; i++)
        call_in(i % 2, &ids[i], &pcs[i]);
    CU_ASSERT_EQUAL(wrong, 0);
    for (int i = 1; i < 6; i++) {
        same_address = same_address || pcs[i] == pcs[i - 1];
        CU_ASSERT_NOT_EQUAL(ids[i], ids[i - 1]);
    }
    for (int i = 0; i < 6; i++) {
        char name[10];
        snprintf(name, sizeof name, "/l%d.so", i % 2);
        CU_ASSERT_PTR_NOT_NULL(strstr(path_in(ids[i], pcs[i]), name));
    }
    if (!same_address)
        unit_skip("the linker used other addresses");
}

/* The linker's count of the objects in the first namespace does not change. */
static void replaced_elsewhere(void)
{
#if !__GLIBC_PREREQ(2, 35)
    unit_skip("without _dl_find_object() such modules are not known");
    return;
#endif
    elsewhere = true;
    replaced();
    elsewhere = false;
}

/* Another copy of the same file is the same module. */
static void loaded_again(void)
{
    uint32_t first, again, n;
    uint64_t pc, pc_again;
    if (access(directory, F_OK) != 0 || !build(2, 300)) {
        unit_skip("no C compiler");
        return;
    }
    call_in(2, &first, &pc);
    n = mt_modules_count();
    volatile int rounds = 10;
    for (int i = 0; i < rounds; i++)
        call_in(2, &again, &pc_again);
    if (pc != pc_again) {
        unit_skip("the linker used another address");
        return;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(mt_modules_count() <= n + 1);
}

static const struct unit_test tests[] = {
    {"a library replaced at its addresses", replaced},
    {"a library loaded again", loaded_again},
    {"a library of another namespace replaced", replaced_elsewhere},
};

int main(int argc, char **argv)
{
    void *warm[4];
    char command[100];
    backtrace(warm, 4); /* loads libgcc_s */
    if (!mkdtemp(directory) || !mt_region_start())
        return 1;
    mt_string_add("", 0);
    memtrace_root->stacks_limit = UINT64_C(1) << 32; /* no bound */
    mt_stacks_trigger = UINT64_MAX; /* no collection */
    capture = mt_section_alloc(MT_SECTION_PRIVATE,
                               (mt_capture_bytes + 7) & ~(size_t)7);
    if (!capture)
        return 1;
    mt_capture_init(capture, &record);
    int status = unit_run(tests, sizeof tests / sizeof *tests, argc, argv);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? status : 1;
}
