/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recursive NAME [SCALE]: programs whose stacks hardly ever repeat in order,
 * for tests/bench/trace. SCALE is the percentage of the usual work.
 *
 * json      a recursive-descent parser: a tree of values, all kept
 * cubes     covers are split by a variable and complemented, as espresso does
 *           it: small sets of every length, which live as long as their call
 * distinct  100,000 stacks, which part near their outermost frames, at random
 * fork      children of a process with a heap of 100 MB allocate a little
 */
#include "tests/bench/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned scale = 100;

static size_t scaled(size_t n)
{
    n = n * scale / 100;
    return n ? n : 1;
}

static void *must(void *block)
{
    if (block == NULL) {
        perror("recursive: allocation failed");
        exit(1);
    }
    return block;
}

/* --- json --- */

struct text {
    char *at;
    size_t used, size;
};

static void put(struct text *t, const char *words)
{
    size_t bytes = strlen(words);
    if (t->used + bytes + 1 > t->size) {
        t->size = 2 * t->size + bytes + 4096;
        t->at = must(realloc(t->at, t->size));
    }
    memcpy(t->at + t->used, words, bytes + 1);
    t->used += bytes;
}

static void write_value(struct text *t, struct rng *rng, unsigned depth)
{
    char number[32];
    unsigned kind = (unsigned)rng_below(rng, depth < 3 ? 2 : 12);
    unsigned n = (unsigned)rng_below(rng, 5) + (depth < 3 ? 5 : 1);
    if (depth > 40 || kind > 3) { /* a container has one on average */
        snprintf(number, sizeof number, kind < 8 ? "\"s%u\"" : "%u",
                 (unsigned)rng_below(rng, 100000));
        put(t, kind == 11 ? "null" : number);
        return;
    }
    put(t, kind & 1 ? "{" : "[");
    for (unsigned i = 0; i < n; i++) {
        if (i)
            put(t, ",");
        snprintf(number, sizeof number, "\"k%u\":", i);
        if (kind & 1)
            put(t, number);
        write_value(t, rng, depth + 1);
    }
    put(t, kind & 1 ? "}" : "]");
}

struct value {
    char kind;
    double number;
    char *string; /* or a member's name */
    struct value *first, *next;
};

struct parser {
    const char *at;
    size_t values;
};

static struct value *parse_value(struct parser *p);

static struct value *new_value(struct parser *p, char kind)
{
    struct value *v = must(malloc(sizeof *v));
    memset(v, 0, sizeof *v);
    v->kind = kind;
    p->values++;
    return v;
}

static char *parse_text(struct parser *p)
{
    const char *end = strchr(++p->at, '"');
    char *copy = must(malloc((size_t)(end - p->at) + 1));
    memcpy(copy, p->at, (size_t)(end - p->at));
    copy[end - p->at] = 0;
    p->at = end + 1;
    return copy;
}

static __attribute__((noinline)) struct value *parse_array(struct parser *p)
{
    struct value *v = new_value(p, '['), **link = &v->first;
    while (*p->at++ != ']') {
        *link = parse_value(p);
        link = &(*link)->next;
    }
    return v;
}

static __attribute__((noinline)) struct value *parse_object(struct parser *p)
{
    struct value *v = new_value(p, '{'), **link = &v->first;
    while (*p->at++ != '}') {
        char *name = parse_text(p);
        p->at++; /* the colon */
        *link = parse_value(p);
        (*link)->string = (*link)->string ? (free(name), (*link)->string)
                                          : name;
        link = &(*link)->next;
    }
    return v;
}

static __attribute__((noinline)) struct value *parse_string(struct parser *p)
{
    struct value *v = new_value(p, 's');
    v->string = parse_text(p);
    return v;
}

static __attribute__((noinline)) struct value *parse_number(struct parser *p)
{
    char *end;
    struct value *v = new_value(p, 'n');
    v->number = strtod(p->at, &end);
    p->at = end;
    return v;
}

static __attribute__((noinline)) struct value *parse_value(struct parser *p)
{
    struct value *v;
    switch (*p->at) {
    case '[':
        v = parse_array(p);
        break;
    case '{':
        v = parse_object(p);
        break;
    case '"':
        v = parse_string(p);
        break;
    case 'n':
        v = new_value(p, '0');
        p->at += 4;
        break;
    default:
        v = parse_number(p);
    }
    __asm__ volatile("" : "+r"(v)); /* no tail calls */
    return v;
}

static void json(void)
{
    struct text t = {0};
    struct rng rng = rng_start(11);
    size_t values = 0;
    do { /* documents of a few levels at least, deep ones among them */
        t.used = 0;
        write_value(&t, &rng, 0);
        struct parser p = {.at = t.at};
        parse_value(&p);
        values += p.values;
    } while (values < scaled(2000000));
    printf("%zu values\n", values);
}

/* --- cubes --- */

enum { WORDS = 2, VARIABLES = 24 };

struct cover {
    unsigned n;
    uint64_t *cube[];
};

static uint64_t *new_cube(void)
{
    return must(malloc(WORDS * sizeof(uint64_t)));
}

static struct cover *new_cover(unsigned n)
{
    struct cover *c = must(malloc(sizeof *c + n * sizeof c->cube[0]));
    c->n = 0;
    return c;
}

static void free_cover(struct cover *c)
{
    for (unsigned i = 0; i < c->n; i++)
        free(c->cube[i]);
    free(c);
}

static uint64_t *copy_cube(const uint64_t *from)
{
    return memcpy(new_cube(), from, WORDS * sizeof *from);
}

