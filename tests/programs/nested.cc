/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Containers in containers, for tests/e2e/growth: a map of vectors, a hash
 * table of maps, and a document whose nodes have maps and lists of nodes.
 */
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

struct Node {
    std::map<int, std::unique_ptr<Node>> members;
    std::vector<std::unique_ptr<Node>> list;
    char text[200];
};

static std::unique_ptr<Node> document;
static std::map<int, std::vector<char>> table;
static std::unordered_map<int, std::map<int, std::vector<char>>> tables;

static std::unique_ptr<Node> build(int depth)
{
    auto node = std::make_unique<Node>();

    for (int i = 0; depth > 0 && i < 2; i++)
        node->members[i] = build(depth - 1);
    for (int i = 0; depth > 0 && i < 2; i++)
        node->list.push_back(build(depth - 1));
    return node;
}

int main()
{
    document = build(5);
    for (int i = 0; i < 300; i++)
        table[i].resize(200);
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20; k++)
            tables[i][k].resize(400);
    puts("ready");
    fflush(stdout);
    pause();
}
