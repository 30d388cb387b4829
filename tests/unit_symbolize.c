/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbolizer on programs that the tests compile: every form of DWARF that
 * the compilers here make, debug files apart, files that do not match.
 */
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/symbols/symbolize.h"
#include "tests/unit.h"

#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/unit_symbolize.XXXXXX";

/* `here` labels code of inner, inlined into middle, inlined into outer; the
 * line numbers below count from the first line of this text. */
static const char program_c[] =
    "extern int sink;\n"
    "static inline __attribute__((always_inline)) int inner(int x)\n"
    "{\n"
    "    __asm__ volatile(\".globl here\\nhere: nop\" ::: \"memory\");\n"
    "    return x + 1;\n"
    "}\n"
    "static inline __attribute__((always_inline)) int middle(int x)\n"
    "{\n"
    "    sink = x;\n"
    "    return inner(x);\n"
    "}\n"
    "__attribute__((noinline)) int outer(int x)\n"
    "{\n"
    "    sink = x + 1;\n"
    "    return middle(x) + sink;\n"
    "}\n"
    "int sink;\n"
    "__attribute__((noinline)) int caller(int x)\n"
    "{\n"
    "    return outer(x) * 3;\n"
    "}\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    (void)argv;\n"
    "    return caller(argc);\n"
    "}\n";

static bool run(const char *format, ...)
{
    char command[4096];
    int used = snprintf(command, sizeof(command), "(cd %s && ", folder);
    va_list arguments;

    va_start(arguments, format);
    used += vsnprintf(command + used, sizeof(command) - (size_t)used, format,
                      arguments);
    va_end(arguments);
    snprintf(command + used, sizeof(command) - (size_t)used,
             ") </dev/null >/dev/null 2>&1");
    return system(command) == 0;
}

static void write_text(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    if (file == NULL) { /* called before there is a test, too */
        perror(path);
        exit(1);
    }
    fputs(text, file);
    fclose(file);
}

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* The value of a symbol by the full table, or the exported ones. */
static uint64_t symbol(const char *file, const char *name)
{
    struct mt_elf *elf = mt_elf_open(path_of(file), NULL);
    uint64_t value = 0;

    for (size_t i = 0; elf != NULL && i < elf->n_sections; i++) {
        const struct mt_elf_section *table = &elf->sections[i];

        if (table->type != SHT_SYMTAB && table->type != SHT_DYNSYM)
            continue;
        const char *names =
            (const char *)elf->data + elf->sections[table->link].offset;
        for (size_t at = 0; at < table->bytes; at += sizeof(Elf64_Sym)) {
            Elf64_Sym found;

            memcpy(&found, elf->data + table->offset + at, sizeof(found));
            if (strcmp(names + found.st_name, name) == 0)
                value = found.st_value;
        }
    }
    mt_elf_close(elf);
    return value;
}

static struct mt_symbolizer *new_symbolizer(const char *debug_dir)
{
    const char *dirs[] = {debug_dir, NULL};
    struct mt_symbolizer_options options = {.debug_dirs = dirs,
                                            .no_debuginfod = true};

    return mt_symbolizer_new(&options);
}

static bool is(const char *text, const char *expected)
{
    if (text != NULL && strcmp(text, expected) == 0)
        return true;
    printf("  \"%s\" is not \"%s\"\n", text != NULL ? text : "(null)",
           expected);
    return false;
}

static bool ends(const char *text, const char *expected)
{
    size_t length = text != NULL ? strlen(text) : 0, end = strlen(expected);

    return length >= end && is(text + length - end, expected);
}

