/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs for tests/e2e/limits.
 *     limits fill SIZES MIB allocates until there is no more, by one thread for
 *                           each of the comma-separated sizes, less than MIB
 *                           each (that is the room for lists); then all blocks
 *                           must be whole; frees half, and must get some again
 *     limits swing BYTES    ten times: BYTES in blocks of another size, freed
 *     limits stress N       four threads do N operations each, with more than
 *                           there is memory for: some fail, no block changes
 *     limits huge           which blocks of many GiB can be had
 *     limits late MIB       limits its own address space, then works
 *     limits back           what is freed does not count for a limit
 *     limits rounds SIZE    three times all that RLIMIT_DATA allows, freed again;
 *                           then a thread needs a stack
 *     limits threads N      N threads at once allocate: how many failed
 *     limits lock           locks all of its memory: KiB that it has then
 *     limits child          a child that runs out must not hurt its parent
 * Prints what it found, and ends with 0 if that is as it should be.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

struct filler {
    size_t size, n, most;
    unsigned char **blocks;
    const char *wrong;
};

static unsigned char mark(size_t i)
{
    return (unsigned char)(i * 31 + i / 251 + 1);
}

/* Blocks are marked at both ends, and once in each page. */
static void write_block(unsigned char *p, size_t size, size_t i)
{
    for (size_t at = 0; at < size; at += 4096)
        p[at] = mark(i);
    p[size - 1] = mark(i);
}

static int whole(const unsigned char *p, size_t size, size_t i)
{
    for (size_t at = 0; at < size; at += 4096)
        if (p[at] != mark(i))
            return 0;
    return p[size - 1] == mark(i);
}

/* No thread takes all before the others have begun. */
static pthread_barrier_t all_begun;

static void *fill(void *arg)
{
    struct filler *f = arg;
    for (;;) {
        if (f->n == 1)
            pthread_barrier_wait(&all_begun);
        errno = 0;
        unsigned char *p = malloc(f->size);
        if (p == NULL) {
            if (f->n == 0)
                pthread_barrier_wait(&all_begun);
            break;
        }
        if (f->n == f->most)
            return f->wrong = "more than there can be", NULL;
        write_block(p, f->size, f->n);
        f->blocks[f->n++] = p;
    }
    if (errno != ENOMEM)
        f->wrong = "errno is not ENOMEM";
    for (size_t i = 0; i < f->n; i++)
        if (!whole(f->blocks[i], f->size, i))
            f->wrong = "a block has changed";
    /* Growing fails, too, and leaves the block as it is. */
    if (f->n && realloc(f->blocks[0], SIZE_MAX / 4) != NULL)
        f->wrong = "realloc gave what there is not";
    if (f->n && !whole(f->blocks[0], f->size, 0))
        f->wrong = "realloc changed a block";
    return NULL;
}

/* Another thread than the one that allocated, which has ended. */
static void *empty_half(void *arg)
{
    struct filler *f = arg;
    for (size_t i = 0; i < f->n; i += 2)
        free(f->blocks[i]);
    for (size_t i = 0; i < f->n; i += 4) {
        f->blocks[i] = malloc(f->size);
        if (f->blocks[i] == NULL) {
            f->wrong = "what was freed cannot be had again";
            return NULL;
        }
        write_block(f->blocks[i], f->size, i);
    }
    for (size_t i = 0; i < f->n; i += i % 4 == 1 ? 2 : 1) {
        if (!whole(f->blocks[i], f->size, i))
            f->wrong = "a block has changed later";
        free(f->blocks[i]);
    }
    return NULL;
}

