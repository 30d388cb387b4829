/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy_options.h - the options of leaks and check that say which leaks count,
 * and which reports are written.
 */
#ifndef MT_POLICY_OPTIONS_H
#define MT_POLICY_OPTIONS_H

#include "coreanalyze/check/policy.h"
#include "coreanalyze/commands/options.h"

/* For a table of options; `policy` is a member of the command's arguments. */
mt_parse mt_parse_suppressions, mt_parse_generated;
#define MT_POLICY_OPTIONS(policy)                                              \
    {"--suppressions", 0, "FILE",                                              \
     "leaks to leave out, as LeakSanitizer or Valgrind has them; may be "      \
     "given several times",                                                    \
     MT_FIELD(mt_parse_suppressions, struct mt_policy, policy)},               \
        {"--no-default-suppressions", 0, NULL,                                 \
         "do not use the suppressions that are installed for well-known "      \
         "libraries",                                                          \
         MT_FIELD(mt_parse_flag, bool, policy.no_defaults)},                   \
        {"--gen-suppressions", 0, "[=FILE]",                                   \
         "print suppressions for what is found, in Valgrind's form, or write " \
         "them to FILE",                                                       \
         MT_FIELD(mt_parse_generated, struct mt_policy, policy)},              \
        {"--baseline", 0, "FILE",                                              \
         "leaks that are known: only new ones, or more of a known one, count", \
         MT_FIELD(mt_parse_text, const char *, policy.baseline_path)},         \
        {"--update-baseline", 0, NULL,                                         \
         "write what is found to the file of --baseline",                      \
         MT_FIELD(mt_parse_flag, bool, policy.update)},                        \
        {"--junit", 0, "FILE", "write JUnit's XML too",                        \
         MT_FIELD(mt_parse_text, const char *, policy.junit)},                 \
        {"--valgrind-xml", 0, "FILE",                                          \
         "write Valgrind's XML, protocol 4, too; %p in the name: a file for "  \
         "each process",                                                       \
         MT_FIELD(mt_parse_text, const char *, policy.valgrind)},              \
        {"--log-file", 0, "FILE",                                              \
         "write a log as Memcheck's too, which CTest reads",                   \
         MT_FIELD(mt_parse_text, const char *, policy.log)},                   \
        {"--sarif", 0, "FILE", "write SARIF 2.1.0 too",                        \
         MT_FIELD(mt_parse_text, const char *, policy.sarif)},                 \
    {                                                                          \
        "--github", 0, NULL,                                                   \
            "print annotations for GitHub on standard output",                 \
            MT_FIELD(mt_parse_flag, bool, policy.github)                       \
    }

#endif