/* The three frames of `here` in FILE, whose debug data may lie elsewhere. */
static bool check_here(const char *file, uint64_t here, uint64_t outer,
                       const char *debug_dir)
{
    static const char *const functions[] = {"inner", "middle", "outer"};
    static const unsigned lines[] = {4, 10, 15};
    struct mt_symbolizer *symbolizer = new_symbolizer(debug_dir);
    struct mt_symbol_module module = {.path = path_of(file)};
    struct mt_symbol_frame frames[8];
    enum mt_symbol_quality quality;
    size_t n =
        mt_symbolize(symbolizer, &module, here, false, frames, 8, &quality);

    CU_ASSERT_EQUAL(quality, MT_SYMBOL_DWARF);
    CU_ASSERT_EQUAL(n, 3);
    for (size_t i = 0; i < n && i < 3; i++) {
        CU_ASSERT(is(frames[i].function, functions[i]));
        CU_ASSERT(ends(frames[i].file, "/program.c"));
        CU_ASSERT(frames[i].file != NULL && frames[i].file[0] == '/');
        CU_ASSERT_EQUAL(frames[i].line, lines[i]);
        CU_ASSERT_EQUAL(frames[i].inlined, i < 2);
    }
    if (n == 3)
        CU_ASSERT_EQUAL(frames[2].offset, here - outer);
    /* With less room the outermost ones are given. */
    n = mt_symbolize(symbolizer, &module, here, false, frames, 1, NULL);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT(is(frames[0].function, "outer"));
    mt_symbolizer_free(symbolizer);
    return quality == MT_SYMBOL_DWARF;
}

static void compile_and_check(const char *compiler, const char *options)
{
    if (!run("%s -O2 -g %s -c program.c -o program.o", compiler, options) ||
        !run("%s -O2 -g %s program.o -o program", compiler, options)) {
        printf("  not here: %s %s\n", compiler, options);
        return;
    }
    check_here("program", symbol("program", "here"), symbol("program", "outer"),
               "/nonexistent");
}

static void every_version(const char *options)
{
    static const char *const compilers[] = {"gcc", "clang"};
    char all[256];

    for (size_t i = 0; i < 2; i++)
        for (int version = 2; version <= 5; version++) {
            snprintf(all, sizeof(all), "-gdwarf-%d %s", version, options);
            compile_and_check(compilers[i], all);
        }
}

static void versions(void)
{
    every_version("");
}

static void sections(void)
{
    every_version("-ffunction-sections -Wl,--gc-sections");
}

static void other_forms(void)
{
    compile_and_check("gcc", "-gz=zlib");
    compile_and_check("gcc", "-gz=zlib-gnu");
    compile_and_check("gcc", "-gdwarf-4 -fdebug-types-section");
    compile_and_check("gcc", "-gdwarf-5 -fdebug-types-section");
}

static void split(void)
{
    compile_and_check("gcc", "-gdwarf-4 -gsplit-dwarf");
    compile_and_check("gcc", "-gdwarf-5 -gsplit-dwarf");
    compile_and_check("clang", "-gdwarf-4 -gsplit-dwarf");
    compile_and_check("clang", "-gdwarf-5 -gsplit-dwarf");
}

/* gcc's of DWARF 4 by binutils' dwp, clang's of both by llvm-dwp; each fails
 * on some of what the other reads. */
static void packaged(void)
{
    static const char *const ways[][2] = {
        {"gcc -gdwarf-4", "dwp"},
        {"clang -gdwarf-4", "dwp"},
        {"clang -gdwarf-5", "llvm-dwp"},
    };
    unsigned done = 0;

    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT(run("rm -f packaged*"));
        if (!run("%s -O2 -g -gsplit-dwarf -c program.c -o packaged.o",
                 ways[i][0]) ||
            !run("gcc packaged.o -o packaged") ||
            !run("timeout 20 %s -e packaged -o packaged.dwp", ways[i][1]) ||
            !run("rm packaged.dwo"))
            continue;
        check_here("packaged", symbol("packaged", "here"),
                   symbol("packaged", "outer"), "/nonexistent");
        done++;
    }
    if (done == 0)
        unit_skip("no dwp");
}

