/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_case.h - leaks of one test case of many in a process.
 *
 * memtrace_gtest.h and memtrace_catch2.h use it; for other frameworks:
 *
 *     memtrace_case::begin("parser.empty");
 *     ... the test case ...
 *     memtrace_case::result r = memtrace_case::end();
 *     if (r.failed) fail(r.text);
 *
 * A case begins with a mark (memtrace_mark), so that reports can be limited to
 * it: `memtrace show --since "test: parser.empty"`.  At its end the command
 * `memtrace leaks --fail --since MARK` looks at this process from outside:
 * blocks of the case that nothing points to any more make it fail.
 *
 * Nothing is linked.  Without the traced heap (memtrace run -- ./tests) both
 * functions do nothing.  Under a tracer, so also under `memtrace check`, cases
 * are marked but not checked: the end of the process is.  MEMTRACE_CASES=off
 * in the environment marks them only.  A case that could not be checked fails,
 * and its text says why.  A check takes as long as the command does: about
 * 0.05 s for a small process.
 *
 * Threads: one case at a time, begun and ended by the same thread.
 */
#ifndef MEMTRACE_CASE_H
#define MEMTRACE_CASE_H

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

extern "C" char **environ;

namespace memtrace_case {

struct result {
    bool failed;      /* the case leaked, or could not be checked */
    std::string text; /* the report; empty if it did not fail */
};

namespace detail {

typedef int mark_function(const char *);

inline mark_function *find_mark()
{
    return reinterpret_cast<mark_function *>(
        dlsym(RTLD_DEFAULT, "memtrace_mark"));
}

inline std::string &label()
{
    static std::string text;
    return text;
}

inline std::string read_file(int file)
{
    std::string text;
    char buffer[4096];
    ssize_t n;

    while ((n = read(file, buffer, sizeof buffer)) > 0 ||
           (n < 0 && errno == EINTR))
        if (n > 0)
            text.append(buffer, static_cast<size_t>(n));
    return text;
}

inline bool is_traced()
{
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    std::string text = file < 0 ? std::string() : read_file(file);
    size_t at = text.find("TracerPid:\t");

    if (file >= 0)
        close(file);
    return at != std::string::npos && text[at + 11] != '0';
}

/* The command that was installed, or built, with the library in use. */
inline std::string find_command()
{
    static const char *const places[] = {
        "/../../coreanalyze/memtrace", "/../bin/memtrace",
        "/../../bin/memtrace", "/../../../bin/memtrace"};
    const char *set = getenv("MEMTRACE_COMMAND");
    Dl_info info;

    if (set && *set)
        return set;
    if (dladdr(reinterpret_cast<void *>(find_mark()), &info) != 0) {
        std::string folder = info.dli_fname;
        folder.erase(folder.find('/') == std::string::npos
                         ? 0
                         : folder.rfind('/'));
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            if (access((folder + places[i]).c_str(), X_OK) == 0)
                return folder + places[i];
    }
    return "memtrace";
}

/* Runs the command outside of the traced heap; its exit status, or -1. */
inline int run(const std::vector<std::string> &words, std::string &output)
{
    std::vector<char *> argv, variables;
    posix_spawn_file_actions_t actions;
    int ends[2], status = -1, error;
    pid_t pid;

    for (const std::string &word : words)
        argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(NULL);
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "LD_PRELOAD=", 11) != 0 &&
            strncmp(*entry, "MEMTRACE=", 9) != 0)
            variables.push_back(*entry);
    variables.push_back(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        output = strerror(errno);
        return -1;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    error = posix_spawnp(&pid, argv[0], &actions, NULL, argv.data(),
                         variables.data());
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error == 0) {
        output = read_file(ends[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    } else {
        output = words[0] + ": " + strerror(error);
    }
    close(ends[0]);
    return error == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace detail

/* Marks the beginning of a case. */
inline void begin(const std::string &name)
{
    detail::mark_function *mark = detail::find_mark();

    detail::label() = "test: " + name;
    if (mark)
        mark(detail::label().c_str());
}

/* Looks for blocks that the case has lost. */
inline result end()
{
    const char *wanted = getenv("MEMTRACE_CASES");
    std::string output;
    int status;

    if (!detail::find_mark() || (wanted && strcmp(wanted, "off") == 0) ||
        detail::is_traced())
        return result{false, ""};
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    status = detail::run({detail::find_command(), "leaks", "--fail",
                          "--show-kinds", "definite", "--since",
                          detail::label(), std::to_string(getpid())},
                         output);
    prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    if (status == 0)
        return result{false, ""};
    if (status == 23)
        return result{true, "memtrace: this test case leaks\n" + output};
    return result{true, "memtrace: this test case was not checked\n" + output};
}

} // namespace memtrace_case

#endif
