/* SPDX-License-Identifier: MIT */
/* wire/ip_proto.h - What an IP packet carries: the numbers that IPv4 and IPv6 share (RFC 5237) */
#pragma once

enum { IP_PROTO_ICMP = 1, IP_PROTO_TCP = 6, IP_PROTO_UDP = 17, IP_PROTO_ICMP6 = 58 };