static void split_lost(void)
{
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    struct mt_symbol_report report;
    struct mt_symbol_frame frames[8];

    CU_ASSERT_FATAL(run("gcc -O2 -g -gsplit-dwarf -c program.c -o lost.o"));
    CU_ASSERT_FATAL(run("gcc lost.o -o lost && rm -f lost.dwo"));
    struct mt_symbol_module module = {.path = path_of("lost")};
    size_t n = mt_symbolize(symbolizer, &module, symbol("lost", "here"), false,
                            frames, 8, NULL);
    /* The line table and the symbols are still there. */
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT(is(frames[0].function, "outer"));
    CU_ASSERT_EQUAL(frames[0].line, 4);
    CU_ASSERT(mt_symbolizer_report(symbolizer, 0, &report));
    CU_ASSERT(report.note != NULL && strstr(report.note, "lost.dwo") != NULL);
    mt_symbolizer_free(symbolizer);
}

/* outer is called by caller: its return address is of line 20. */
static void return_address(void)
{
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    struct mt_symbol_frame at[8], after[8];

    CU_ASSERT_FATAL(run("gcc -O0 -g program.c -o plain"));
    struct mt_symbol_module module = {.path = path_of("plain")};
    uint64_t start = symbol("plain", "caller");
    /* The first byte of the next function, were it a return address, is still
     * of the one before it. */
    uint64_t next = symbol("plain", "main");
    size_t n = mt_symbolize(symbolizer, &module, next, true, after, 8, NULL);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT(is(after[0].function, "caller"));
    CU_ASSERT_EQUAL(after[0].offset, next - start);
    n = mt_symbolize(symbolizer, &module, next, false, at, 8, NULL);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT(is(at[0].function, "main"));
    CU_ASSERT_EQUAL(at[0].offset, 0);
    CU_ASSERT_EQUAL(at[0].line, 23);
    mt_symbolizer_free(symbolizer);
}

/* Reads the build-id of a file into hexadecimal text too. */
static size_t build_id(const char *file, uint8_t *id, char *hex)
{
    struct mt_elf *elf = mt_elf_open(path_of(file), NULL);
    const uint8_t *found;
    size_t bytes = 0;

    if (elf != NULL && mt_elf_build_id(elf, &found, &bytes) && bytes <= 32) {
        memcpy(id, found, bytes);
        for (size_t i = 0; i < bytes; i++)
            sprintf(hex + 2 * i, "%02x", found[i]);
    }
    mt_elf_close(elf);
    return bytes;
}

static void separate_files(void)
{
    uint8_t id[32];
    char hex[65] = "";
    uint64_t here, outer;

    CU_ASSERT_FATAL(run("gcc -O2 -g -Wl,--build-id=sha1 program.c -o apart"));
    here = symbol("apart", "here");
    outer = symbol("apart", "outer");
    CU_ASSERT_EQUAL_FATAL(build_id("apart", id, hex), 20);
    CU_ASSERT_FATAL(run("objcopy --only-keep-debug apart apart.debug && "
                        "strip apart"));
    CU_ASSERT_FATAL(run("mkdir -p dbg/.build-id/%.2s && "
                        "cp apart.debug dbg/.build-id/%.2s/%s.debug",
                        hex, hex, hex + 2));
    char debug_dir[256];
    snprintf(debug_dir, sizeof(debug_dir), "%s", path_of("dbg"));
    check_here("apart", here, outer, debug_dir);
    /* By a link, beside the program and in .debug; without build-ids the CRC
     * decides. */
    CU_ASSERT(run("objcopy --add-gnu-debuglink=apart.debug apart"));
    check_here("apart", here, outer, "/nonexistent");
    CU_ASSERT(run("mkdir -p .debug && mv apart.debug .debug/"));
    check_here("apart", here, outer, "/nonexistent");
    CU_ASSERT(run("objcopy -R .note.gnu.build-id apart noid && "
                  "objcopy -R .note.gnu.build-id .debug/apart.debug "
                  "noid.debug && objcopy -R .gnu_debuglink noid && "
                  "objcopy --add-gnu-debuglink=noid.debug noid"));
    check_here("noid", here, outer, "/nonexistent");
    CU_ASSERT(run("printf x >>noid.debug"));
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    struct mt_symbol_module module = {.path = path_of("noid")};
    struct mt_symbol_frame frame;
    enum mt_symbol_quality quality;
    mt_symbolize(symbolizer, &module, here, false, &frame, 1, &quality);
    CU_ASSERT_EQUAL(quality, MT_SYMBOL_NONE); /* the file has changed */
    mt_symbolizer_free(symbolizer);
}

