/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit.h - a table of CUnit tests, and the main of a unit test program.
 *
 *     #include "tests/unit.h"
 *
 *     static void grows(void) { CU_ASSERT_EQUAL(next(1), 2); }
 *
 *     static const struct unit_test tests[] = {
 *         {"a size grows to the next class", grows},
 *     };
 *     UNIT_MAIN(tests)
 *
 * The program prints `PASS name`, `FAIL name` or `SKIP name: reason` for
 * every test, the failed assertions below a FAIL line, and `N passed, N
 * failed` last.  It exits with 1 when a test failed or none ran.  Arguments
 * are the names (or parts of names) of the tests to run; `-l` lists them.
 */
#ifndef MT_TESTS_UNIT_H
#define MT_TESTS_UNIT_H

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <stdio.h>
#include <string.h>

struct unit_test {
    const char *name;
    void (*run)(void);
};

static struct {
    unsigned passed, failed, skipped;
    const char *skip; /* why the test that runs cannot be judged here */
} unit_state;

/* Says that this machine cannot run the test; the test should then return.
 * An assertion that failed before wins. `reason` must outlive the test. */
static __attribute__((unused)) void unit_skip(const char *reason)
{
    unit_state.skip = reason;
}

static void unit_complete(const CU_pTest test, const CU_pSuite suite,
                          const CU_pFailureRecord failures)
{
    (void)suite;
    if (failures) {
        unit_state.failed++;
        printf("FAIL %s\n", test->pName);
        for (CU_pFailureRecord f = failures; f; f = f->pNext)
            printf("  %s:%u: %s\n", f->strFileName ? f->strFileName : "?",
                   f->uiLineNumber, f->strCondition ? f->strCondition : "?");
    } else if (unit_state.skip) {
        unit_state.skipped++;
        printf("SKIP %s: %s\n", test->pName, unit_state.skip);
    } else {
        unit_state.passed++;
        printf("PASS %s\n", test->pName);
    }
    unit_state.skip = NULL;
    fflush(stdout);
}

static int unit_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return 1;
    return argc <= 1;
}

static int unit_run(const struct unit_test *tests, size_t n, int argc,
                    char **argv)
{
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (size_t i = 0; i < n; i++)
            puts(tests[i].name);
        return 0;
    }
    if (CU_initialize_registry() != CUE_SUCCESS)
        return fprintf(stderr, "CUnit: %s\n", CU_get_error_msg()), 1;
    CU_pSuite suite = CU_add_suite("unit", NULL, NULL);
    int ok = suite != NULL;
    for (size_t i = 0; ok && i < n; i++)
        if (unit_wanted(tests[i].name, argc, argv))
            ok = CU_add_test(suite, tests[i].name, tests[i].run) != NULL;
    if (ok) {
        CU_set_test_complete_handler(unit_complete);
        ok = CU_run_all_tests() == CUE_SUCCESS;
    }
    if (!ok)
        fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
    CU_cleanup_registry();
    printf("%u passed, %u failed", unit_state.passed, unit_state.failed);
    if (unit_state.skipped)
        printf(", %u skipped", unit_state.skipped);
    putchar('\n');
    return !(ok && unit_state.failed == 0 &&
             unit_state.passed + unit_state.skipped > 0);
}

#define UNIT_MAIN(tests)                                                       \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        return unit_run((tests), sizeof(tests) / sizeof(*(tests)), argc,       \
                        argv);                                                 \
    }

#endif
