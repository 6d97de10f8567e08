/* The C twin of turnout's loop: the same stages over the same tables, with the same checks, counters, states and time-outs,
   for measuring only. What it costs less than Go is Go's tax. It takes the flags of perf/loop and forwards until its
   standard input ends. */
#include <getopt.h>
#include <immintrin.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "flowtable.h"

#define FIRST_VIP 0xc6120001u
#define VIP_PORT 80
#define TABLE_SIZE 65537
#define NO_REAL UINT32_MAX

struct real {
	uint8_t macs[12];
	uint32_t counter;
	uint8_t state;
};

struct real_counters {
	uint64_t packets, bytes, connections, rescheduled, active, inactive, unused[2];
};

struct service {
	uint16_t *table;
	uint32_t first, count, vip, timeouts[8];
};

struct cell {
	uint64_t key;
	uint32_t value;
};

struct pending {
	struct key key;
	uint8_t frame, flags;
	uint32_t real;
};

/* The TSC cycles of the stages, in the order of lcore.StageNames; counted only when compiled with -DSTAGES. */
#ifdef STAGES
enum { STAGE_INSPECT, STAGE_PREFETCH, STAGE_SECONDARY, STAGE_CHOOSE, STAGE_REWRITE, STAGE_COUNT };

static uint64_t stage_cycles[STAGE_COUNT], stage_began;

static inline void start_stages(void) {
	_mm_lfence();
	stage_began = rte_rdtsc();
}

static inline void end_stage(int stage) {
	uint64_t tsc;

	_mm_lfence();
	tsc = rte_rdtsc();
	stage_cycles[stage] += tsc - stage_began;
	stage_began = tsc;
}
#else
#define start_stages()
#define end_stage(stage)
#endif

/* What the snapshot holds. */
static struct {
	struct rte_ether_addr port_mac;
	uint64_t key[2];
	struct service *services;
	struct real *reals;
	struct cell *cells;
	uint64_t mask;
	uint8_t shift;
	uint64_t suspects[512];
} snapshot = {.key = {0x243f, 0x6a88}};

static struct {
	uint64_t rx_packets, rx_bytes, drops, tx_packets, tx_bytes, tx_dropped, polls, sizes[8], gaps[40], busy, cycles;
} counters;

static struct real_counters *real_counters;
static struct table table = {.seed = {0x6f1d ^ 0x243f6a8885a308d3, 0x9b27 ^ 0x13198a2e03707344}};
static uint8_t transitions[256];
static struct pending pend[BURST];
static uint64_t hashes[BURST];
static uint32_t pending_count, now;
static uint64_t tick_factor;
static atomic_bool stop;

static const char *device = "", *eal_args = "", *mode = "";
static unsigned int main_lcore = 0, lcore = 1, entries = 1 << 20, services = 1, reals = 16, timeout_ticks;

static inline uint16_t be16(const void *at) {
	uint16_t v;

	memcpy(&v, at, 2);
	return rte_be_to_cpu_16(v);
}

static inline uint32_t be32(const void *at) {
	uint32_t v;

	memcpy(&v, at, 4);
	return rte_be_to_cpu_32(v);
}

static inline uint32_t suspect_word(const uint8_t *mac) { return (mac[5] >> 6 | (mac[4] << 2 ^ mac[3])) & 511; }

static inline const struct cell *cell_of(uint64_t key) {
	for (uint64_t i = key * 0x9e3779b97f4a7c15 >> snapshot.shift;; i++) {
		const struct cell *c = &snapshot.cells[i & snapshot.mask];

		if (c->key == key || c->key == 0)
			return c;
	}
}

