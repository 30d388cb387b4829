/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_keys.h - what keys do to a view: the part of the screen that needs no
 * terminal.
 */
#ifndef MT_TOP_KEYS_H
#define MT_TOP_KEYS_H

#include "coreanalyze/top/top_view.h"

/* Keys besides characters. */
enum {
    MT_KEY_UP = 0x100,
    MT_KEY_DOWN,
    MT_KEY_PAGE_UP,
    MT_KEY_PAGE_DOWN,
    MT_KEY_HOME,
    MT_KEY_END,
    MT_KEY_ENTER,
    MT_KEY_BACK, /* Escape, backspace, left */
};

/* What is left to the screen. */
enum mt_top_action {
    MT_ACTION_NONE,
    MT_ACTION_QUIT,
    MT_ACTION_HELP,
    MT_ACTION_FILTER, /* asks for a text */
    MT_ACTION_LEAKS,
    MT_ACTION_SAVE,
};

struct mt_top_cursor {
    size_t row;       /* that is chosen: of all rows of the page */
    size_t item;      /* what it is about, as the last drawing had it */
    char message[96]; /* what the last key did, or "" */
};

enum mt_top_action mt_top_key(struct mt_top_view *view,
                              struct mt_top_cursor *cursor, int key);
/* Moves the window of rows so that the chosen one is in it. */
void mt_top_follow_cursor(struct mt_top_view *view,
                          struct mt_top_cursor *cursor);

/* The keys and what they do, for the help. */
extern const char mt_top_keys_help[];

#endif
