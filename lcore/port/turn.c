#include "turn.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

/* Idle: this many empty turns are spun through, then come short sleeps, then long ones. */
#define SPINS 512
#define SHORT_SLEEP_US 50
#define LONG_SLEEP_US 1000
#define SHORT_SLEEPS_MS 100

/* The most frames taken from the inject ring in one turn, so that they do not hold up forwarding. */
#define INJECT_BURST 32

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Sends mbufs of so many bytes in all; what a full tx ring refuses is dropped and counted, not retried: waiting would only
   add latency. */
static void transmit(struct turnout_queue *q, struct turnout_burst *b, struct rte_mbuf **m, uint16_t n, uint64_t bytes) {
	uint16_t sent;

	if (n == 0)
		return;
	sent = rte_eth_tx_burst(q->port, q->queue, m, n);
	for (uint16_t i = sent; i < n; i++)
		bytes -= rte_pktmbuf_pkt_len(m[i]);
	if (sent < n)
		rte_pktmbuf_free_bulk(m + sent, n - sent);
	b->port.tx_packets += sent;
	b->port.tx_bytes += bytes;
	b->port.tx_dropped += n - sent;
}

/* Carries out the verdicts. A burst that is forwarded whole, as most are, is sent as it lies there. */
static void commit(struct turnout_queue *q, struct turnout_burst *b) {
	struct rte_mbuf **m = (struct rte_mbuf **)b->mbufs, *done[TURNOUT_BURST];
	uint16_t outs = b->count, dones = 0;

	if (b->forwarded < b->count) {
		outs = 0;
		for (uint32_t i = 0; i < b->count; i++) {
			if (b->verdicts[i] == TURNOUT_FORWARD)
				m[outs++] = m[i];
			else
				done[dones++] = m[i];
		}
		rte_pktmbuf_free_bulk(done, dones);
	}
	b->count = 0;
	transmit(q, b, m, outs, b->forwarded_bytes);
	b->forwarded = 0;
}

static struct turnout_slot *slot_at(struct turnout_ring *r, uint32_t index) {
	return (struct turnout_slot *)(r + 1) + (index & (r->slots - 1));
}

/* Takes frames from the inject ring. Without mbufs they stay there for a later turn. Answers whether there were any. */
static int inject(struct turnout_queue *q, struct turnout_burst *b) {
	struct rte_mbuf *m[INJECT_BURST];
	struct turnout_ring *r = q->inject;
	uint64_t bytes = 0;
	uint32_t taken, n;

	if (r == NULL)
		return 0;
	taken = r->taken;
	n = min_u32(__atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) - taken, INJECT_BURST);
	if (n == 0 || rte_pktmbuf_alloc_bulk(q->pool, m, n) != 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		struct turnout_slot *s = slot_at(r, taken + i);

		memcpy(rte_pktmbuf_append(m[i], s->length), s->data, s->length);
		bytes += s->length;
		if (s->kind == 0)
			b->port.injected++;
		else
			b->port.generated++;
	}
	__atomic_store_n(&r->taken, taken + n, __ATOMIC_RELEASE);
	transmit(q, b, m, n, bytes);
	return 1;
}

static void receive(struct turnout_queue *q, struct turnout_burst *b) {
	struct rte_mbuf **m = (struct rte_mbuf **)b->mbufs;
	uint16_t n = rte_eth_rx_burst(q->port, q->queue, m, TURNOUT_BURST);

	for (uint16_t i = 0; i < n; i++) {
		b->frames[i] = rte_pktmbuf_mtod(m[i], void *);
		/* a frame in several mbufs would be longer than the port's MTU: it counts as one without headers */
		b->lengths[i] = m[i]->nb_segs == 1 ? rte_pktmbuf_pkt_len(m[i]) : 0;
	}
	b->count = n;
}

static void sleep_us(long us) {
	struct timespec t = {.tv_nsec = us * 1000};

	nanosleep(&t, NULL);
}

/* Waits for the port's interrupt, or a millisecond; 0 if it cannot. */
static int wait_interrupt(struct turnout_queue *q) {
	struct rte_epoll_event event;

	if (!q->interrupts)
		return 0;
	if (!q->armed && rte_eth_dev_rx_intr_ctl_q(q->port, q->queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) != 0) {
		q->interrupts = 0;
		return 0;
	}
	q->armed = 1;
	if (rte_eth_dev_rx_intr_enable(q->port, q->queue) != 0) {
		q->interrupts = 0;
		return 0;
	}
	rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LONG_SLEEP_US / 1000);
	rte_eth_dev_rx_intr_disable(q->port, q->queue);
	return 1;
}

/* After a turn that found nothing: spins, then sleeps longer the longer nothing comes. */
static void idle(struct turnout_queue *q) {
	uint64_t now;

	if (q->empty++ < SPINS) {
		rte_pause();
		return;
	}
	now = rte_rdtsc();
	if (q->empty == SPINS + 1)
		q->idle_since = now;
	if (now - q->idle_since < q->hz / 1000 * SHORT_SLEEPS_MS)
		sleep_us(SHORT_SLEEP_US);
	else if (!wait_interrupt(q))
		sleep_us(LONG_SLEEP_US);
}

void turnout_turn(struct turnout_queue *q, struct turnout_burst *b) {
	int sent;

	b->entered = rte_rdtsc();
	commit(q, b);
	sent = inject(q, b);
	if (!b->last)
		receive(q, b);
	if (b->count > 0 || sent)
		q->empty = 0;
	else if (q->adaptive && !b->awake && !b->last)
		idle(q);
	b->tsc = rte_rdtsc();
}

int turnout_burst_layout(size_t *offsets) {
	size_t o[] = {
		sizeof(struct turnout_burst), offsetof(struct turnout_burst, count), offsetof(struct turnout_burst, awake),
		offsetof(struct turnout_burst, last), offsetof(struct turnout_burst, forwarded),
		offsetof(struct turnout_burst, forwarded_bytes), offsetof(struct turnout_burst, entered), offsetof(struct turnout_burst, tsc),
		offsetof(struct turnout_burst, frames), offsetof(struct turnout_burst, lengths),
		offsetof(struct turnout_burst, verdicts), offsetof(struct turnout_burst, port), offsetof(struct turnout_burst, mbufs),
	};

	memcpy(offsets, o, sizeof(o));
	return sizeof(o) / sizeof(o[0]);
}
