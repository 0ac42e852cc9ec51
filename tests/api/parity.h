/* SPDX-License-Identifier: MIT */
/* tests/api/parity.h - How the sections of the parity program observe */
#pragma once
#include "tests/api/names.h"

/* "what: 5" or "what: -1 EAGAIN" */
void obs(const char *what, long result);
/* "what: IN|OUT" */
void obs_mask(const char *what, uint32_t mask);
#define OBS(call) obs(#call, (errno = 0, (long)(call)))

/* Let the network come to rest. */
void settle(void);
void section(const char *name);

struct sockaddr_in self(uint16_t port);
uint16_t port_of(int fd);
int  tcp(int flags);
/* A listener on a port of its own, non-blocking. */
int  listener(void);
/* Two ends, connected, at rest, non-blocking. */
void pair(int *a, int *b);
/* What poll(2) says of everything. */
uint32_t ready(int fd);
void obs_ready(const char *what, int fd);
void obs_error(const char *what, int fd);
/* One round of epoll_wait on an instance with one item. */
void obs_epoll(const char *what, int ep);
int  ctl(int ep, int op, int fd, uint32_t events);
/* Close so that the peer sees RST. */
void reset(int fd);

void parity_fresh(void);
void parity_names(void);
void parity_connect(void);
void parity_close(void);
void parity_shutdown(void);
void parity_io(void);
void parity_options(void);
void parity_epoll(void);
void parity_bad(void);
