/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Backtraces of a stopped child: through ordinary frames, a signal handler on
 * a stack of its own, a call to a bad address, and libc's code.
 */
#include "coreanalyze/names/backtrace.h"
#include "coreanalyze/symbols/call_frames.h"
#include "tests/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __clang__
#define KEPT __attribute__((noinline))
#else
#define KEPT __attribute__((noinline, noclone, noipa))
#endif

static struct mt_error error;

/* --- what the children do --- */

static volatile int zero;

KEPT void bt_innermost(int kind);
KEPT void bt_middle(int kind);
KEPT void bt_outer(int kind);
KEPT void bt_on_signal(int number);
KEPT int bt_compare(const void *a, const void *b);

static void (*volatile bad)(void) = (void (*)(void))0x10;

void bt_on_signal(int number)
{
    (void)number;
    raise(SIGSTOP);
    zero++;
}

int bt_compare(const void *a, const void *b)
{
    raise(SIGSTOP);
    return *(const int *)a - *(const int *)b;
}

void bt_innermost(int kind)
{
    int numbers[] = {3, 2, 1};

    switch (kind) {
    case 0:
        raise(SIGSTOP);
        break;
    case 1:
        raise(SIGUSR1);
        break;
    case 2:
        bad();
        break;
    default:
        qsort(numbers, 3, sizeof *numbers, bt_compare);
    }
    zero++;
}

void bt_middle(int kind)
{
    /* A frame whose size is not known when it is compiled. */
    volatile char *room = __builtin_alloca((size_t)(zero + 100));

    room[0] = (char)kind;
    bt_innermost(kind);
    zero += room[0];
}

void bt_outer(int kind)
{
    bt_middle(kind);
    zero++;
}

static pid_t child_start(int kind)
{
    static char other_stack[65536];
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    struct sigaction action = {.sa_handler = bt_on_signal,
                               .sa_flags = SA_ONSTACK};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sigaltstack(&stack, NULL) != 0 ||
            sigaction(SIGUSR1, &action, NULL) != 0 ||
            ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(1);
        bt_outer(kind);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1) {
        ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
        waitpid(pid, &status, 0);
    }
    CU_ASSERT_TRUE(WIFSTOPPED(status));
    return pid;
}

static void child_end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- what is expected of them --- */

static struct mt_call calls[MT_MAX_CALLS];
static char names[MT_MAX_CALLS][64];
static size_t n_calls;

/* Unwinds a child and names its calls. */
static void child_unwind(int kind)
{
    const struct mt_resolver_options options = {.hook = NULL};
    struct mt_thread thread = {.has_registers = true};
    pid_t pid = child_start(kind);
    struct mt_source *source = mt_source_open_pid(pid, &error);
    struct mt_resolver *resolver;

    n_calls = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    CU_ASSERT_EQUAL(ptrace(PTRACE_GETREGS, pid, 0, thread.registers), 0);
    resolver = mt_resolver_of_source(source, &options);
    CU_ASSERT_PTR_NOT_NULL_FATAL(resolver);
    n_calls = mt_backtrace(resolver, source, &thread, calls, MT_MAX_CALLS);
    for (size_t i = 0; i < n_calls; i++) {
        struct mt_pc at = {calls[i].pc, MT_MODULES_NOW, calls[i].exact};
        struct mt_resolved found = mt_resolve(resolver, &at);
        const char *name = found.frames[found.n - 1].function;
        snprintf(names[i], sizeof names[i], "%s", name ? name : "?");
    }
    mt_resolver_free(resolver);
    mt_source_free(source);
    child_end(pid);
}

