// SPDX-License-Identifier: BSD-2-Clause
//
// A server of sessions, as far as its memory goes: threads take requests, keep
// sessions in a table and answers in a cache that nobody bounds, and lose what
// a request without a session has parsed.
//
//     sessions REQUESTS [crash]    says "ready" after them; "crash" ends it in
//                                  a request whose session has gone

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#define NOINLINE __attribute__((noinline))

namespace server
{

struct Request {
    int number = 0;
    std::vector<std::string> headers;
    std::string body;
};

struct Session {
    std::string user;
    std::vector<std::string> history;
    std::unique_ptr<char[]> buffer;
};

class Sessions
{
public:
    NOINLINE Session *open(int id)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto &session = table[id];
        if (!session) {
            session = std::make_unique<Session>();
            session->user = "user number " + std::to_string(id) + " of many";
            session->buffer.reset(new char[2048]());
        }
        return session.get();
    }
    NOINLINE Session *find(int id)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto found = table.find(id);
        return found == table.end() ? nullptr : found->second.get();
    }

private:
    std::mutex lock;
    std::unordered_map<int, std::unique_ptr<Session>> table;
};

class Cache
{
public:
    NOINLINE void remember(const std::string &key, std::string answer)
    {
        std::lock_guard<std::mutex> guard(lock);
        answers.push_back({key, std::move(answer)});
    }

private:
    std::mutex lock;
    // Not a linked list: one stale pointer would reach all of it.
    struct Answer {
        std::string key, text;
    };
    std::deque<Answer> answers;
};

Sessions sessions;
Cache answer_cache;

NOINLINE Request *parse_request(int number)
{
    auto *request = new Request;
    request->number = number;
    for (int i = 0; i < 4; i++)
        request->headers.push_back("X-Header-" + std::to_string(i) +
                                   ": a value that is not short");
    request->body.assign(200 + number % 700, 'b');
    return request;
}

NOINLINE std::string render_answer(const Session &session,
                                   const Request &request)
{
    return "<html><body>" + session.user + ": " + request.body +
           "</body></html>";
}

NOINLINE void handle(int number)
{
    Request *request = parse_request(number);
    if (number % 40 == 39)
        return; // without a session: lost
    Session *session = sessions.open(number % 1500);
    session->history.push_back("request " + std::to_string(number) +
                               " was answered");
    answer_cache.remember("/page/" + std::to_string(number),
                          render_answer(*session, *request));
    delete request;
}

NOINLINE void handle_expired(int number)
{
    Session *session = sessions.find(-number);
    session->history.push_back("never");
}

// Each thread has sessions of its own.
NOINLINE void worker(int first, int requests)
{
    for (int i = 0; i < requests; i++)
        handle(first + i * 4);
}

} // namespace server

int main(int argc, char **argv)
{
    int requests = argc > 1 ? atoi(argv[1]) : 1000;
    std::vector<std::thread> threads;

    for (int i = 0; i < 4; i++)
        threads.emplace_back(server::worker, i, requests / 4);
    for (auto &thread : threads)
        thread.join();
    if (argc > 2 && strcmp(argv[2], "crash") == 0)
        server::handle_expired(7);
    puts("ready");
    fflush(stdout);
    char c;
    return read(0, &c, 1) < 0;
}