/* The cubes that allow the literal, without it. */
static __attribute__((noinline)) struct cover *
cofactor(const struct cover *c, unsigned variable, unsigned value)
{
    struct cover *out = new_cover(c->n);
    for (unsigned i = 0; i < c->n; i++)
        if (!(c->cube[i][1 - value] >> variable & 1)) {
            uint64_t *cube = out->cube[out->n++] = copy_cube(c->cube[i]);
            cube[value] &= ~(UINT64_C(1) << variable);
        }
    return out;
}

static unsigned busiest(const struct cover *c)
{
    unsigned best = 0, most = 0;
    for (unsigned v = 0; v < VARIABLES; v++) {
        unsigned n = 0;
        for (unsigned i = 0; i < c->n; i++)
            n += (unsigned)((c->cube[i][0] | c->cube[i][1]) >> v & 1);
        if (n > most) {
            most = n;
            best = v;
        }
    }
    return best;
}

static struct cover *complement(struct cover *c);

static __attribute__((noinline)) struct cover *
merge(struct cover *low, struct cover *high, unsigned variable)
{
    struct cover *out = new_cover(low->n + high->n);
    for (unsigned i = 0; i < low->n; i++) {
        out->cube[out->n] = copy_cube(low->cube[i]);
        out->cube[out->n++][0] |= UINT64_C(1) << variable;
    }
    for (unsigned i = 0; i < high->n; i++) {
        out->cube[out->n] = copy_cube(high->cube[i]);
        out->cube[out->n++][1] |= UINT64_C(1) << variable;
    }
    free_cover(low);
    free_cover(high);
    return out;
}

static __attribute__((noinline)) struct cover *split(struct cover *c)
{
    unsigned variable = busiest(c);
    struct cover *low = complement(cofactor(c, variable, 0));
    struct cover *high = complement(cofactor(c, variable, 1));
    struct cover *out = merge(low, high, variable);
    while (out->n > 40)
        free(out->cube[--out->n]); /* or it takes too long */
    free_cover(c);
    return out;
}

static __attribute__((noinline)) struct cover *complement(struct cover *c)
{
    struct cover *out;
    for (unsigned i = 0; i < c->n; i++)
        if (!(c->cube[i][0] | c->cube[i][1])) {
            free_cover(c); /* it covers all */
            return new_cover(0);
        }
    if (c->n > 0)
        out = split(c);
    else {
        out = new_cover(1);
        out->cube[out->n++] = memset(new_cube(), 0, WORDS * sizeof(uint64_t));
        free_cover(c);
    }
    __asm__ volatile("" : "+r"(out));
    return out;
}

static void cubes(void)
{
    struct rng rng = rng_start(12);
    size_t sum = 0;
    for (size_t round = scaled(150); round--;) {
        struct cover *c = new_cover(30);
        for (unsigned i = 0; i < 30; i++) {
            uint64_t *cube = c->cube[c->n++] = new_cube();
            uint64_t cares = rng_next(&rng) & rng_next(&rng);
            uint64_t bits = rng_next(&rng);
            cares &= (UINT64_C(1) << VARIABLES) - 1;
            cube[0] = cares & bits;
            cube[1] = cares & ~bits;
        }
        c = complement(c);
        sum += c->n;
        free_cover(c);
    }
    printf("%zu cubes\n", sum);
}

/* --- distinct --- */

enum { STACKS = 100000, DEPTH = 30, BITS = 17 };

static uintptr_t down(uint32_t way, unsigned depth);

#define TURN(n)                                                                \
    static __attribute__((noinline)) uintptr_t turn_##n(uint32_t way,          \
                                                        unsigned depth)        \
    {                                                                          \
        uintptr_t sum = down(way >> 1, depth);                                 \
        __asm__ volatile("nop # " #n : "+r"(sum));                             \
        return sum + n;                                                        \
    }
TURN(0)
TURN(1)

/* The first calls part, as many as there are bits; the others are the same. */
static __attribute__((noinline)) uintptr_t down(uint32_t way, unsigned depth)
{
    uintptr_t sum;
    if (depth == DEPTH) {
        char *block = must(malloc(24 + depth));
        *(volatile char *)block = 1;
        sum = (uintptr_t)block & 1;
        free(block);
    } else {
        sum = way & 1 ? turn_1(way, depth + 1) : turn_0(way, depth + 1);
    }
    __asm__ volatile("" : "+r"(sum));
    return sum;
}

static void distinct(void)
{
    struct rng rng = rng_start(13);
    uintptr_t sum = 0;
    for (size_t n = scaled(3000000); n--;)
        sum += down((uint32_t)rng_below(&rng, STACKS), 0);
    printf("%u\n", (unsigned)sum);
}

/* --- fork --- */

enum { HEAP_BLOCKS = 100000, BLOCK_BYTES = 1000, CHILD_BLOCKS = 1000 };

static void child(void)
{
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        memset(must(malloc(BLOCK_BYTES)), 1, BLOCK_BYTES);
    _exit(0);
}

static void forks(void)
{
    unsigned failed = 0;
    for (size_t i = 0; i < HEAP_BLOCKS; i++)
        memset(must(malloc(BLOCK_BYTES)), 1, BLOCK_BYTES);
    for (size_t n = scaled(100); n--;) {
        int status = 1;
        pid_t pid = fork();
        if (pid == 0)
            child();
        failed += pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
    }
    printf("%u failed\n", failed);
}

static const struct {
    const char *name;
    void (*run)(void);
} programs[] = {
    {"json", json},
    {"cubes", cubes},
    {"distinct", distinct},
    {"fork", forks},
};

int main(int argc, char **argv)
{
    if (argc > 2)
        scale = (unsigned)strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (argc > 1 && strcmp(argv[1], programs[i].name) == 0) {
            programs[i].run();
            return 0;
        }
    fputs("recursive: json, cubes, distinct or fork\n", stderr);
    return 1;
}
