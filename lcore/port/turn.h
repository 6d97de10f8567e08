/* The layouts shared with Go: struct turnout_burst is lcore.Burst, struct turnout_ring is lcore.Ring's shared head.
   No DPDK header is included here, so that Go sees these types without DPDK's compiler flags. */
#ifndef TURNOUT_TURN_H
#define TURNOUT_TURN_H

#include <stddef.h>
#include <stdint.h>

#define TURNOUT_BURST 64

enum { TURNOUT_DROP, TURNOUT_FORWARD, TURNOUT_PUNT };

struct turnout_burst {
	uint32_t count;
	uint32_t awake;
	uint32_t last;
	uint32_t forwarded;
	uint64_t forwarded_bytes;
	uint64_t entered;
	uint64_t tsc;
	void *frames[TURNOUT_BURST];
	uint32_t lengths[TURNOUT_BURST];
	uint8_t verdicts[TURNOUT_BURST];
	struct {
		uint64_t tx_packets, tx_bytes, tx_dropped, injected, generated;
	} port;
	void *mbufs[TURNOUT_BURST];
};

struct turnout_ring {
	uint32_t tail __attribute__((aligned(64)));
	uint32_t taken __attribute__((aligned(64)));
	uint32_t slots __attribute__((aligned(64)));
};

struct turnout_slot {
	uint16_t length;
	uint8_t kind;
	uint8_t unused[5];
	uint8_t data[2040];
};

/* One queue pair of a port and what its lcore remembers between turns. */
struct turnout_queue {
	uint16_t port, queue;
	uint8_t adaptive;   /* may sleep when there is nothing to do */
	uint8_t interrupts; /* the driver can wake it up */
	uint8_t armed;      /* the interrupt is registered with this lcore */
	uint32_t empty;     /* turns in a row that found nothing */
	uint64_t idle_since; /* TSC of the first of them */
	uint64_t hz;         /* of the TSC */
	void *pool;
	struct turnout_ring *inject;
};

/* The fused call: commits the burst, sends what waits in the inject ring, receives the next burst. */
void turnout_turn(struct turnout_queue *q, struct turnout_burst *b);

/* Fills offsets in the order of lcore.BurstLayout and answers how many there are. */
int turnout_burst_layout(size_t *offsets);

#endif