/* Stage 1 for one frame: answers whether it is a pending flow. */
static inline int inspect(const uint8_t *f, uint32_t length, struct pending *p) {
	uint64_t key;
	const struct cell *c;
	uint32_t header, total;

	if (length < 34 || memcmp(f + 6, &snapshot.port_mac, 6) == 0 || memcmp(f, &snapshot.port_mac, 6) != 0 || be16(f + 12) != 0x0800)
		return 0;
	header = (f[14] & 15) * 4;
	total = be16(f + 16);
	if (f[14] >> 4 != 4 || header < 20 || total < header || total > length - 14 || (be16(f + 20) & 0x3fff) != 0)
		return 0;
	if (f[23] != 6 || total - header < 20)
		return 0;
	key = (uint64_t)be32(f + 30) << 32 | f[23] << 16 | be16(f + 14 + header + 2);
	c = cell_of(key);
	if (c->key == 0)
		return 0;
	if (snapshot.suspects[suspect_word(f + 6)] >> (f[11] & 63) & 1)
		return 0;
	p->key = (struct key){be32(f + 26), be16(f + 14 + header), be16(f + 14 + header + 2), c->value};
	p->flags = f[14 + header + 13];
	return 1;
}

static inline uint64_t packet_hash(const struct service *svc, const struct pending *p) {
	uint64_t ports = (uint64_t)p->key.client_port << 16 | p->key.vip_port, addresses = (uint64_t)p->key.client << 32 | svc->vip;

	return fold(fold(addresses ^ snapshot.key[0], ports ^ snapshot.key[1]) ^ snapshot.key[1], snapshot.key[0]);
}

static inline uint32_t pick(const struct service *svc, const struct pending *p) {
	return svc->first + svc->table[(__uint128_t)packet_hash(svc, p) * TABLE_SIZE >> 64];
}

static inline void count_flow(struct real_counters *c, uint8_t state, uint64_t delta) {
	if (state == ESTABLISHED)
		c->active += delta;
	else
		c->inactive += delta;
}

/* Stage 2 for a flow that is known. */
static inline uint32_t follow(const struct service *svc, const struct pending *p, struct flow *f) {
	uint32_t at = svc->first + f->slot, expiry;
	uint8_t next;

	if (unlikely(f->slot >= svc->count || snapshot.reals[at].state == 0)) {
		at = pick(svc, p);
		f->slot = at - svc->first;
		real_counters[snapshot.reals[at].counter].rescheduled++;
	}
	next = transitions[(uint8_t)(f->state << 5 | (p->flags & 31))];
	if (next != f->state) {
		count_flow(&real_counters[snapshot.reals[at].counter], f->state, -1);
		count_flow(&real_counters[snapshot.reals[at].counter], next, 1);
		f->state = next;
	}
	expiry = now + svc->timeouts[f->state & 7];
	if (expiry != f->expiry)
		f->expiry = expiry;
	return at;
}

/* Stage 2 for a new flow. */
static inline uint32_t schedule(const struct service *svc, const struct pending *p, uint64_t hash) {
	uint32_t at = pick(svc, p);
	uint8_t state = transitions[p->flags & 31];
	struct flow *f = insert(&table, hash, &p->key, now);

	if (f == NULL)
		return at;
	f->slot = at - svc->first;
	f->state = state;
	f->start = now / 16;
	f->expiry = now + svc->timeouts[state & 7];
	real_counters[snapshot.reals[at].counter].connections++;
	count_flow(&real_counters[snapshot.reals[at].counter], state, 1);
	return at;
}

static inline void choose(void) {
	table_prefetch_secondary(&table, hashes, pending_count);
	end_stage(STAGE_SECONDARY);
	for (uint32_t i = 0; i < pending_count; i++) {
		struct pending *p = &pend[i];
		const struct service *svc = &snapshot.services[p->key.service];
		struct flow *f = lookup(&table, hashes[i], &p->key, now);

		p->real = f != NULL ? follow(svc, p, f) : schedule(svc, p, hashes[i]);
	}
}

static inline void choose_stateless(void) {
	for (uint32_t i = 0; i < pending_count; i++)
		pend[i].real = pick(&snapshot.services[pend[i].key.service], &pend[i]);
}