static void matching(void)
{
    struct mt_symbolizer *symbolizer;
    struct mt_symbol_report report;
    struct mt_symbol_frame frame;
    enum mt_symbol_quality quality;
    uint8_t id[32], other[20] = {1, 2, 3};
    char hex[65] = "", path[256];

    CU_ASSERT_FATAL(run("gcc -O2 -g -Wl,--build-id=sha1 program.c -o match"));
    size_t bytes = build_id("match", id, hex);
    uint64_t here = symbol("match", "here");
    snprintf(path, sizeof(path), "%s", path_of("match"));
    symbolizer = new_symbolizer("/nonexistent");
    struct mt_symbol_module modules[] = {
        {.path = path, .build_id = id, .build_id_bytes = bytes},
        {.path = path, .build_id = other, .build_id_bytes = sizeof(other)},
        {.path = path},
        {.path = "/nonexistent/x", .build_id = id, .build_id_bytes = bytes},
        {.path = "/dev/null"},
        {.path = NULL},
    };
    static const enum mt_symbol_match expected[] = {
        MT_MATCH_BUILD_ID, MT_MATCH_MISMATCH,   MT_MATCH_UNVERIFIED,
        MT_MATCH_MISSING,  MT_MATCH_UNREADABLE, MT_MATCH_MISSING,
    };
    for (size_t i = 0; i < 6; i++) {
        size_t n = mt_symbolize(symbolizer, &modules[i], here, false, &frame, 1,
                                &quality);
        bool known = i == 0 || i == 2;

        CU_ASSERT_EQUAL(n, known);
        CU_ASSERT_EQUAL(quality, known ? MT_SYMBOL_DWARF : MT_SYMBOL_NONE);
        CU_ASSERT(mt_symbolizer_report(symbolizer, i, &report));
        CU_ASSERT_EQUAL(report.match, expected[i]);
        CU_ASSERT_EQUAL(report.note != NULL, !known);
    }
    CU_ASSERT_EQUAL(mt_symbolizer_n_modules(symbolizer), 6);
    CU_ASSERT(mt_symbolizer_report(symbolizer, 0, &report));
    CU_ASSERT(is(report.build_id, hex));
    CU_ASSERT_FALSE(mt_symbolizer_report(symbolizer, 6, &report));
    mt_symbolizer_free(symbolizer);
}

/* Which of the names around one address GDB takes. */
static void symbol_rules(void)
{
    static const char text[] = ".text\n"
                               ".type sized,@function\n"
                               "sized: .skip 16\n .size sized,16\n"
                               ".skip 16\n" /* in nothing */
                               ".globl aaa\n.globl zzz\n"
                               ".type aaa,@function\n.type zzz,@function\n"
                               "aaa: zzz: .skip 16\n"
                               ".size aaa,16\n.size zzz,16\n"
                               "label: .skip 16\n"
                               ".type outer,@function\n.size outer,64\n"
                               ".type inside,@function\n.size inside,8\n"
                               "outer: .skip 16\ninside: .skip 48\n";
    static const struct {
        unsigned at;
        const char *name;
        unsigned offset;
    } expected[] = {{0, "sized", 0},   {15, "sized", 15},  {16, NULL, 0},
                    {32, "zzz", 0},    {47, "zzz", 15},    {48, "label", 0},
                    {63, "label", 15}, {64, "outer", 0},   {81, "inside", 1},
                    {88, "outer", 24}, {127, "outer", 63}, {128, NULL, 0}};
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    enum mt_symbol_quality quality;
    struct mt_symbol_frame frame;

    write_text("rules.s", text);
    CU_ASSERT_FATAL(run("gcc -shared -nostdlib rules.s -o rules"));
    struct mt_symbol_module module = {.path = path_of("rules")};
    uint64_t base = symbol("rules", "sized");
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        size_t n = mt_symbolize(symbolizer, &module, base + expected[i].at,
                                false, &frame, 1, &quality);

        CU_ASSERT_EQUAL(n, expected[i].name != NULL);
        if (n == 1 && expected[i].name != NULL) {
            CU_ASSERT(is(frame.function, expected[i].name));
            CU_ASSERT_EQUAL(frame.offset, expected[i].offset);
            CU_ASSERT_EQUAL(quality, MT_SYMBOL_SYMTAB);
        }
    }
    mt_symbolizer_free(symbolizer);
}

