/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MEMTRACE=key=value:key=value.  A bad key or value is one line on stderr, and
 * the default.  docs/memtrace-preload.7 documents the keys.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/exit/at_exit.h"
#include "heap/exit/save_at.h"
#include "heap/capture/capture.h"
#include "heap/page_kinds.h"
#include "heap/raw_print.h"

#include <string.h>

static void config_complain(const char *item, size_t length, const char *why)
{
    char text[200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: MEMTRACE: '");
    mt_print_bytes(&out, item, length < 80 ? length : 80);
    mt_print(&out, "' ");
    mt_print(&out, why);
    mt_print(&out, "; using the default\n");
    mt_print_flush(&out);
}

/* 123, 64K, 5M, 2G */
static bool config_number(const char *text, size_t length, uint64_t most,
                          uint64_t *value)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
            return false;
    if (i == 0)
        return false;
    if (i < length) {
        unsigned shift = text[i] == 'K' || text[i] == 'k'   ? 10
                         : text[i] == 'M' || text[i] == 'm' ? 20
                         : text[i] == 'G' || text[i] == 'g' ? 30
                                                            : 0;
        if (shift == 0 || n > UINT64_MAX >> shift)
            return false;
        n <<= shift;
        i++;
    }
    if (i < length || n > most)
        return false;
    *value = n;
    return true;
}

static bool config_choice(const char *text, size_t length, const char *no,
                          const char *yes, bool *value)
{
    bool is_yes = strlen(yes) == length && memcmp(text, yes, length) == 0;
    bool is_no = strlen(no) == length && memcmp(text, no, length) == 0;
    if (is_yes || is_no)
        *value = is_yes;
    return is_yes || is_no;
}

static bool config_mode(const char *value, size_t length, uint32_t bit,
                        const char **why)
{
    bool on = false;
    *why = "takes on or off";
    if (!config_choice(value, length, "off", "on", &on))
        return false;
    mt_config.modes = on ? mt_config.modes | bit : mt_config.modes & ~bit;
    return true;
}

static bool config_share(const char *value, size_t length, bool grown,
                         uint32_t *percent, uint64_t *bytes)
{
    bool plus = grown && length && value[0] == '+';
    bool share = length && value[length - 1] == '%';
    uint64_t n;
    if (!config_number(value + plus, length - plus - share, UINT64_MAX, &n) ||
        n == 0 || (share && n > (grown ? 1000 : 99)))
        return false;
    *percent = share ? (uint32_t)n : 0;
    *bytes = share ? 0 : n;
    return true;
}

#define KEY(name)                                                              \
    (key_length == sizeof name - 1 && !memcmp(key, name, key_length))

/* Keys of the main heap's memory; false if it is none of these. */
static bool set_memory(const char *key, size_t key_length, const char *value,
                       size_t length, const char **why, bool *good)
{
    uint64_t n = 0;
    bool on = false;
    if (KEY("page_size")) {
        *why = "takes 4K, 2M or 1G";
        *good = config_number(value, length, UINT64_C(1) << 30, &n) &&
                (n == 4096 || n == 1 << 21 || n == 1 << 30);
        mt_config.page_size = *good ? n : mt_config.page_size;
    } else if (KEY("page_fallback")) {
        *why = "takes on or off";
        *good =
            config_choice(value, length, "off", "on", &mt_config.page_fallback);
    } else if (KEY("thp")) {
        *why = "takes on or off";
        *good = config_choice(value, length, "off", "on", &on);
        if (*good)
            mt_config.thp = on ? MT_THP_ON : MT_THP_OFF;
    } else if (KEY("numa")) {
        *why = "takes nodes from 0 to 63, as 0,2-3";
        *good = length < sizeof mt_config.numa &&
                mt_memory_nodes(value, length, &n);
        if (*good) {
            memset(mt_config.numa, 0, sizeof mt_config.numa);
            memcpy(mt_config.numa, value, length);
        }
    } else {
        return false;
    }
    return true;
}