/* No thread gets more than `bytes`. */
static int fill_all(char *sizes, size_t bytes)
{
    struct filler filler[16] = {{0}};
    pthread_t thread[16];
    unsigned n = 0;
    for (char *s = strtok(sizes, ","); s && n < 16; s = strtok(NULL, ","))
        filler[n++].size = strtoul(s, NULL, 10);
    for (unsigned i = 0; i < n; i++) {
        filler[i].most = bytes / filler[i].size + 1;
        filler[i].blocks =
            mmap(NULL, filler[i].most * sizeof(void *), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (filler[i].blocks == MAP_FAILED)
            return puts("no room for the list"), 1;
    }
    void *(*const steps[])(void *) = {fill, empty_half};
    pthread_barrier_init(&all_begun, NULL, n);
    for (unsigned step = 0; step < 2; step++) {
        for (unsigned i = 0; i < n; i++)
            if (pthread_create(&thread[i], NULL, steps[step], &filler[i]) != 0)
                return puts("no thread"), 1;
        for (unsigned i = 0; i < n; i++)
            pthread_join(thread[i], NULL);
    }
    int bad = 0;
    for (unsigned i = 0; i < n; i++) {
        printf("%zu blocks of %zu: %s\n", filler[i].n, filler[i].size,
               filler[i].wrong ? filler[i].wrong : "good");
        bad |= filler[i].wrong != NULL || filler[i].n == 0;
    }
    return bad;
}

static int swing(size_t bytes)
{
    unsigned char **blocks = malloc(bytes / 100 * sizeof *blocks);
    if (blocks == NULL)
        return puts("no room for the list"), 1;
    for (unsigned round = 0; round < 10; round++) {
        size_t size = (size_t)100 << round, n = bytes / size;
        for (size_t i = 0; i < n; i++) {
            if ((blocks[i] = malloc(size)) == NULL)
                return printf("no memory in round %u\n", round), 1;
            memset(blocks[i], (int)round, size);
        }
        for (size_t i = 0; i < n; i++)
            free(blocks[i]);
    }
    return puts("good"), 0;
}

static size_t rounds_take(size_t size)
{
    void **list = NULL, **p;
    size_t n = 0;
    while ((p = malloc(size)) != NULL) {
        memset(p, 1, size);
        *p = (void *)list;
        list = p;
        n++;
    }
    while ((p = list) != NULL) {
        list = *p;
        free((void *)p);
    }
    return n;
}

static void *rounds_nothing(void *unused)
{
    return unused;
}

static int rounds(size_t size)
{
    struct rlimit limit = {200 * MIB, RLIM_INFINITY};
    size_t n[3];
    pthread_t thread;
    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        return puts("cannot limit itself"), 1;
    for (int i = 0; i < 3; i++) {
        n[i] = rounds_take(size);
        if (n[i] < n[0] - n[0] / 20 || n[i] * size < 150 * MIB)
            return printf("round %d: %zu of %zu\n", i, n[i], n[0]), 1;
    }
    if (pthread_create(&thread, NULL, rounds_nothing, NULL) != 0)
        return puts("what was freed counts for a thread's stack"), 1;
    pthread_join(thread, NULL);
    return puts("good"), 0;
}

enum { STRESS_THREADS = 4, STRESS_SLOTS = 4000 };
static size_t stress_operations;

struct stress {
    uint64_t random;
    size_t failed, wrong;
    struct slot {
        unsigned char *p;
        size_t size;
    } slots[STRESS_SLOTS];
};

static uint64_t next(struct stress *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static size_t stress_size(struct stress *s)
{
    uint64_t r = next(s);
    static const unsigned most[] = {200, 3000, 40000, 400000};
    return 1 + (r >> 8) % most[r % 4];
}

static void *stress_thread(void *arg)
{
    struct stress *s = arg;
    for (size_t n = 0; n < stress_operations; n++) {
        size_t i = next(s) % STRESS_SLOTS, size = stress_size(s);
        struct slot *slot = &s->slots[i];
        unsigned op = next(s) % 8;
        if (slot->p && !whole(slot->p, slot->size, i))
            s->wrong++;
        if (op == 0) {
            free(slot->p);
            slot->p = NULL;
            continue;
        }
        void *p =
            op < 4 || slot->p == NULL ? malloc(size) : realloc(slot->p, size);
        if (p == NULL) { /* the old block stays */
            s->failed++;
            if (slot->p && !whole(slot->p, slot->size, i))
                s->wrong++;
            continue;
        }
        if (op < 4)
            free(slot->p);
        *slot = (struct slot){p, size};
        write_block(p, size, i);
    }
    return NULL;
}

static int stress(size_t operations)
{
    static struct stress all[STRESS_THREADS];
    pthread_t thread[STRESS_THREADS];
    size_t failed = 0, wrong = 0;
    stress_operations = operations;
    for (unsigned i = 0; i < STRESS_THREADS; i++) {
        all[i].random = i * 0x9e3779b97f4a7c15u + 99;
        if (pthread_create(&thread[i], NULL, stress_thread, &all[i]) != 0)
            return puts("no thread"), 1;
    }
    for (unsigned i = 0; i < STRESS_THREADS; i++) {
        pthread_join(thread[i], NULL);
        failed += all[i].failed;
        wrong += all[i].wrong;
        for (size_t j = 0; j < STRESS_SLOTS; j++)
            free(all[i].slots[j].p);
    }
    printf("%zu failed, %zu wrong\n", failed, wrong);
    return failed == 0 || wrong != 0;
}

static int huge(void)
{
    for (size_t gib = 1; gib <= 1024; gib *= 4) {
        size_t size = gib << 30;
        char *p = malloc(size), *q = NULL;
        printf("%zu GiB: %s", gib, p ? "got" : strerror(errno));
        if (p) {
            p[0] = p[size / 2] = p[size - 1] = 1;
            q = realloc(p, size + (1 << 20));
            printf(", %s", q ? "grown" : strerror(errno));
            if (q && (q[0] != 1 || q[size / 2] != 1))
                return puts(", changed"), 1;
        }
        free(q ? q : p);
        p = calloc(size / 1024, 1024);
        printf(", zeroed %s\n", p ? "got" : strerror(errno));
        free(p);
    }
    errno = 0;
    if (malloc(SIZE_MAX / 2 - 100) || errno != ENOMEM ||
        malloc((size_t)1 << 47) || aligned_alloc((size_t)1 << 46, 1))
        return puts("got what cannot be"), 1;
    return puts("good"), 0;
}

static int limit_to(size_t mib)
{
    struct rlimit limit = {mib * MIB, mib * MIB};
    return setrlimit(RLIMIT_AS, &limit);
}

static void *rounds_thread(void *arg)
{
    return arg;
}

/* Operations under a limit that came late, each with its result. */
static int late(size_t mib)
{
    pthread_t thread;
    free(malloc(1000));
    limit_to(mib);
    int error = pthread_create(&thread, NULL, rounds_thread, NULL);
    printf("thread %s\n", strerror(error));
    if (error == 0)
        pthread_join(thread, NULL);
    void *map = mmap(NULL, mib * MIB / 8, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("mapping %s\n", map == MAP_FAILED ? strerror(errno) : "good");
    for (size_t part = 8; part > 0; part /= 2) {
        char *p = malloc(mib * MIB / part);
        printf("1/%zu %s\n", part, p ? "got" : strerror(errno));
        if (p)
            p[0] = p[mib * MIB / part - 1] = 1;
        free(p);
    }
    return 0;
}

static int back(void)
{
    static char *blocks[100];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 100; i++)
            memset(blocks[i] = malloc(4 * MIB), 1, 4 * MIB);
        for (size_t i = 0; i < 100; i++)
            free(blocks[i]);
    }
    if (limit_to(200) != 0)
        return puts("cannot limit itself"), 1;
    char *map = mmap(NULL, 120 * MIB, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return puts("what was freed counts"), 1;
    munmap(map, 120 * MIB);
    for (size_t i = 0; i < 30; i++) {
        blocks[i] = malloc(4 * MIB);
        if (blocks[i] == NULL)
            return printf("%zu blocks of 30\n", i), 1;
        for (size_t at = 0; at < 4 * MIB; at += 4096)
            blocks[i][at] = 2;
    }
    return puts("good"), 0;
}

static pthread_barrier_t barrier;
static size_t refused;

static void *allocate_once(void *arg)
{
    void *p = malloc(100);
    if (p == NULL)
        __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
    pthread_barrier_wait(&barrier);
    free(p);
    return arg;
}

static int many_threads(size_t n)
{
    static pthread_t all[2000];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 32768);
    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (size_t i = 0; i < n; i++)
        if (pthread_create(&all[i], &attributes, allocate_once, NULL) != 0)
            return printf("%zu threads of %zu\n", i, n), fflush(stdout),
                   _exit(1), 1;
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < n; i++)
        pthread_join(all[i], NULL);
    printf("%zu refused\n", refused);
    return refused != 0;
}

