// SPDX-License-Identifier: BSD-2-Clause
//
// Names that do not fit a terminal: of a program, a heap, a mark, functions and
// a global variable, for tests/e2e/terminal.  Prints the address of a block
// that the variable leads to, then "ready", and waits for a line.
#include "heap/memtrace.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#pragma weak memtrace_alloc
#pragma weak memtrace_heap_create
#pragma weak memtrace_mark

namespace company_of_a_rather_long_name::department_of_long_names
{
struct register_of_everything_that_was_said {
    std::map<std::string, std::vector<std::string>> entries;
    __attribute__((noinline)) void remember_what_was_said(int number)
    {
        entries["number " + std::to_string(number) + " of a great many"]
            .push_back(std::string(300, 'x'));
    }
};
register_of_everything_that_was_said variable_that_holds_all_of_the_entries;
} // namespace company_of_a_rather_long_name::department_of_long_names

__attribute__((noinline)) static void lose(int n)
{
    for (int i = 0; i < n; i++) {
        void *volatile lost = malloc(12345);
        lost = nullptr;
    }
}

int main()
{
    using namespace company_of_a_rather_long_name::department_of_long_names;
    auto &all = variable_that_holds_all_of_the_entries;
    memtrace_heap_options options = {};

    options.name =
        "a heap with the longest name that there is room for: 63 bytes..";
    options.flags = MEMTRACE_HEAP_TRACE | MEMTRACE_HEAP_LOCKED |
                    MEMTRACE_HEAP_UNMAP_ON_DESTROY;
    if (memtrace_heap_create == nullptr)
        return puts("no heap"), 1;
    memtrace_heap *heap = memtrace_heap_create(&options);
    for (int i = 0; i < 100; i++)
        memtrace_alloc(heap, 1000);
    for (int i = 0; i < 20000; i++)
        all.remember_what_was_said(i);
    lose(30);
    memtrace_mark("a mark whose text is long enough to need more than one line "
                  "of a terminal");
    lose(10);
    printf("%p\n", static_cast<void *>(&all.entries.begin()->second[0][0]));
    puts("ready");
    fflush(stdout);
    getchar();
}
