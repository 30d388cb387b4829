/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A server with containers whose threads hold pointers into them, for
 * tests/e2e/growth: who owns the memory is a global.
 */
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace app
{

struct Page {
    char data[1000];
};

struct Server {
    std::map<int, Page *> pages;
    std::unordered_map<std::string, Page *> names;
    std::list<std::string> order;
};

/* As a variable of a type with std::string is: reports leave the tag out. */
[[gnu::abi_tag("cxx11")]] static Server *server;
void *first_view, *second_view; /* of one table */

static __attribute__((noinline)) void fill(int i)
{
    server->pages[i] = new Page;
    server->names["the name of page " + std::to_string(i)] = new Page;
    server->order.push_back("the order of page " + std::to_string(i));
}

/* Holds a pointer to the first node on its stack. */
static __attribute__((noinline)) void hold()
{
    void *volatile held[] = {&*server->pages.begin(), server,
                             server->pages[500]};

    pause();
    if (held[0] == held[1])
        abort();
}

} // namespace app

int main()
{
    using namespace app;

    server = new Server;
    for (int i = 0; i < 1000; i++)
        fill(i);
    first_view = second_view = calloc(50, 1000);
    std::thread(hold).detach();
    std::thread(hold).detach();
    usleep(200000);
    puts("ready");
    fflush(stdout);
    hold();
}
