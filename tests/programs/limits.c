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
 *     limits huge           blocks of many GiB, and some that cannot be
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

static void *fill(void *arg)
{
    struct filler *f = arg;
    for (;;) {
        errno = 0;
        unsigned char *p = malloc(f->size);
        if (p == NULL)
            break;
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
    for (size_t gib = 1; gib <= 64; gib *= 4) {
        size_t size = gib << 30;
        char *p = malloc(size);
        if (p == NULL)
            return printf("%zu GiB: none\n", gib), 1;
        p[0] = p[size / 2] = p[size - 1] = 1;
        p = realloc(p, size + (1 << 20));
        if (p == NULL || p[0] != 1 || p[size / 2] != 1)
            return printf("%zu GiB: not grown\n", gib), 1;
        free(p);
    }
    errno = 0;
    if (malloc(SIZE_MAX / 2 - 100) || errno != ENOMEM ||
        malloc((size_t)1 << 47) || aligned_alloc((size_t)1 << 46, 1))
        return puts("got what cannot be"), 1;
    return puts("good"), 0;
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
    if (strcmp(what, "child") == 0)
        return child();
    return 2;
}
