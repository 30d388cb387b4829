/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leakcases.c - one shape of pointers a run, for leak checkers to judge.
 *
 *     leakcases CASE makes the shape, prints "ready", and waits leakcases CASE
 *     check calls LeakSanitizer if linked, and exits leakcases CASE crash dies
 *     of SIGSEGV instead leakcases -l lists the cases
 *
 * All blocks of a case come out of grab(), and nothing but what the case says
 * holds them: pointers are scrubbed off the stack and out of registers.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

#define NOINLINE __attribute__((noinline, noclone))
#define SIZE 64

struct block {
    struct block *next, *other;
    char data[SIZE - 2 * sizeof(void *)];
};

static void *volatile hold[8]; /* the roots */
static __thread void *volatile thread_hold;
static const char *module_path;
static pthread_barrier_t barrier;

NOINLINE static void *grab(size_t size)
{
    char *block = calloc(1, size);

    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static struct block *list(unsigned n)
{
    struct block *head = NULL;

    while (n-- > 0) {
        struct block *b = grab(SIZE);
        b->next = head;
        head = b;
    }
    return head;
}

NOINLINE static struct block *tree(unsigned depth)
{
    struct block *b = grab(SIZE);

    if (depth > 1) {
        b->next = tree(depth - 1);
        b->other = tree(depth - 1);
    }
    return b;
}

static void *inside(void *block, size_t offset)
{
    return (char *)block + offset;
}

/* --- the nine cases of the Memcheck manual: RRR, AAA, BBB --- */

NOINLINE static void case_1(void)
{
    hold[0] = grab(SIZE);
}

NOINLINE static void case_2(void)
{
    hold[0] = list(2);
}

NOINLINE static void case_3(void)
{
    grab(SIZE);
}

NOINLINE static void case_4(void)
{
    list(2);
}

NOINLINE static void case_5(void)
{
    hold[0] = inside(grab(SIZE), 24);
}

NOINLINE static void case_6(void)
{
    struct block *a = grab(SIZE);

    a->next = inside(grab(SIZE), 24);
    hold[0] = a;
}

NOINLINE static void case_7(void)
{
    hold[0] = inside(list(2), 24);
}

NOINLINE static void case_8(void)
{
    struct block *a = grab(SIZE);

    a->next = inside(grab(SIZE), 24);
    hold[0] = inside(a, 24);
}

NOINLINE static void case_9(void)
{
    struct block *a = grab(SIZE);

    a->next = inside(grab(SIZE), 24);
}

/* --- shapes --- */

NOINLINE static void lost_list(void)
{
    list(1000);
}

NOINLINE static void lost_tree(void)
{
    tree(10);
}

NOINLINE static void held_tree(void)
{
    hold[0] = tree(10);
}

NOINLINE static void cycle(void)
{
    struct block *a = list(3);

    a->next->next->next = a;
}

NOINLINE static void self(void)
{
    struct block *a = grab(SIZE);

    a->next = a;
}

NOINLINE static void list_to_cycle(void)
{
    struct block *a = list(3);

    a->next->next->next = a;
    struct block *head = list(2);
    head->next->next = a;
}

NOINLINE static void two_heads(void)
{
    struct block *tail = list(2), *a = grab(SIZE), *b = grab(SIZE);

    a->next = tail;
    b->next = tail;
}

NOINLINE static void doubly_linked(void)
{
    struct block *a = list(50);

    for (struct block *b = a; b->next; b = b->next)
        b->next->other = b;
    hold[0] = a;
}

NOINLINE static void middle_held(void)
{
    struct block *a = list(6);

    hold[0] = a->next->next;
}

NOINLINE static void table(void)
{
    void **slots = grab(100 * sizeof *slots);

    for (int i = 0; i < 100; i++)
        slots[i] = grab(SIZE);
    hold[0] = slots;
    slots[7] = NULL;
}

NOINLINE static void behind_the_end(void)
{
    hold[0] = inside(grab(SIZE), SIZE);
}

NOINLINE static void empty(void)
{
    hold[0] = grab(0);
    grab(0);
}

NOINLINE static void large(void)
{
    void **a = grab(3 << 20);

    a[300000] = grab(2 << 20);
    hold[0] = a;
    grab(1 << 20);
}

NOINLINE static void realloced(void)
{
    hold[0] = realloc(grab(SIZE), 5000);
    void *p = realloc(grab(SIZE), 6000);
    __asm__ volatile("" : : "r"(p));
}

NOINLINE static void misaligned(void)
{
    char *a = grab(SIZE);
    void *b = grab(SIZE);

    memcpy(a + 3, &b, sizeof b);
    hold[0] = a;
}

NOINLINE static void freed_holder(void)
{
    struct block *a = list(2);

    free(a);
}

/* --- where roots are --- */

static void *wait_with_stack(void *unused)
{
    void *volatile mine[4] = {unused, list(3)};

    pthread_barrier_wait(&barrier);
    pause();
    return mine[1];
}

static void *wait_with_tls(void *unused)
{
    thread_hold = list(3);
    pthread_barrier_wait(&barrier);
    pause();
    return unused;
}

static void *wait_with_register(void *unused)
{
    void *p = list(3);

    p = (void *)((uintptr_t)p ^ UINT64_C(0x5555555555555555));
    pthread_barrier_wait(&barrier);
    __asm__ volatile("movabs $0x5555555555555555, %%rax\n\t"
                     "xor %0, %%rax\n\t"
                     "mov %%rax, %%r12\n\t"
                     "xor %0, %0\n"
                     "1:\tmov $34, %%eax\n\t" /* pause */
                     "syscall\n\t"
                     "jmp 1b"
                     : "+r"(p)
                     :
                     : "rax", "rcx", "r11", "r12", "memory");
    return unused;
}

static pthread_key_t key;

static void *wait_with_key(void *unused)
{
    pthread_setspecific(key, list(3));
    pthread_barrier_wait(&barrier);
    pause();
    return unused;
}

static void *leave_on_stack(void *unused)
{
    void *volatile mine[64];

    for (int i = 0; i < 64; i++)
        mine[i] = unused;
    mine[40] = list(3);
    return mine[0];
}

static void *leave_result(void *unused)
{
    (void)unused;
    return list(3);
}

static void start(void *(*run)(void *))
{
    pthread_t thread;

    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, run, NULL);
    pthread_barrier_wait(&barrier);
    usleep(50000);
}