static inline void inspect_all(struct rte_mbuf **m, uint16_t n) {
	pending_count = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct pending *p = &pend[pending_count];

		counters.rx_bytes += m[i]->pkt_len;
		if (!inspect(rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->pkt_len, p)) {
			counters.drops++;
			continue;
		}
		p->frame = i;
		hashes[pending_count++] = table_hash(&table, &p->key);
	}
	counters.rx_packets += n;
	end_stage(STAGE_INSPECT);
	table_prefetch(&table, hashes, pending_count);
	end_stage(STAGE_PREFETCH);
}

static inline uint16_t rewrite(struct rte_mbuf **m, uint8_t *forward) {
	uint16_t forwarded = 0;

	for (uint32_t i = 0; i < pending_count; i++) {
		const struct real *r = &snapshot.reals[pend[i].real];
		struct real_counters *c = &real_counters[r->counter];
		uint8_t *f = rte_pktmbuf_mtod(m[pend[i].frame], uint8_t *);

		if (memcmp(f + 6, r->macs, 6) == 0)
			continue;
		memcpy(f, r->macs, 12);
		forward[pend[i].frame] = 1;
		c->packets++;
		c->bytes += m[pend[i].frame]->pkt_len;
		forwarded++;
	}
	return forwarded;
}

static inline void swap_all(struct rte_mbuf **m, uint16_t n, uint8_t *forward) {
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *f = rte_pktmbuf_mtod(m[i], uint8_t *), macs[12];

		memcpy(macs, f + 6, 6);
		memcpy(macs + 6, f, 6);
		memcpy(f, macs, 12);
		forward[i] = 1;
	}
}

static inline void commit(struct rte_mbuf **m, uint16_t n, const uint8_t *forward) {
	struct rte_mbuf *out[BURST], *done[BURST];
	uint16_t outs = 0, dones = 0, sent;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (forward[i]) {
			out[outs++] = m[i];
			bytes += m[i]->pkt_len;
		} else
			done[dones++] = m[i];
	}
	if (dones > 0)
		rte_pktmbuf_free_bulk(done, dones);
	if (outs == 0)
		return;
	sent = rte_eth_tx_burst(0, 0, out, outs);
	if (sent < outs)
		rte_pktmbuf_free_bulk(out + sent, outs - sent);
	counters.tx_packets += sent;
	counters.tx_bytes += bytes;
	counters.tx_dropped += outs - sent;
}

static inline void tidy(void) {
	sweep(&table, now);
	for (uint32_t i = 0; i < table.left_count; i++) {
		const struct service *svc = &snapshot.services[table.left[i].service];

		count_flow(&real_counters[snapshot.reals[svc->first + table.left[i].slot].counter], table.left[i].state, -1);
	}
	table.left_count = 0;
}

static inline void count(uint16_t n, uint64_t entered, uint64_t tsc, uint64_t last) {
	counters.polls++;
	counters.sizes[n == 0 ? 0 : 7 & (32 - __builtin_clz(n))]++;
	if (last == 0)
		return;
	counters.gaps[entered <= last ? 0 : RTE_MIN(64 - __builtin_clzll(entered - last), 39)]++;
	counters.cycles += tsc - last;
	if (n > 0)
		counters.busy += tsc - last;
}

static int run(void *unused __rte_unused) {
	struct rte_mbuf *m[BURST];
	uint64_t entered, tsc = 0, last;
	uint16_t n = 0;
	uint8_t forward[BURST];
	int swap = strcmp(mode, "swap") == 0, stateless = strcmp(mode, "stateless") == 0;

	while (!atomic_load_explicit(&stop, memory_order_acquire)) {
		last = tsc;
		entered = rte_rdtsc();
		commit(m, n, forward);
		n = rte_eth_rx_burst(0, 0, m, BURST);
		tsc = rte_rdtsc();
		now = (__uint128_t)tsc * tick_factor >> 64;
		memset(forward, 0, sizeof(forward));
		if (swap) {
			swap_all(m, n, forward);
			continue;
		}
		if (n > 0) {
			start_stages();
			inspect_all(m, n);
			if (stateless)
				choose_stateless();
			else
				choose();
			end_stage(STAGE_CHOOSE);
			rewrite(m, forward);
			end_stage(STAGE_REWRITE);
		}
		tidy();
		count(n, entered, tsc, last);
	}
	commit(m, n, forward);
	return 0;
}

