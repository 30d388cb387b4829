/* SPDX-License-Identifier: BSD-2-Clause */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mt_fail(struct mt_error *error, const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return false;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *p = error->text; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    error->status = 1;
    return false;
}

bool mt_grow(void *array, size_t *capacity, size_t needed, size_t item_bytes)
{
    void *old, *fresh;
    size_t target = *capacity ? *capacity : 16;

    if (needed <= *capacity)
        return true;
    while (target < needed)
        target = target > SIZE_MAX / 2 ? needed : target * 2;
    if (target > SIZE_MAX / item_bytes)
        return false;
    memcpy(&old, array, sizeof old);
    fresh = realloc(old, target * item_bytes);
    if (fresh == NULL)
        return false;
    memset((char *)fresh + *capacity * item_bytes, 0,
           (target - *capacity) * item_bytes);
    memcpy(array, &fresh, sizeof fresh);
    *capacity = target;
    return true;
}

uint64_t mt_clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct mt_string_pool {
    char **items;
    size_t n, capacity;
};

struct mt_string_pool *mt_string_pool_new(void)
{
    return calloc(1, sizeof(struct mt_string_pool));
}

const char *mt_string_pool_add(struct mt_string_pool *strings, const char *text,
                               size_t length)
{
    char *copy;

    if (strings->n > 0) {
        const char *last = strings->items[strings->n - 1];
        if (strlen(last) == length && memcmp(last, text, length) == 0)
            return last;
    }
    if (!mt_grow(&strings->items, &strings->capacity, strings->n + 1,
                 sizeof *strings->items))
        return NULL;
    copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    strings->items[strings->n++] = copy;
    return copy;
}

void mt_string_pool_free(struct mt_string_pool *strings)
{
    if (strings == NULL)
        return;
    for (size_t i = 0; i < strings->n; i++)
        free(strings->items[i]);
    free(strings->items);
    free(strings);
}
