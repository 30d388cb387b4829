/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_catch2.h - Catch2: each test case is an epoch, and fails if it
 * leaks.
 *
 * Include it in the file of the test program that defines CATCH_CONFIG_MAIN or
 * CATCH_CONFIG_RUNNER (Catch2 2), or in any one (Catch2 3), and
 *
 *     memtrace run -- ./tests
 *
 * A case with sections runs once for each of them, and each run is checked.
 * memtrace_case.h says how.  Tested with Catch2 2.13.
 */
#ifndef MEMTRACE_CATCH2_H
#define MEMTRACE_CATCH2_H

#include "memtrace_case.h"

#if __has_include(<catch2/reporters/catch_reporter_event_listener.hpp>)
#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
namespace memtrace_case {
typedef Catch::EventListenerBase catch2_base;
}
#else
#include <catch2/catch.hpp>
namespace memtrace_case {
typedef Catch::TestEventListenerBase catch2_base;
}
#endif

namespace memtrace_case {

/* The section of depth 0 is the test case itself; an assertion that fails
 * while it ends still counts for it. */
class catch2_listener : public catch2_base {
public:
    using catch2_base::catch2_base;

    void sectionStarting(const Catch::SectionInfo &section) override
    {
        if (depth++ == 0)
            begin(section.name);
        catch2_base::sectionStarting(section);
    }

    void sectionEnded(const Catch::SectionStats &stats) override
    {
        if (--depth == 0) {
            result r = end();
            if (r.failed)
                FAIL_CHECK(r.text);
        }
        catch2_base::sectionEnded(stats);
    }

private:
    unsigned depth = 0;
};

CATCH_REGISTER_LISTENER(catch2_listener)

} // namespace memtrace_case

#endif
