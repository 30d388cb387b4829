/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mappings.c - a program with memory of one kind, hardly any of which it has
 * touched, or with threads of one kind; see e2e/pages and e2e/stop.
 *
 *     mappings KIND MIB [FILE]
 *
 * Prints "ready", and the number of pages that it was made to fill for each
 * line that it reads.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define THERE 64u /* the page that has memory, and a pointer */
#define NOT_HERE 77

static long filled;
static int lazy;
static volatile int stop_threads;

static void *fill_lazy(void *page)
{
    for (;;) {
        struct uffd_msg message;
        struct pollfd wait = {lazy, POLLIN, 0};
        poll(&wait, 1, -1);
        if (read(lazy, &message, sizeof message) != sizeof message)
            continue;
        filled++;
        struct uffdio_copy copy = {
            .dst = message.arg.pagefault.address & ~(PAGE - 1ull),
            .src = (unsigned long)page,
            .len = PAGE,
        };
        ioctl(lazy, UFFDIO_COPY, &copy);
    }
    return NULL;
}

static void make_lazy(char *memory, size_t bytes)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(unsigned long)memory, bytes},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    pthread_t thread;

    lazy = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (lazy < 0 || ioctl(lazy, UFFDIO_API, &api) ||
        ioctl(lazy, UFFDIO_REGISTER, &range))
        exit(NOT_HERE);
    pthread_create(&thread, NULL, fill_lazy, aligned_alloc(PAGE, PAGE));
}

static void *sleeper(void *unused)
{
    while (!stop_threads)
        pause();
    return unused;
}

static char *make(const char *kind, size_t bytes, const char *path)
{
    int file = -1, flags = MAP_SHARED, protection = PROT_READ | PROT_WRITE;
    char *memory;

    if (strstr(kind, "private") || strstr(kind, "threads"))
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    else if (strstr(kind, "anonymous"))
        flags |= MAP_ANONYMOUS;
    else if (strstr(kind, "huge"))
        file = memfd_create("huge", MFD_HUGETLB);
    else if (strstr(kind, "memfd"))
        file = memfd_create("memory", 0);
    else
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0 && ftruncate(file, (off_t)bytes) != 0)
        exit(NOT_HERE);
    if (strstr(kind, "huge"))
        flags |= MAP_NORESERVE;
    memory = mmap(NULL, bytes, protection, flags, file, 0);
    if (memory == MAP_FAILED)
        exit(NOT_HERE);
    return memory;
}

/* The child has the mapping's pages in memory, but not in its page table. */
static void go_on_in_child(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        printf("pid %d\n", getpid());
        return;
    }
    waitpid(child, &status, 0);
    exit(0);
}

static void *volatile lost;

__attribute__((noinline)) static void lose(void)
{
    lost = malloc(500);
    lost = NULL;
}

int main(int argc, char **argv)
{
    const char *kind = argv[1];
    size_t bytes = (size_t)atol(argv[2]) << 20;
    char *memory = make(kind, bytes, argc > 3 ? argv[3] : NULL), line[16];
    void **there = (void **)(memory + (size_t)THERE * PAGE);

    if (strstr(kind, "lazy"))
        make_lazy(memory, bytes);
    *there = malloc(300);
    lose();
    if (strstr(kind, "locked"))
        mprotect(memory, bytes, PROT_NONE);
    if (strstr(kind, "constant"))
        mprotect(memory, bytes, PROT_READ);
    for (size_t i = 0; strstr(kind, "much") && i < 100u << 20; i += PAGE)
        memory[i * 1000 % bytes / PAGE * PAGE] = 1;
    if (strstr(kind, "fork"))
        go_on_in_child();
    for (int i = 0; strstr(kind, "threads") && i < 4000; i++) {
        pthread_attr_t small;
        pthread_t thread;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 65536);
        if (pthread_create(&thread, &small, sleeper, NULL) != 0)
            return NOT_HERE;
    }
    if (strstr(kind, "asleep")) {
        printf("ready\n");
        fflush(stdout);
        if (vfork() == 0) {
            sleep(60);
            _exit(0);
        }
    }
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("filled %ld\n", filled);
        fflush(stdout);
    }
    return 0;
}
