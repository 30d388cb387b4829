/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_gtest.h - GoogleTest: each test is an epoch, and fails if it leaks.
 *
 * Include it in one file of the test program, and
 *
 *     memtrace run -- ./tests
 *
 * No call is needed: the listener adds itself before main.  memtrace_case.h
 * says how a test is checked.
 */
#ifndef MEMTRACE_GTEST_H
#define MEMTRACE_GTEST_H

#include "memtrace_case.h"

#include <gtest/gtest.h>

namespace memtrace_case {

class gtest_listener : public ::testing::EmptyTestEventListener {
    void OnTestStart(const ::testing::TestInfo &test) override
    {
        begin(std::string(test.test_suite_name()) + "." + test.name());
    }

    void OnTestEnd(const ::testing::TestInfo &test) override
    {
        result r = end();

        if (r.failed)
            ADD_FAILURE_AT(test.file(), test.line()) << r.text;
    }
};

/* The list of listeners takes it and deletes it. */
static const bool gtest_listener_is_there
    __attribute__((unused)) = (::testing::UnitTest::GetInstance()
                                   ->listeners()
                                   .Append(new gtest_listener),
                               true);

} // namespace memtrace_case

#endif