static void exported_symbols(void)
{
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    enum mt_symbol_quality quality;
    struct mt_symbol_frame frame;

    CU_ASSERT_FATAL(run("gcc -O2 -shared -fPIC -s program.c -o exported"));
    struct mt_symbol_module module = {.path = path_of("exported")};
    uint64_t pc = symbol("exported", "caller") + 1;
    CU_ASSERT_EQUAL(
        mt_symbolize(symbolizer, &module, pc, false, &frame, 1, &quality), 1);
    CU_ASSERT_EQUAL(quality, MT_SYMBOL_DYNSYM);
    CU_ASSERT(is(frame.function, "caller"));
    CU_ASSERT_EQUAL(frame.offset, 1);
    CU_ASSERT_PTR_NULL(frame.file);
    mt_symbolizer_free(symbolizer);
}

static void cxx_names(void)
{
    static const char text[] =
        "namespace ns { template <class T> struct cls {\n"
        "  T v; cls(T x) : v(x) { }\n"
        "  __attribute__((noinline)) int method(int x) { return v + x; } };\n"
        "namespace { __attribute__((noinline)) int hidden(int x) {\n"
        "  cls<int> c(x); return c.method(x); } } }\n"
        "extern \"C\" int plain(int x) { return ns::hidden(x); }\n"
        "int main(int c, char **) { return plain(c); }\n";
    static const struct {
        const char *symbol, *dwarf, *symtab, *other; /* gcc 16's symbol */
    } expected[] = {
        {"_ZN2ns3clsIiE6methodEi", "ns::cls<int>::method",
         "ns::cls<int>::method(int)", NULL},
        {"_ZN2ns12_GLOBAL__N_16hiddenEi", "ns::(anonymous namespace)::hidden",
         "ns::(anonymous namespace)::hidden(int)",
         "_ZN2ns12_GLOBAL__N_1L6hiddenEi"},
        {"plain", "plain", "plain", NULL},
    };
    struct mt_symbol_frame frame;

    write_text("names.cc", text);
    if (!run("g++ -O0 -g names.cc -o names") ||
        !run("strip -g names -o bare")) {
        unit_skip("no g++");
        return;
    }
    struct mt_symbolizer *symbolizer = new_symbolizer("/nonexistent");
    for (size_t i = 0; i < 3; i++) {
        struct mt_symbol_module module = {.path = path_of("names")};
        uint64_t pc = symbol("names", expected[i].symbol);

        if (pc == 0 && expected[i].other)
            pc = symbol("names", expected[i].other);
        CU_ASSERT_EQUAL(
            mt_symbolize(symbolizer, &module, ++pc, false, &frame, 1, NULL), 1);
        CU_ASSERT(is(frame.function, expected[i].dwarf));
        module.path = path_of("bare");
        CU_ASSERT_EQUAL(
            mt_symbolize(symbolizer, &module, pc, false, &frame, 1, NULL), 1);
        CU_ASSERT(is(frame.function, expected[i].symtab));
    }
    mt_symbolizer_free(symbolizer);
}