static size_t find_call(const char *name, size_t from)
{
    for (size_t i = from; i < n_calls; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return SIZE_MAX;
}

/* The three frames of the program are next to each other, main is above. */
static void expect_chain(size_t inner)
{
    CU_ASSERT_NOT_EQUAL_FATAL(inner, SIZE_MAX);
    CU_ASSERT_EQUAL(find_call("bt_middle", 0), inner + 1);
    CU_ASSERT_EQUAL(find_call("bt_outer", 0), inner + 2);
    CU_ASSERT_NOT_EQUAL(find_call("main", inner), SIZE_MAX);
    for (size_t i = inner; i < inner + 2; i++) {
        CU_ASSERT_FALSE(calls[i].guessed);
        CU_ASSERT_EQUAL(calls[i].end, calls[i + 1].sp);
        CU_ASSERT_TRUE(calls[i].sp < calls[i].end);
    }
}

static void test_plain(void)
{
    child_unwind(0);
    expect_chain(find_call("bt_innermost", 0));
    CU_ASSERT_TRUE(calls[0].exact);
    CU_ASSERT_FALSE(calls[1].exact);
}

static void test_signal(void)
{
    child_unwind(1);
    size_t handler = find_call("bt_on_signal", 0);
    CU_ASSERT_NOT_EQUAL_FATAL(handler, SIZE_MAX);
    size_t frame = find_call("<signal handler called>", 0);
    CU_ASSERT_EQUAL_FATAL(frame, handler + 1);
    CU_ASSERT_TRUE(calls[frame + 1].exact);
    expect_chain(find_call("bt_innermost", frame));
}

static void test_bad_call(void)
{
    child_unwind(2);
    CU_ASSERT_EQUAL(calls[0].pc, 0x10);
    CU_ASSERT_EQUAL(find_call("bt_innermost", 0), 1);
    expect_chain(1);
}

static void test_library(void)
{
    child_unwind(3);
    size_t compare = find_call("bt_compare", 0);
    CU_ASSERT_NOT_EQUAL_FATAL(compare, SIZE_MAX);
    CU_ASSERT_TRUE(find_call("bt_innermost", compare) > compare + 1);
    expect_chain(find_call("bt_innermost", compare));
}

/* --- unwind data that lies --- */

static bool read_noise(void *context, uint64_t address, void *buffer,
                       size_t bytes)
{
    const uint8_t *noise = context;

    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)buffer)[i] = noise[(address + i) % 4096];
    return address < 1 << 20;
}

static bool read_zero(void *context, uint64_t address, uint64_t *word)
{
    (void)context;
    *word = address * 3;
    return address < 1 << 20;
}

static void test_noise(void)
{
    static uint8_t noise[4096];
    const struct mt_frame_bytes bytes = {read_noise, noise};
    const struct mt_frame_memory memory = {read_zero, NULL};
    static const uint8_t head[20] = {1, 0x1b, 0x03, 0x3b, [8] = 1, [16] = 96};
    static const uint8_t cie[13] = {40, [8] = 1, 0, 1, 0x78, 16};
    static const uint8_t fde[24] = {60, [4] = 68, [16] = 100};
    struct mt_frame_table table = {0};
    unsigned found = 0;

    srandom(1);
    for (unsigned round = 0; round < 20000; round++) {
        struct mt_frame_state state = {.known = (1u << MT_N_COLUMNS) - 1};
        struct mt_frame_row row = {.signal_frame = false};
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)((random() & 3) ? random() : random() & 15);
        /* A table of one FDE at 96, which has the CIE at 32. */
        memcpy(noise, head, sizeof head);
        memcpy(noise + 32, cie, sizeof cie);
        memcpy(noise + 96, fde, sizeof fde);
        if (mt_frame_row_find(&table, &bytes, 0, 5, &row)) {
            found++;
            mt_frame_step(&row, &memory, &state);
        }
    }
    CU_ASSERT_TRUE(found > 100);
    mt_frame_table_free(&table);
}

static const struct unit_test tests[] = {
    {"ordinary frames, one of a size that varies", test_plain},
    {"a signal handler on a stack of its own", test_signal},
    {"a call to a bad address", test_bad_call},
    {"frames of libc between the program's", test_library},
    {"unwind data that is noise", test_noise},
};
UNIT_MAIN(tests)
