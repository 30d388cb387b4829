/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_names.c - short names of functions, and which frames are a program's.
 */
#include "coreanalyze/names/short_name.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#define STRING                                                                 \
    "std::__cxx11::basic_string<char, std::char_traits<char>, "                \
    "std::allocator<char> >"

static void short_names(void)
{
    static const char *const names[][2] = {
        {"main", "main"},
        {"operator new(unsigned long)", "operator new"},
        {"operator new[](unsigned long)", "operator new[]"},
        {STRING "::_M_mutate(unsigned long, char const*)",
         "std::string::_M_mutate"},
        {"std::map<int, " STRING ", std::less<int>, "
         "std::allocator<std::pair<int const, " STRING " > > >::operator[]",
         "std::map<int, std::string>::operator[]"},
        {"std::vector<std::unique_ptr<A, std::default_delete<A> >, "
         "std::allocator<std::unique_ptr<A, std::default_delete<A> > > >"
         "::push_back",
         "std::vector<std::unique_ptr<A>>::push_back"},
        {"foo(int, char const*)::{lambda(int)#1}::operator()(int) const",
         "foo::{lambda#1}::operator()"},
        {"(anonymous namespace)::Bar::get[abi:cxx11]() const",
         "(anonymous namespace)::Bar::get"},
        {"f<true, false>::g<1>(int) [clone .isra.0]", "f<true, false>::g<1>"},
        {"A::operator<<(int)", "A::operator<<"},
        {"operator< <int>(int, int)", "operator<<int>"},
        {"std::function<void (int, char)>::operator()(int, char) const",
         "std::function<void (int, char)>::operator()"},
        {"<alloc::vec::Vec<T> as core::clone::Clone>::clone",
         "<alloc::vec::Vec<T> as core::clone::Clone>::clone"},
        {"odd)(", "odd)("},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *name = mt_short_name(names[i][0]);
        CU_ASSERT_STRING_EQUAL(name, names[i][1]);
        if (name && strcmp(name, names[i][1]) != 0)
            printf("  got %s\n", name);
        free(name);
    }
}

static void folded_names(void)
{
    static const char *const names[][2] = {
        {"std::map<int, std::string>::operator[]", "std::map<..>::operator[]"},
        {"f<true>::g<false>", "f<..>::g<..>"},
        {"A::operator<<", "A::operator<<"},
        {"v<a>", "v<a>"},
    };
    char name[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        strcpy(name, names[i][0]);
        mt_short_name_fold(name, "..");
        CU_ASSERT_STRING_EQUAL(name, names[i][1]);
    }
}

/* Whatever brackets come, the result ends, and nothing is written after its
 * memory (the sanitizers' run sees that). */
static void random_names(void)
{
    static const char *const pieces[] = {"<",
                                         ">",
                                         "(",
                                         ")",
                                         "std::",
                                         "__cxx11::",
                                         ",",
                                         " ",
                                         "a",
                                         "::",
                                         "std::allocator<",
                                         "basic_string",
                                         "[abi",
                                         "operator",
                                         "const",
                                         "{",
                                         "}",
                                         "[clone ",
                                         "]",
                                         "<char>",
                                         "-",
                                         "..."};
    unsigned seed = 1;

    for (unsigned round = 0; round < 20000; round++) {
        char text[1024] = "";
        for (unsigned n = 1 + round % 50; n > 0; n--)
            strcat(text, pieces[(seed = seed * 1103515245 + 12345) / 65536 %
                                (sizeof pieces / sizeof *pieces)]);
        char *name = mt_short_name(text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        CU_ASSERT(strlen(name) <= 2 * strlen(text) + 1);
        mt_short_name_fold(name, "\xe2\x80\xa6");
        free(name);
    }
}

static void deep_names(void)
{
    char *text = malloc(20001);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (unsigned i = 0; i < 10000; i++)
        memcpy(text + 2 * i, "a<", 2);
    text[20000] = 0;
    free(mt_short_name(text));
    memset(text, '(', 20000);
    free(mt_short_name(text));
    free(text);
}

static void titles(void)
{
    static const struct mt_frame frames[] = {
        {.function = "std::__new_allocator<int>::allocate", .module = "/bin/p"},
        {.function = "zmalloc", .module = "/bin/p"},
        {.function = "createObject", .module = "/bin/p"},
        {.function = "main", .module = "/bin/p"},
        {.function = "__libc_start_main_impl",
         .module = "/lib/x86_64-linux-gnu/libc.so.6"},
        {.function = "_start", .module = "/bin/p"},
    };

    CU_ASSERT_EQUAL(mt_frame_kind(&frames[0]), MT_FRAME_LIBRARY);
    CU_ASSERT_EQUAL(mt_frame_kind(&frames[1]), MT_FRAME_WRAPPER);
    CU_ASSERT_EQUAL(mt_frame_kind(&frames[2]), MT_FRAME_PROGRAM);
    CU_ASSERT_EQUAL(mt_frame_kind(&frames[4]), MT_FRAME_START);
    CU_ASSERT_EQUAL(mt_frame_title(frames, 6), 2);
    CU_ASSERT_EQUAL(mt_frame_title(frames, 2), 1);
    CU_ASSERT_EQUAL(mt_frame_title(frames, 1), 0);
    CU_ASSERT_EQUAL(mt_frame_title(frames + 4, 2), 0);
}

static const struct unit_test tests[] = {
    {"short names", short_names},
    {"folded template arguments", folded_names},
    {"names that do not nest", random_names},
    {"deep names", deep_names},
    {"the frame that names a stack", titles},
};
UNIT_MAIN(tests)
