/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_policy.c - patterns of suppressions, their files, fingerprints and
 * baselines, and the writers given names of any bytes.
 */
#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/base/xml.h"
#include "tests/unit.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct mt_leak_frame stack[] = {
    {.function = "lose",
     .linkage = "lose",
     .module = "/opt/app/bin/app",
     .file = "/src/app/lose.c",
     .line = 24},
    {.function = "app::cache<int>::fill",
     .module = "/opt/app/bin/app",
     .linkage = "_ZN3app5cacheIiE4fillEl",
     .full = "app::cache<int>::fill(long)",
     .file = "/src/app/cache.cc",
     .line = 7,
     .inlined = true},
    {.module = "/opt/app/lib/libplug.so.1.2", .module_offset = 0x123},
    {.function = "main", .linkage = "main", .module = "/opt/app/bin/app"},
    {.function = "__libc_start_call_main", .module = "/lib/libc.so.6"},
};
#define N_FRAMES (sizeof stack / sizeof *stack)

static struct mt_leak a_loss(unsigned kind)
{
    return (struct mt_leak){.kind = kind,
                            .bytes = 300,
                            .count = 3,
                            .frames = stack,
                            .n_frames = N_FRAMES};
}

static bool parse(struct mt_suppressions *set, const char *text,
                  struct mt_error *error)
{
    memset(set, 0, sizeof *set);
    memset(error, 0, sizeof *error);
    return mt_suppressions_parse(set, "file", text, error);
}

static bool suppresses(const char *text, unsigned kind)
{
    struct mt_suppressions set;
    struct mt_error error;
    struct mt_leak leak = a_loss(kind);
    bool found;

    CU_ASSERT_TRUE_FATAL(parse(&set, text, &error));
    found = mt_suppress(&set, &leak) != NULL;
    mt_suppressions_free(&set);
    return found;
}

