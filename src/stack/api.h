/* SPDX-License-Identifier: MIT */
/* stack/api.h - Which sockets the mr_ calls of a thread go to */
#pragma once

struct socks;

/* From now on this thread's mr_ calls go to @ss (NULL: ENXIO). Returns the sockets before. */
struct socks *api_attach(struct socks *ss);