/* The transitions of package flowtable. */
static void make_transitions(void) {
	static const uint8_t steps[5][STATES] = {
		{CLOSE, SYN_RECEIVED, CLOSE, CLOSE, CLOSE, CLOSE, UDP},
		{SYN_RECEIVED, SYN_RECEIVED, ESTABLISHED, SYN_RECEIVED, SYN_RECEIVED, SYN_RECEIVED, UDP},
		{CLOSE, TIME_WAIT, FIN_WAIT, FIN_WAIT, TIME_WAIT, CLOSE, UDP},
		{ESTABLISHED, ESTABLISHED, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, UDP},
		{CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, UDP},
	};

	for (int s = 0; s < STATES; s++)
		for (int flags = 0; flags < 32; flags++)
			transitions[s << 5 | flags] = steps[flags & 4 ? 0 : flags & 2 ? 1 : flags & 1 ? 2 : flags & 16 ? 3 : 4][s];
}

static void *map(size_t size, int flags) {
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | flags, -1, 0);

	if (at == MAP_FAILED) {
		perror("twin: map memory (reserve hugepages)");
		exit(1);
	}
	return at;
}

static void make_service(uint32_t s) {
	static const uint32_t seconds[8] = {10, 60, 900, 120, 120, 10, 300};
	struct service *svc = &snapshot.services[s];
	uint64_t key = (uint64_t)(FIRST_VIP + s) << 32 | 6 << 16 | VIP_PORT;

	svc->first = s * reals;
	svc->count = reals;
	svc->vip = FIRST_VIP + s;
	svc->table = map(TABLE_SIZE * 2, 0);
	for (uint32_t i = 0; i < TABLE_SIZE; i++) /* as even as Maglev's; how it is shared out is not what is measured */
		svc->table[i] = fold(i + 1, 0x9e3779b97f4a7c15) % reals;
	for (int state = 0; state < 8; state++)
		svc->timeouts[state] = timeout_ticks > 0 ? timeout_ticks : seconds[state] * 16;
	for (uint32_t r = 0; r < reals; r++) {
		struct real *real = &snapshot.reals[svc->first + r];
		const uint8_t mac[6] = {2, 0, s >> 8, s, r >> 8, r};

		memcpy(real->macs, mac, 6);
		memcpy(real->macs + 6, &snapshot.port_mac, 6);
		real->counter = svc->first + r;
		real->state = 2;
		snapshot.suspects[suspect_word(mac)] |= 1ull << (mac[5] & 63);
	}
	*(struct cell *)(uintptr_t)cell_of(key) = (struct cell){key, s};
}

static void make_snapshot(void) {
	uint64_t cells = 1;
	uint8_t log = 0;

	for (; cells < 2 * services; cells *= 2)
		log++;
	if (log == 0)
		cells = 2, log = 1;
	snapshot.mask = cells - 1;
	snapshot.shift = 64 - log;
	snapshot.cells = map(cells * sizeof(struct cell), 0);
	snapshot.services = map(services * sizeof(struct service), 0);
	snapshot.reals = map(services * reals * sizeof(struct real), 0);
	real_counters = map(services * reals * sizeof(struct real_counters), 0);
	for (uint32_t s = 0; s < services; s++)
		make_service(s);
	table.buckets = RTE_MAX(entries, 2u);
	table.base = map((table.buckets * 64 + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1), MAP_HUGETLB);
	make_transitions();
	tick_factor = ((__uint128_t)16 << 64) / rte_get_tsc_hz();
}