static int lock(void)
{
    int error = mlockall(MCL_CURRENT | MCL_FUTURE) ? errno : 0;
    char line[200];
    free(malloc(1 * MIB));
    fprintf(stderr, "mlockall: %s\n", strerror(error));
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            printf("%ld\n", strtol(line + 6, NULL, 10));
    return error != 0;
}

static int child(void)
{
    unsigned char *p = malloc(1000000);
    write_block(p, 1000000, 1);
    pid_t pid = fork();
    if (pid == 0) {
        char sizes[] = "100000";
        _exit(fill_all(sizes, 65536 * MIB) || !whole(p, 1000000, 1));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    printf("child %d\n", status);
    return status != 0 || !whole(p, 1000000, 1);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (argc > 3 && strcmp(what, "fill") == 0)
        return fill_all(argv[2], strtoul(argv[3], NULL, 10) * MIB);
    if (argc > 2 && strcmp(what, "swing") == 0)
        return swing(strtoul(argv[2], NULL, 10));
    if (argc > 2 && strcmp(what, "stress") == 0)
        return stress(strtoul(argv[2], NULL, 10));
    if (strcmp(what, "huge") == 0)
        return huge();
    if (argc > 2 && strcmp(what, "late") == 0)
        return late(strtoul(argv[2], NULL, 10));
    if (argc > 2 && strcmp(what, "threads") == 0)
        return many_threads(strtoul(argv[2], NULL, 10));
    if (argc > 2 && strcmp(what, "rounds") == 0)
        return rounds(strtoul(argv[2], NULL, 10));
    if (strcmp(what, "back") == 0)
        return back();
    if (strcmp(what, "lock") == 0)
        return lock();
    if (strcmp(what, "child") == 0)
        return child();
    return 2;
}
