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
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define THERE 64u /* the page that has memory, and a pointer */
#define NOT_HERE 77
#define MAP_DROPPABLE_ 8
#define MADV_GUARD_INSTALL_ 102
#define SYS_memfd_secret_ 447

static long filled;
static int lazy, lives[2] = {-1, -1};
static volatile int stop_threads;

/* Ends with the pipe, if there is one. */
static void *fill_lazy(void *page)
{
    for (;;) {
        struct uffd_msg message;
        struct pollfd wait[2] = {{lazy, POLLIN, 0}, {lives[0], POLLIN, 0}};
        poll(wait, 2, -1);
        if (wait[1].revents)
            _exit(0);
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

/* A child may fill it: the process then has no such descriptor. */
static void make_lazy(char *memory, size_t bytes, int by_child)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(unsigned long)memory, bytes},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    pthread_t thread;

    lazy = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (lazy < 0 || ioctl(lazy, UFFDIO_API, &api) ||
        ioctl(lazy, UFFDIO_REGISTER, &range))
        exit(NOT_HERE);
    if (!by_child) {
        pthread_create(&thread, NULL, fill_lazy, aligned_alloc(PAGE, PAGE));
        return;
    }
    if (pipe2(lives, O_CLOEXEC) == 0 && fork() == 0) {
        close(lives[1]);
        fill_lazy(aligned_alloc(PAGE, PAGE));
    }
    close(lives[0]);
    close(lazy);
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

    if (strcmp(kind, "sysv") == 0) {
        int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | SHM_NORESERVE | 0600);
        memory = id >= 0 ? shmat(id, NULL, 0) : (char *)-1;
        shmctl(id, IPC_RMID, NULL);
        if (memory == (char *)-1)
            exit(NOT_HERE);
        return memory;
    }
    if (strstr(kind, "droppable"))
        flags = MAP_DROPPABLE_ | MAP_ANONYMOUS;
    else if (strstr(kind, "secret"))
        file = (int)syscall(SYS_memfd_secret_, 0);
    else if (strstr(kind, "overlay")) {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        flags = MAP_PRIVATE | MAP_NORESERVE;
    } else if (strstr(kind, "private") || strstr(kind, "threads"))
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

/* --- memory that belongs to the kernel or a device --- */

/* Maps a descriptor's memory, which the program has not touched. */
static void map_of(int file, size_t bytes, off_t offset, int protection)
{
    if (file < 0 ||
        mmap(NULL, bytes, protection, MAP_SHARED, file, offset) == MAP_FAILED)
        exit(NOT_HERE);
}

static void make_rings(void)
{
    struct io_uring_params params = {.sq_entries = 0};
    int ring = (int)syscall(SYS_io_uring_setup, 4096, &params);

    map_of(ring, params.sq_off.array + params.sq_entries * sizeof(unsigned),
           (off_t)IORING_OFF_SQ_RING, PROT_READ | PROT_WRITE);
    map_of(ring, params.sq_entries * sizeof(struct io_uring_sqe),
           (off_t)IORING_OFF_SQES, PROT_READ | PROT_WRITE);
}

static void make_samples(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof attr,
                                   .config = PERF_COUNT_SW_DUMMY,
                                   .exclude_kernel = 1};
    int file = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

    map_of(file, 129 * PAGE, 0, PROT_READ | PROT_WRITE);
}

static void make_packets(void)
{
    struct tpacket_req ring = {65536, 64, 2048, 2048};
    int file = socket(AF_PACKET, SOCK_RAW, 0);

    if (file < 0 ||
        setsockopt(file, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0)
        exit(NOT_HERE);
    map_of(file, 64 * 65536, 0, PROT_READ | PROT_WRITE);
}

static void make_machine(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int machine = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    int cpu = machine < 0 ? -1 : ioctl(machine, KVM_CREATE_VCPU, 0);

    map_of(cpu, 12288, 0, PROT_READ | PROT_WRITE);
    map_of(open("/dev/zero", O_RDWR | O_CLOEXEC), 64 << 20, 0,
           PROT_READ | PROT_WRITE);
}

static void of_kernel(const char *kind)
{
    if (strstr(kind, "uring"))
        make_rings();
    if (strstr(kind, "perf"))
        make_samples();
    if (strstr(kind, "packets"))
        make_packets();
    if (strstr(kind, "machine"))
        make_machine();
}

/* All but the page that has memory. */
static void each_side(char *memory, size_t bytes, int advice)
{
    size_t before = (size_t)THERE * PAGE, after = before + PAGE;

    if (madvise(memory, before, advice) != 0 ||
        madvise(memory + after, bytes - after, advice) != 0)
        exit(NOT_HERE);
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
        make_lazy(memory, bytes, strstr(kind, "child") != NULL);
    if (strstr(kind, "thp") && madvise(memory, bytes, MADV_HUGEPAGE) != 0)
        return NOT_HERE;
    if (strstr(kind, "onfault") && mlock2(memory, bytes, MLOCK_ONFAULT) != 0)
        return NOT_HERE;
    of_kernel(kind);
    *there = malloc(300);
    if (strstr(kind, "guard"))
        each_side(memory, bytes, MADV_GUARD_INSTALL_);
    if (strstr(kind, "gone"))
        each_side(memory, bytes, MADV_DONTNEED);
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