/* A Go duration: the harness gives it as a number and a unit. */
static unsigned int parse_ticks(const char *text) {
	char *unit;
	double n = strtod(text, &unit);

	return n * 16 * (strcmp(unit, "ms") == 0 ? 0.001 : 1);
}

static void parse(int argc, char **argv) {
	static const struct option options[] = {
		{"device", 1, NULL, 'd'}, {"eal-args", 1, NULL, 'e'}, {"main-lcore", 1, NULL, 'm'}, {"lcore", 1, NULL, 'l'}, {"mode", 1, NULL, 'o'},
		{"entries", 1, NULL, 'n'}, {"services", 1, NULL, 's'}, {"reals", 1, NULL, 'r'}, {"timeout", 1, NULL, 't'}, {NULL, 0, NULL, 0},
	};

	for (int c; (c = getopt_long_only(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'd': device = optarg; break;
		case 'e': eal_args = optarg; break;
		case 'm': main_lcore = atoi(optarg); break;
		case 'l': lcore = atoi(optarg); break;
		case 'o': mode = optarg; break;
		case 'n': entries = atoi(optarg); break;
		case 's': services = atoi(optarg); break;
		case 'r': reals = atoi(optarg); break;
		case 't': timeout_ticks = parse_ticks(optarg); break;
		default: exit(2);
		}
	}
}

static void start_eal(char *name) {
	char lcores[32], main_text[16], extra[1024];
	char *args[32] = {name, "-l", lcores, "--main-lcore", main_text, "-m", "256", "--in-memory", "--no-telemetry", "--log-level", "warning"};
	int count = 11;

	snprintf(lcores, sizeof(lcores), "%u,%u", main_lcore, lcore);
	snprintf(main_text, sizeof(main_text), "%u", main_lcore);
	snprintf(extra, sizeof(extra), "%s", eal_args);
	if (strncmp(device, "net_", 4) == 0)
		args[count++] = "--no-pci", args[count++] = "--vdev";
	else
		args[count++] = "-a";
	args[count++] = (char *)(uintptr_t)device;
	for (char *word = strtok(extra, " "); word != NULL && count < 31; word = strtok(NULL, " "))
		args[count++] = word;
	if (rte_eal_init(count, args) < 0)
		exit(1);
}

static void start_port(void) {
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool = rte_pktmbuf_pool_create("mbufs", 4095, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);

	if (pool == NULL || rte_eth_dev_configure(0, 1, 1, &conf) != 0 || rte_eth_rx_queue_setup(0, 0, 1024, 0, NULL, pool) != 0 ||
		rte_eth_tx_queue_setup(0, 0, 1024, 0, NULL) != 0 || rte_eth_dev_start(0) != 0 || rte_eth_macaddr_get(0, &snapshot.port_mac) != 0)
		rte_exit(1, "twin: cannot set the port up\n");
}

int main(int argc, char **argv) {
	char byte;

	parse(argc, argv);
	start_eal(argv[0]);
	start_port();
	make_snapshot();
	rte_eal_remote_launch(run, NULL, lcore);
	while (read(0, &byte, 1) > 0)
		;
	atomic_store(&stop, 1);
	rte_eal_mp_wait_lcore();
	printf("{\"RxPackets\": %lu, \"Drops\": %lu, \"TxPackets\": %lu, \"Entries\": %lu, \"Inserts\": %lu, \"Expirations\": %lu, \"Evictions\": %lu}\n",
		counters.rx_packets, counters.drops, counters.tx_packets, table.stats.entries, table.stats.inserts, table.stats.expirations, table.stats.evictions);
#ifdef STAGES
	for (int i = 0; i < STAGE_COUNT; i++)
		fprintf(stderr, "stage %d: %.2f TSC cycles a packet\n", i, (double)stage_cycles[i] / counters.rx_packets);
#endif
	rte_eal_cleanup();
	return 0;
}