static void leak_patterns(void)
{
    static const struct {
        const char *pattern;
        bool matches;
    } cases[] = {
        {"lose", true},           {"los", true},         {"ose", true},
        {"^lose$", true},         {"^los$", false},      {"^ose", false},
        {"lose$", true},          {"los$", false},       {"l*e", true},
        {"^l*e$", true},          {"^l*s$", false},      {"*", true},
        {"cache<*>::fill", true}, {"fill(long)$", true}, {"^app::", true},
        {"^fill", false},         {"libplug.so", true},  {"^libplug", false},
        {"/lib*plug*1.2$", true}, {"plug*1.1", false},   {"cache.cc", true},
        {"cache.c$", false},      {"nobody", false},     {"_ZN3app", false},
        {"a*b*c*d*e*zz", false},  {"main*main", false},  {"^main*main", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        snprintf(text, sizeof text, "# a comment\n\n  leak:%s\r\n",
                 cases[i].pattern);
        if (suppresses(text, MT_LEAK_DEFINITE) != cases[i].matches)
            printf("  leak:%s\n", cases[i].pattern);
        CU_ASSERT_EQUAL(suppresses(text, MT_LEAK_DEFINITE), cases[i].matches);
    }
}

static bool valgrind(const char *frames, unsigned kind)
{
    char text[500];

    snprintf(text, sizeof text, "{\n   a name\n   Memcheck:Leak\n%s\n}\n",
             frames);
    return suppresses(text, kind);
}

static void valgrind_patterns(void)
{
    static const struct {
        const char *frames;
        bool matches;
    } cases[] = {
        {"fun:malloc\nfun:lose", true},
        {"fun:calloc\nfun:lose", true},
        {"fun:_Znwm\nfun:lose", true},
        {"fun:*alloc\nfun:lo?e", true},
        {"fun:lose", false},
        {"fun:malloc", true},
        {"fun:printf", false},
        {"obj:*vgpreload_memcheck*\nfun:lose", true},
        {"fun:malloc\nfun:los", false},
        {"fun:malloc\nfun:lose\nfun:_ZN3app5cache*", true},
        {"fun:malloc\nfun:lose\nfun:app::cache<int>::fill", true},
        {"fun:malloc\nfun:lose\nfun:main", false},
        {"fun:malloc\nfun:lose\n...\nfun:main", true},
        {"fun:malloc\n...\nfun:main", true},
        {"...\nfun:main", true},
        {"...\nfun:nobody", false},
        {"fun:malloc\n...\nfun:lose\n...\nfun:main\n...", true},
        {"fun:malloc\n...\nfun:main\n...\nfun:lose", false},
        {"fun:malloc\n...\nobj:*/libplug.so*\nfun:main", true},
        {"fun:malloc\n...\nobj:libplug.so*\nfun:main", false},
        {"fun:malloc\nsrc:lose.c:24", true},
        {"fun:malloc\nsrc:lose.c", true},
        {"fun:malloc\nsrc:lose.c:25", false},
        {"fun:malloc\n...\nfun:main\nfun:(below main)", true},
        {"fun:malloc\nfun:lose@@APP_1", true},
        {"match-leak-kinds: definite\nfun:malloc", true},
        {"match-leak-kinds:all\nfun:malloc", true},
        {"match-leak-kinds: reachable, possible\nfun:malloc", false},
        {"match-leak-kinds: none\nfun:malloc", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool matches = valgrind(cases[i].frames, MT_LEAK_DEFINITE);
        if (matches != cases[i].matches)
            printf("  %s\n", cases[i].frames);
        CU_ASSERT_EQUAL(matches, cases[i].matches);
    }
    CU_ASSERT_TRUE(valgrind("match-leak-kinds: reachable,possible\nfun:malloc",
                            MT_LEAK_POSSIBLE));
}

/* Entries of other tools are passed over. */
static void other_tools(void)
{
    static const char text[] = "{\n  one\n  Helgrind:Race\n  fun:x\n}\n"
                               "{\n two\n Memcheck:Param\n write(buf)\n"
                               " fun:y\n}\n# between\n{\n three\n"
                               " Addrcheck,Memcheck:Leak\n fun:malloc\n}\n"
                               "leak:also\n";
    struct mt_suppressions set;
    struct mt_error error;

    CU_ASSERT_TRUE(parse(&set, text, &error));
    CU_ASSERT_EQUAL(set.n, 2);
    CU_ASSERT_STRING_EQUAL(set.all[0].name, "three");
    CU_ASSERT_EQUAL(set.all[0].line, 13);
    CU_ASSERT_STRING_EQUAL(set.all[1].name, "leak:also");
    mt_suppressions_free(&set);
}

static void bad_suppressions(void)
{
    static const char *const cases[][2] = {
        {"leak:a\nlaek:b\n", "file:2: "},
        {"leak:\n", "file:1: "},
        {"race:foo", "file:1: "},
        {"\n\n{\n name\n Memcheck:Leak\n fun:x\n", "file:3: "},
        {"{\n name\n Leak\n}\n", "file:3: "},
        {"{\n}\n", "file:2: "},
        {"{\n name\n Memcheck:Leak\n}\n", "file:4: "},
        {"{\n name\n Memcheck:Leak\n ...\n}\n", "file:5: "},
        {"{\n name\n Memcheck:Leak\n gun:x\n}\n", "file:4: "},
        {"{\n name\n Memcheck:Leak\n match-leak-kinds: lost\n fun:x\n}\n",
         "file:4: "},
        {"{\n name\n Helgrind:Race\n fun:x\n", "file:1: "},
        {"{\n", "file:1: "},
        {"{\n name\n", "file:2: "},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mt_suppressions set;
        struct mt_error error;
        CU_ASSERT_FALSE(parse(&set, cases[i][0], &error));
        if (strncmp(error.text, cases[i][1], strlen(cases[i][1])) != 0)
            printf("  %s\n", error.text);
        CU_ASSERT_EQUAL(strncmp(error.text, cases[i][1], strlen(cases[i][1])),
                        0);
        mt_suppressions_free(&set);
    }
}

/* Patterns made to be slow are not. */
static void long_patterns(void)
{
    enum { STARS = 2000, NAME = 20000 };
    char *pattern = calloc(1, 2 * STARS + 20), *name = calloc(1, NAME + 1);
    struct mt_leak_frame frame = {.function = name};
    struct mt_leak leak = {.frames = &frame, .n_frames = 1};
    struct mt_suppressions set;
    struct mt_error error;

    memset(name, 'a', NAME);
    strcpy(pattern, "leak:^");
    for (size_t i = 0; i < STARS; i++)
        memcpy(pattern + 6 + 2 * i, "a*", 2);
    strcat(pattern, "b$");
    CU_ASSERT_TRUE(parse(&set, pattern, &error));
    CU_ASSERT_PTR_NULL(mt_suppress(&set, &leak));
    mt_suppressions_free(&set);
    free(pattern);
    free(name);
}

static void generated(void)
{
    struct mt_leak leak = a_loss(MT_LEAK_POSSIBLE), other = leak;
    struct mt_leak_frame frames[N_FRAMES];
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    struct mt_suppressions set;
    struct mt_error error;

    mt_print_suppression_of(&leak, out);
    fclose(out);
    CU_ASSERT_TRUE(parse(&set, text, &error));
    CU_ASSERT_PTR_NOT_NULL(mt_suppress(&set, &leak));
    CU_ASSERT_EQUAL(set.all[0].blocks, 3);
    other.kind = MT_LEAK_DEFINITE;
    CU_ASSERT_PTR_NULL(mt_suppress(&set, &other));
    other.kind = MT_LEAK_POSSIBLE;
    other.frames = frames;
    for (size_t i = 0; i < 4; i++) {
        memcpy(frames, stack, sizeof stack);
        frames[i].function = frames[i].linkage = "another";
        frames[i].module = "/another";
        CU_ASSERT_PTR_NULL(mt_suppress(&set, &other));
    }
    mt_suppressions_free(&set);
    free(text);
}

static uint64_t print_of(struct mt_leak_frame *frames, size_t n)
{
    return mt_fingerprint(frames, n);
}

/* Changes by a rebuild do not matter; changes that make another leak do. */
static void fingerprints(void)
{
    struct mt_leak_frame f[N_FRAMES + 1];
    uint64_t print = print_of(stack, N_FRAMES);

    memcpy(f, stack, sizeof stack);
    for (size_t i = 0; i < N_FRAMES; i++) {
        f[i].line += 3;
        f[i].pc += 0x1000;
        f[i].module_offset += 0x1000;
    }
    f[0].function = "lose.isra.0.cold";
    f[1].file = "/elsewhere/cache.cc";
    f[2].module = "/usr/lib/libplug.so.1.3";
    f[4].function = "__libc_start_main";
    CU_ASSERT_EQUAL(print_of(f, N_FRAMES), print);
    memmove(&f[1], &f[0], N_FRAMES * sizeof *f);
    CU_ASSERT_EQUAL(print_of(f, N_FRAMES + 1), print);
    memcpy(f, stack, sizeof stack);
    f[0].function = "lose2";
    CU_ASSERT_NOT_EQUAL(print_of(f, N_FRAMES), print);
    memcpy(f, stack, sizeof stack);
    f[2].module = "/opt/app/lib/libother.so";
    CU_ASSERT_NOT_EQUAL(print_of(f, N_FRAMES), print);
    CU_ASSERT_NOT_EQUAL(print_of(stack + 1, N_FRAMES - 1), print);
    /* The files of baselines hold it. */
    CU_ASSERT_EQUAL(print_of(stack, 1), UINT64_C(0x5208109b194afd7a));
}

static bool read_text(struct mt_baseline *baseline, const char *text,
                      struct mt_error *error)
{
    char path[] = "/tmp/memtrace-unit-XXXXXX";
    int fd = mkstemp(path);
    bool ok;

    CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    memset(error, 0, sizeof *error);
    ok = mt_baseline_read(baseline, path, error);
    unlink(path);
    return ok;
}

static void baselines(void)
{
    static const char text[] = "memtrace-baseline 1\n# comment\n\n"
                               "possible * 1 00000000000000ff x < main\n"
                               "definite 3 300 000000000000000f lose < main\n";
    static const char *const bad[] = {
        "",
        "memtrace-baseline 2\n",
        "definite 3 300 0f lose\n",
        "memtrace-baseline 1\nlost 3 300 000000000000000f lose\n",
        "memtrace-baseline 1\ndefinite 3 300 00000000000000g0 lose\n",
        "memtrace-baseline 1\ndefinite x 300 000000000000000f lose\n",
        "memtrace-baseline 1\ndefinite 3 000000000000000f\n"};
    struct mt_leak leak = {
        .kind = MT_LEAK_DEFINITE, .count = 3, .fingerprint = 0xf};
    struct mt_baseline baseline;
    struct mt_error error;
    uint64_t count;

    CU_ASSERT_TRUE(read_text(&baseline, text, &error));
    CU_ASSERT_EQUAL(baseline.n, 2);
    CU_ASSERT_EQUAL(mt_baseline_find(&baseline, &leak, &count), MT_LEAK_KNOWN);
    leak.count = 4;
    CU_ASSERT_EQUAL(mt_baseline_find(&baseline, &leak, &count), MT_LEAK_GROWN);
    CU_ASSERT_EQUAL(count, 3);
    leak.kind = MT_LEAK_POSSIBLE;
    CU_ASSERT_EQUAL(mt_baseline_find(&baseline, &leak, &count), MT_LEAK_NEW);
    leak.fingerprint = 0xff;
    CU_ASSERT_EQUAL(mt_baseline_find(&baseline, &leak, &count), MT_LEAK_KNOWN);
    mt_baseline_free(&baseline);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_FALSE(read_text(&baseline, bad[i], &error));
        CU_ASSERT_PTR_NOT_NULL(strchr(error.text, ':'));
        mt_baseline_free(&baseline);
    }
}

static void xml_text(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    mt_xml_put(out, "a<b>&\"'\n\x01\xff\xed\xa0\x80\xef\xbf\xbf\xc3\xa9]]>");
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text,
                           "a&#60;b&#62;&#38;&#34;&#39;&#10;\xef\xbf\xbd"
                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                           "\xef\xbf\xbd\xc3\xa9]]&#62;");
    free(text);
}

/* A full disk, a folder that is not there, a limit on the size of files. */
static void outputs(void)
{
    struct mt_output output;
    struct mt_error error = {0};

    CU_ASSERT_TRUE_FATAL(mt_output_open(&output, "/dev/full", 0666, &error));
    fputs("text", output.file);
    CU_ASSERT_FALSE(mt_output_close(&output, true, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/dev/full: No space left"));
    CU_ASSERT_FALSE(mt_output_open(&output, "/does/not/exist/x", 0666, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/does/not/exist/x"));
    CU_ASSERT_FALSE(mt_output_open(&output, "/tmp", 0666, &error));
}

static const struct unit_test tests[] = {
    {"patterns of LeakSanitizer", leak_patterns},
    {"patterns of Valgrind", valgrind_patterns},
    {"entries of other tools", other_tools},
    {"suppressions that are wrong", bad_suppressions},
    {"patterns made to be slow", long_patterns},
    {"generated suppressions", generated},
    {"fingerprints", fingerprints},
    {"baselines", baselines},
    {"text in XML", xml_text},
    {"files that cannot be written", outputs},
};
UNIT_MAIN(tests)
