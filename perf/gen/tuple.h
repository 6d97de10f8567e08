/* The frames that the generator makes: frame number i of a run is a TCP segment of flow number i's client. */
#ifndef PERF_TUPLE_H
#define PERF_TUPLE_H

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

#define ETHERNET_LEN 14
#define HEADERS_LEN 54 /* Ethernet, IPv4, TCP */

#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* Clients are 10.0.0.0/8 and any L4 port: 40 bits. VIPs are 198.18.0.1 and up, port 80 (RFC 2544's addresses). */
#define TUPLE_MASK ((1ull << 40) - 1)
#define CLIENTS 0x0a000000u
#define FIRST_VIP 0xc6120001u
#define VIP_PORT 80

/* Multiplying by an odd number modulo 2^40 shuffles the tuples; multiplying by its inverse finds the flow again. */
#define SHUFFLE 0x9e3779b97bull
#define UNSHUFFLE 0xcb04c33db3ull

static inline uint64_t tuple_of(uint64_t flow) { return flow * SHUFFLE & TUPLE_MASK; }
static inline uint64_t flow_of(uint64_t tuple) { return tuple * UNSHUFFLE & TUPLE_MASK; }

/* The virtual service of a tuple, by its low bits, which differ from flow to flow. */
static inline uint32_t service_of(uint64_t tuple, uint32_t services) {
	return (uint64_t)(uint32_t)(tuple * 0x9e3779b1u) * services >> 32;
}

static inline uint16_t checksum(const uint8_t *header) {
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++) {
		uint16_t word;

		memcpy(&word, header + 2 * i, 2);
		sum += word;
	}
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum;
}

static inline void put16(uint8_t *at, uint16_t v) {
	v = rte_cpu_to_be_16(v);
	memcpy(at, &v, 2);
}

static inline void put32(uint8_t *at, uint32_t v) {
	v = rte_cpu_to_be_32(v);
	memcpy(at, &v, 4);
}

static inline uint32_t get32(const uint8_t *at) {
	uint32_t v;

	memcpy(&v, at, 4);
	return rte_be_to_cpu_32(v);
}

static inline uint16_t get16(const uint8_t *at) {
	uint16_t v;

	memcpy(&v, at, 2);
	return rte_be_to_cpu_16(v);
}

/* The tuple that a frame shows. */
static inline uint64_t tuple_at(const uint8_t *frame) {
	return (uint64_t)(get32(frame + 26) & 0xffffff) << 16 | get16(frame + 34);
}

/* Writes the headers of a frame of length bytes over a template (two MACs, and what all frames have in common). */
static inline void write_headers(uint8_t *frame, const uint8_t *template, uint64_t tuple, uint32_t services, uint8_t flags,
	uint16_t length) {
	memcpy(frame, template, 64);
	put16(frame + 16, length - ETHERNET_LEN);
	put32(frame + 26, CLIENTS | tuple >> 16);
	put32(frame + 30, FIRST_VIP + service_of(tuple, services));
	put16(frame + 34, tuple);
	frame[47] = flags;
	put16(frame + 24, rte_be_to_cpu_16(checksum(frame + ETHERNET_LEN)));
}

#endif