/* Keys of the files that the process writes. */
static bool set_files(const char *key, size_t key_length, const char *value,
                      size_t length, const char **why, bool *good)
{
    uint32_t percent;
    uint64_t n;
    if (KEY("save_at") || KEY("core_at")) {
        *why = "takes a share from 1% to 99%, or bytes, as 512M";
        *good = config_share(value, length, false, &percent, &n);
        if (*good)
            mt_save_at_set(key[0] == 'c', percent, n);
    } else if (KEY("save_every")) {
        *why = "takes a growth, as +10% or +64M";
        *good = config_share(value, length, true, &percent, &n);
        if (*good)
            mt_save_every_set(percent, n);
    } else if (KEY("keep")) {
        *why = "takes a number of files from 1 to 64, or 0 for all";
        *good = config_number(value, length, UINT32_MAX, &n) && mt_exit_keep(n);
    } else if (KEY("box")) {
        *why = "takes an absolute name of a file on a tmpfs";
        *good = mt_box_set(value, length);
    } else if (KEY("save") || KEY("core")) {
        *why = "takes a name of a file";
        *good = mt_exit_set(key[0] == 'c', value, length);
        if (*good)
            mt_exit_want(key[0] == 'c');
    } else {
        return false;
    }
    return true;
}

static bool config_set(const char *key, size_t key_length, const char *value,
                       size_t length, const char **why)
{
    uint64_t n;
    bool good = false;
    if (KEY("trace")) {
        *why = "takes on or off";
        return config_choice(value, length, "off", "on", &mt_config.trace);
    }
    if (KEY("on_error")) {
        *why = "takes abort or report";
        return config_choice(value, length, "report", "abort",
                             &mt_config.abort_on_error);
    }
    if (KEY("on_oom")) {
        *why = "takes null or abort";
        return config_choice(value, length, "null", "abort",
                             &mt_config.abort_on_oom);
    }
    if (KEY("depth")) {
        *why = "takes a number from 1 to 1024";
        if (!config_number(value, length, 1024, &n) || n == 0)
            return false;
        mt_config.depth = (uint32_t)n;
        return true;
    }
    if (KEY("sample")) {
        *why = "takes a mean number of bytes, as 512K; 0 for all";
        return config_number(value, length, UINT64_C(1) << 40,
                             &mt_config.sample);
    }
    if (KEY("stacks")) {
        *why = "takes a number of bytes, 64K or more, as 16M";
        good = config_number(value, length, UINT64_MAX, &n) && n >= 65536;
        mt_config.stacks = good ? n : mt_config.stacks;
        return good;
    }
    if (KEY("limit")) {
        *why = "takes a number of bytes, as 512M";
        return config_number(value, length, UINT64_MAX, &mt_config.limit);
    }
    if (KEY("quarantine")) {
        *why = "takes a number of bytes, as 16M";
        return config_number(value, length, UINT64_MAX, &mt_config.quarantine);
    }
    if (set_memory(key, key_length, value, length, why, &good))
        return good;
    if (KEY("guard"))
        return config_mode(value, length, MT_MODE_GUARD, why);
    if (KEY("fill_free"))
        return config_mode(value, length, MT_MODE_FILL_FREE, why);
    if (KEY("fill_alloc"))
        return config_mode(value, length, MT_MODE_FILL_ALLOC, why);
    if (KEY("clean"))
        return config_mode(value, length, MT_MODE_CLEAN, why);
    if (KEY("memo_kib")) {
        *why = "takes a number from 0 to 1048576";
        good = config_number(value, length, 1 << 20, &n);
        mt_memo_kib = good ? (uint32_t)n : mt_memo_kib;
        return good;
    }
    if (KEY("verify")) {
        bool verify = false;
        *why = "takes 0 or 1";
        if (!config_choice(value, length, "0", "1", &verify))
            return false;
        mt_capture_verify = verify;
        return true;
    }
    if (set_files(key, key_length, value, length, why, &good))
        return good;
#undef KEY
    *why = "is not a key of memtrace-preload(7)";
    return false;
}

MT_COLD void mt_config_read(const char *text)
{
    while (*text) {
        size_t length = 0;
        const char *equals = NULL; /* memchr() is in a page of its own */
        for (; text[length] && text[length] != ':'; length++)
            if (text[length] == '=' && !equals)
                equals = text + length;
        const char *why = "is not key=value";
        if (length && (!equals ||
                       !config_set(text, (size_t)(equals - text), equals + 1,
                                   length - (size_t)(equals - text) - 1, &why)))
            config_complain(text, length, why);
        text += length + (text[length] == ':');
    }
    const char *lacks = mt_save_at_is_set ? mt_save_at_lacks() : NULL;
    if (lacks)
        config_complain(lacks, strlen(lacks),
                        lacks[0] == 'c' ? "needs core=FILE"
                                        : "needs save=FILE");
}
