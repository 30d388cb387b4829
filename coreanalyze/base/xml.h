/* SPDX-License-Identifier: BSD-2-Clause
 *
 * xml.h - text in XML 1.0: anything that is not an XML character becomes
 * U+FFFD.
 */
#ifndef MT_XML_H
#define MT_XML_H

#include <stdio.h>

/* For elements and for attributes in double quotes. */
void mt_xml_put(FILE *out, const char *text);
/* `<tag>text</tag>` and the end of the line. */
void mt_xml_element(FILE *out, const char *indent, const char *tag,
                    const char *text);

#endif
