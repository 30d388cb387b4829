# SPDX-License-Identifier: BSD-2-Clause
"""What tests of leaks share: the cases of programs/leakcases.c, and what each
of them should come out as."""

import glob
import json
import os

import harness
from harness import check, equal

DEFINITE, INDIRECT, POSSIBLE, REACHABLE = (
    "definite", "indirect", "possible", "reachable")
BLOCK = 64

# case: {kind: (blocks, bytes)}, of all blocks that grab() handed out.
CASES = {
    "case_1": {REACHABLE: (1, 64)},
    "case_2": {REACHABLE: (2, 128)},
    "case_3": {DEFINITE: (1, 64)},
    "case_4": {DEFINITE: (1, 64), INDIRECT: (1, 64)},
    "case_5": {POSSIBLE: (1, 64)},
    "case_6": {REACHABLE: (1, 64), POSSIBLE: (1, 64)},
    "case_7": {POSSIBLE: (2, 128)},
    "case_8": {POSSIBLE: (2, 128)},
    "case_9": {DEFINITE: (1, 64), INDIRECT: (1, 64)},
    "lost_list": {DEFINITE: (1, 64), INDIRECT: (999, 999 * 64)},
    "lost_tree": {DEFINITE: (1, 64), INDIRECT: (1022, 1022 * 64)},
    "held_tree": {REACHABLE: (1023, 1023 * 64)},
    "cycle": {DEFINITE: (1, 64), INDIRECT: (2, 128)},
    "self": {DEFINITE: (1, 64)},
    "list_to_cycle": {DEFINITE: (1, 64), INDIRECT: (4, 256)},
    "two_heads": {DEFINITE: (2, 128), INDIRECT: (2, 128)},
    "doubly_linked": {REACHABLE: (50, 3200)},
    "middle_held": {REACHABLE: (4, 256), DEFINITE: (1, 64),
                    INDIRECT: (1, 64)},
    "table": {REACHABLE: (100, 800 + 99 * 64), DEFINITE: (1, 64)},
    "behind_the_end": {DEFINITE: (1, 64)},
    "empty": {REACHABLE: (1, 0), DEFINITE: (1, 0)},
    "large": {REACHABLE: (2, 5 << 20), DEFINITE: (1, 1 << 20)},
    "misaligned": {REACHABLE: (1, 64), DEFINITE: (1, 64)},
    "freed_holder": {DEFINITE: (1, 64)},
    "thread_stack": {REACHABLE: (3, 192)},
    "thread_tls": {REACHABLE: (3, 192)},
    "thread_register": {REACHABLE: (3, 192)},
    "thread_key": {REACHABLE: (3, 192)},
    "main_tls": {REACHABLE: (3, 192)},
    "exited_stack": {DEFINITE: (1, 64), INDIRECT: (2, 128)},
    "exited_result": {REACHABLE: (3, 192)},
    "mapping": {REACHABLE: (3, 192)},
    "held_mapping": {REACHABLE: (3, 192)},
    "module_data": {REACHABLE: (3, 192)},
    "module_closed": {DEFINITE: (1, 64), INDIRECT: (2, 128)},
    "forked": {REACHABLE: (3, 192)},
    "low_tags": {REACHABLE: (2, 128)},
    "high_tags": {REACHABLE: (2, 128)},
    "new_array": {REACHABLE: (1, 64)},
    "length64": {REACHABLE: (1, 64)},
    "old_string": {REACHABLE: (1, 65)},
    "two_bases": {REACHABLE: (1, 64)},
}


def compile_cases(folder, *flags):
    """Builds the program and its module; returns the program's path."""
    harness.compile_once(
        [*harness.CC, "-shared", "-fPIC", os.path.join(
            harness.SOURCE, "tests", "programs", "leakmodule.c")],
        os.path.join(folder, "leakmodule.so"))
    return harness.compile_program(folder, "leakcases", "-O1", *flags)


def environment(folder, **more):
    return harness.environment(
        True, LEAKCASES_MODULE=os.path.join(folder, "leakmodule.so"), **more)


def leaks(target, *options):
    """`memtrace leaks --json` of all kinds, parsed."""
    return json.loads(harness.memtrace("leaks", "--json", "--show-kinds=all",
                                       *options, target))


def ours(report, function="grab"):
    """{kind: (blocks, bytes)} of the stacks that `function` is in."""
    kinds = {}
    for stack in report["stacks"]:
        if function in harness.functions(stack):
            count, size = kinds.get(stack["kind"], (0, 0))
            kinds[stack["kind"]] = (count + stack["count"],
                                    size + stack["bytes"])
    return kinds


def sums(report):
    """What does not depend on when or how the target was read."""
    rows = sorted((s["kind"], s["sample"], s["bytes"], s["count"],
                   s["indirect_bytes"], s["indirect_count"])
                  for s in report["stacks"])
    return report["kinds"], rows