static void budget(void)
{
    struct mt_symbolizer_options options = {.memory_budget = 1,
                                            .no_debuginfod = true};
    struct mt_symbolizer *symbolizer = mt_symbolizer_new(&options);
    struct mt_symbol_frame frames[8];
    char one[256], other[256];
    const char *kept = NULL;

    CU_ASSERT_FATAL(run("gcc -O2 -g program.c -o one && cp one other"));
    snprintf(one, sizeof(one), "%s", path_of("one"));
    snprintf(other, sizeof(other), "%s", path_of("other"));
    uint64_t here = symbol("one", "here");
    for (int i = 0; i < 6; i++) {
        struct mt_symbol_module module = {.path = i % 2 == 0 ? one : other};

        CU_ASSERT_EQUAL(
            mt_symbolize(symbolizer, &module, here, false, frames, 8, NULL), 3);
        CU_ASSERT(is(frames[0].function, "inner"));
        CU_ASSERT(kept == NULL || kept == frames[0].function);
        kept = frames[0].function;
    }
    mt_symbolizer_free(symbolizer);
}

/* Every file cut short, and many with a byte changed, is refused or read. */
static void broken_files(void)
{
    struct mt_elf *whole;
    unsigned seed = 1;

    CU_ASSERT_FATAL(run("gcc -O2 -gdwarf-4 -nostdlib -Wl,-e,main "
                        "-static program.c -o whole"));
    whole = mt_elf_open(path_of("whole"), NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
    uint8_t *copy = malloc(whole->bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    for (int i = 0; i < 3000; i++) {
        size_t bytes = whole->bytes, id_bytes;
        const uint8_t *id;
        const char *name;
        uint32_t crc;

        memcpy(copy, whole->data, bytes);
        for (int change = 0; change < 4; change++) {
            seed = seed * 1103515245u + 12345u;
            /* Half of the changes hit the headers. */
            copy[change % 2 == 0 ? (seed >> 8) % 64
                                 : bytes - 1 - (seed >> 8) % 1500] ^=
                (uint8_t)(1u << (seed >> 4 & 7));
        }
        if (i % 3 == 0)
            bytes = (seed >> 3) % bytes;
        struct mt_elf *elf = mt_elf_open_memory(copy, bytes, NULL);
        if (elf == NULL)
            continue;
        mt_elf_build_id(elf, &id, &id_bytes);
        mt_elf_debuglink(elf, &name, &crc);
        for (size_t j = 0; j < elf->n_sections; j++) {
            const uint8_t *data;
            size_t n;

            if (mt_elf_section_data(elf, &elf->sections[j], &data, &n))
                CU_ASSERT(data >= copy && data + n <= copy + bytes);
        }
        mt_elf_close(elf);
    }
    free(copy);
    mt_elf_close(whole);
}

static const struct unit_test tests[] = {
    {"inlined frames and lines, DWARF 2 to 5, gcc and clang", versions},
    {"code in many sections, some dropped by the linker", sections},
    {"compressed sections, type units", other_forms},
    {"split units", split},
    {"packages of split units", packaged},
    {"a split unit that is lost", split_lost},
    {"a return address is of the call before it", return_address},
    {"separate debug files by build-id, link and CRC", separate_files},
    {"files match by build-id, or say how not", matching},
    {"symbols are chosen as GDB does", symbol_rules},
    {"exported symbols of a stripped library", exported_symbols},
    {"C++ functions by DWARF and by symbols", cxx_names},
    {"a budget of nothing still answers", budget},
    {"files cut short and changed", broken_files},
};

static void remove_folder(void)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        perror(folder);
}

__attribute__((constructor)) static void prepare(void)
{
    if (mkdtemp(folder) == NULL)
        exit(1);
    write_text("program.c", program_c);
    atexit(remove_folder);
}

UNIT_MAIN(tests)
