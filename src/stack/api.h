/* SPDX-License-Identifier: MIT */
/* stack/api.h - Which sockets the mr_ calls of a thread go to */
#pragma once

struct socks;
struct listeners_peer;

/* From now on this thread's mr_ calls go to @ss (NULL: ENXIO). Returns the sockets before. */
struct socks *api_attach(struct socks *ss);

/* Listeners that come and go in them are told to other shards by @p (NULL: there are none). */
void api_tell(struct listeners_peer *p);