NOINLINE static void thread_stack(void)
{
    start(wait_with_stack);
}

NOINLINE static void thread_tls(void)
{
    start(wait_with_tls);
}

NOINLINE static void thread_register(void)
{
    start(wait_with_register);
}

NOINLINE static void thread_key(void)
{
    pthread_key_create(&key, NULL);
    start(wait_with_key);
}

NOINLINE static void main_tls(void)
{
    thread_hold = list(3);
}

NOINLINE static void exited_stack(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, leave_on_stack, NULL);
    pthread_join(thread, NULL);
}

NOINLINE static void exited_result(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, leave_result, NULL);
    usleep(200000);
}

/* Apart from others, with which the kernel would make it one. */
static void **map_apart(void)
{
    char *map = mmap(NULL, (1 << 20) + 8192, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mprotect(map + 4096, 1 << 20, PROT_READ | PROT_WRITE);
    return (void **)(map + 4096);
}

NOINLINE static void mapping(void)
{
    void **map = map_apart();

    map[1000] = list(3);
}

NOINLINE static void held_mapping(void)
{
    void **map = map_apart();

    map[1000] = list(3);
    hold[0] = map;
}

/* The module has a variable void *module_hold. */
static void use_module(int close)
{
    void *handle = dlopen(module_path, RTLD_NOW);
    void **variable = handle ? dlsym(handle, "module_hold") : NULL;

    if (variable == NULL) {
        fprintf(stderr, "leakcases: %s\n", dlerror());
        exit(2);
    }
    *variable = list(3);
    if (close)
        dlclose(handle);
}

NOINLINE static void module_data(void)
{
    use_module(0);
}

NOINLINE static void module_closed(void)
{
    use_module(1);
}

/* The child lets go of what the parent holds; both wait. */
static void scrub(void);

NOINLINE static void forked(void)
{
    hold[0] = list(3);
    fflush(stdout);
    if (fork() == 0) {
        hold[0] = NULL;
        scrub();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        printf("child %d\n", (int)getpid());
        fflush(stdout);
        pause();
        _exit(0);
    }
    usleep(100000);
}

NOINLINE static void low_tags(void)
{
    hold[0] = inside(list(2), 1);
}

NOINLINE static void high_tags(void)
{
    hold[0] = (void *)((uintptr_t)list(2) | UINT64_C(0xab) << 56);
}

/* --- inner pointers of C++ and sqlite --- */

NOINLINE static void new_array(void)
{
    size_t *a = grab(8 + 7 * 8);

    *a = 7;
    hold[0] = a + 1;
}

NOINLINE static void length64(void)
{
    uint64_t *a = grab(SIZE);

    *a = SIZE - 8;
    hold[0] = a + 1;
}

NOINLINE static void old_string(void)
{
    size_t *a = grab(3 * 8 + 40 + 1);

    a[0] = 10;
    a[1] = 40;
    hold[0] = a + 3;
}

typedef void function(void);
static function *const vtables[2][4] = {{0, 0, case_1, case_2},
                                        {0, 0, case_3, case_4}};

NOINLINE static void two_bases(void)
{
    const void **a = grab(SIZE);

    a[0] = &vtables[0][2];
    a[2] = &vtables[1][2];
    hold[0] = a + 2;
}

#define CASE(name)                                                             \
    {                                                                          \
#name, name                                                            \
    }
static const struct {
    const char *name;
    void (*make)(void);
} cases[] = {
    CASE(case_1),          CASE(case_2),         CASE(case_3),
    CASE(case_4),          CASE(case_5),         CASE(case_6),
    CASE(case_7),          CASE(case_8),         CASE(case_9),
    CASE(lost_list),       CASE(lost_tree),      CASE(held_tree),
    CASE(cycle),           CASE(self),           CASE(list_to_cycle),
    CASE(two_heads),       CASE(doubly_linked),  CASE(middle_held),
    CASE(table),           CASE(behind_the_end), CASE(empty),
    CASE(large),           CASE(realloced),      CASE(misaligned),
    CASE(freed_holder),    CASE(thread_stack),   CASE(thread_tls),
    CASE(thread_register), CASE(thread_key),     CASE(main_tls),
    CASE(exited_stack),    CASE(exited_result),  CASE(mapping),
    CASE(held_mapping),    CASE(module_data),    CASE(module_closed),
    CASE(forked),          CASE(low_tags),       CASE(high_tags),
    CASE(new_array),       CASE(length64),       CASE(old_string),
    CASE(two_bases),
};

/* Overwrites what calls have left below, and the registers. */
NOINLINE static void scrub(void)
{
    volatile char below[65536];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
    __asm__ volatile("xor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\t"
                     "xor %%r10d, %%r10d\n\txor %%r11d, %%r11d\n\t"
                     "xor %%ebx, %%ebx\n\txor %%r12d, %%r12d\n\t"
                     "xor %%r13d, %%r13d\n\txor %%r14d, %%r14d\n\t"
                     "xor %%r15d, %%r15d"
                     :
                     :
                     : "rbx", "r12", "r13", "r14", "r15", "rax", "rcx", "rdx",
                       "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

NOINLINE static void check(void)
{
    if (__lsan_do_recoverable_leak_check)
        __lsan_do_recoverable_leak_check();
    _exit(0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t n = sizeof cases / sizeof *cases, i = 0;

    for (; i < n && strcmp(what, "-l") == 0; i++)
        puts(cases[i].name);
    while (i < n && strcmp(what, cases[i].name) != 0)
        i++;
    if (i == n)
        return strcmp(what, "-l") != 0;
    module_path = getenv("LEAKCASES_MODULE");
    cases[i].make();
    scrub();
    if (argc > 2 && strcmp(argv[2], "check") == 0)
        check();
    if (argc > 2 && strcmp(argv[2], "crash") == 0)
        *(volatile int *)8 = 0;
    write(1, "ready\n", 6);
    pause();
    return 0;
}
