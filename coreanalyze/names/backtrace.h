/* SPDX-License-Identifier: BSD-2-Clause
 *
 * backtrace.h - the calls that are on a thread's stack, by the unwind data of
 * the target's modules.
 *
 * Unwind data comes from the file of a module, if it is the one that ran, and
 * otherwise from the target's memory.  Code without unwind data is stepped
 * over by the frame pointer; those calls are marked as guessed.
 */
#ifndef MT_BACKTRACE_H
#define MT_BACKTRACE_H

#include "coreanalyze/names/resolve.h"

#define MT_MAX_CALLS 256

struct mt_call {
    uint64_t pc;
    uint64_t sp;  /* the frame lies from here ... */
    uint64_t end; /* ... up to here, the caller's sp; 0 if it has no caller */
    bool exact;   /* pc is the instruction itself, not a return address */
    bool guessed; /* found by the frame pointer alone */
};

/* Fills in the calls of a thread of the source, innermost first, and returns
 * how many; 0 if its registers are not known.  The resolver names modules'
 * files, and must be of the same source. */
size_t mt_backtrace(struct mt_resolver *resolver, struct mt_source *source,
                    const struct mt_thread *thread, struct mt_call *calls,
                    size_t max);

/* Steps out of the innermost calls as long as `inside` is true, and fills in
 * the registers of the one that it is false for; those that are lost are 0.
 * If there is no such call, they are all lost, and the stack pointer is that of
 * the outermost call.  False if a step was guessed. */
bool mt_unwind_out(struct mt_resolver *resolver, struct mt_source *source,
                   const struct mt_thread *thread,
                   bool (*inside)(void *context, const struct mt_call *call),
                   void *context, uint64_t registers[MT_N_REGISTERS]);

#endif
