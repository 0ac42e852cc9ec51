/* SPDX-License-Identifier: MIT */
/* millrace/export.h - Marks what the library shows
 *
 * Everything else in the library is hidden, so its names can't collide with
 * those of the program that uses it.
 */
#pragma once

#define MR_API __attribute__((visibility("default")))
