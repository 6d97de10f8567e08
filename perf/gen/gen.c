/* net_gen: a port whose receive side makes frames of many flows and whose transmit side judges what comes back. It runs
   inside the lcore that polls it, so its cost is the same for every program, and testpmd's macswap over it is the floor.

   Receiving hands out the oldest of RING frames and writes new ones for later: they are read RING packets after they were
   written, so they come from the second-level cache, a little as behind a NIC. Mbufs go through the pool as they do there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "bus_vdev_driver.h"
#include "ethdev_driver.h"
#include "ethdev_vdev.h"

#include "report.h"
#include "tuple.h"
#include "zipf.h"

#define RING 1024
#define DRAWS (1u << 22) /* Zipf: the sequence repeats after this many */
#define MOST 128         /* frames of one call */

enum { EXPECT_NOTHING, EXPECT_SWAP, EXPECT_DR };

struct config {
	uint64_t flows;    /* known flows, one SYN each first */
	uint64_t fresh;    /* of 2^32 packets, how many open a flow never seen */
	double zipf;       /* exponent; 0: every flow is as likely */
	uint32_t services; /* VIPs */
	uint32_t reals;    /* real servers of each service */
	uint32_t expect;   /* what the oracle expects of a transmitted frame */
	uint32_t sample;   /* the oracle looks at one of so many */
	uint32_t sizes[12], size_count; /* frame lengths without the checksum, in turn */
	const char *report;
};

struct queue {
	struct rte_mbuf *ring[RING];
	uint32_t head;
	struct rte_mempool *pool;
	uint64_t rearm;      /* an mbuf's rearm_data */
	uint64_t random, next_flow, end_flow, next_fresh;
	uint32_t step;       /* of next_fresh: the number of queues */
	uint32_t draw, size, until_sample;
	uint64_t window_end, window_began;
	struct port *port;
	struct report_queue *report;
};

struct port {
	struct config config;
	struct rte_ether_addr mac;
	uint8_t template[64];
	uint16_t *servers; /* by flow: the real server seen, plus 1 */
	uint32_t *draws;
	struct report *report;
	struct queue *queues[REPORT_QUEUES];
	uint16_t number, queue_count;
};

static const struct rte_ether_addr client_mac = {{2, 0xee, 0xee, 0xee, 0xee, 0xee}};

static inline uint64_t random_next(struct queue *q) {
	__uint128_t product;

	q->random += 0x9e3779b97f4a7c15ull;
	product = (__uint128_t)q->random * (q->random ^ 0xe7037ed1a0b428dbull); /* wyrand */
	return product >> 64 ^ product;
}

/* Chooses the flow of the next frame, and the flags. */
static inline uint64_t next_flow(struct queue *q, uint8_t *flags) {
	const struct config *c = &q->port->config;
	uint64_t r;

	*flags = TCP_SYN;
	if (unlikely(q->next_flow < q->end_flow))
		return q->next_flow++;
	r = random_next(q);
	if ((uint32_t)r < c->fresh) {
		q->next_fresh += q->step;
		return q->next_fresh;
	}
	*flags = TCP_ACK;
	if (q->port->draws != NULL)
		return q->port->draws[q->draw++ & (DRAWS - 1)];
	return (r >> 32) * c->flows >> 32;
}

static inline uint32_t next_size(struct queue *q) {
	const struct config *c = &q->port->config;

	if (c->size_count == 1)
		return c->sizes[0];
	if (++q->size >= c->size_count)
		q->size = 0;
	return c->sizes[q->size];
}

static inline void fill(struct queue *q, struct rte_mbuf *m) {
	uint32_t size = next_size(q);
	uint8_t flags;
	uint64_t flow = next_flow(q, &flags);

	memcpy(&m->rearm_data, &q->rearm, 8);
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = size;
	m->data_len = size;
	write_headers((uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM, q->port->template, tuple_of(flow), q->port->config.services, flags, size);
}

/* Counts what was handed out and, at the end of a window, how long it took. */
static inline void account(struct queue *q, uint32_t n) {
	struct report_queue *r = q->report;
	uint64_t now;

	r->polls++;
	r->received += n;
	if (likely(r->received < q->window_end))
		return;
	now = rte_rdtsc();
	r->cycles[r->windows % WINDOWS] = (now - q->window_began) * WINDOW_PACKETS / (r->received - q->window_end + WINDOW_PACKETS);
	__atomic_store_n(&r->windows, r->windows + 1, __ATOMIC_RELEASE);
	if (r->first == UINT64_MAX && q->next_flow >= q->end_flow)
		r->first = r->windows;
	q->window_began = now;
	q->window_end = r->received + WINDOW_PACKETS;
}

static uint16_t gen_rx(void *queue, struct rte_mbuf **out, uint16_t n) {
	struct queue *q = queue;
	struct rte_mbuf *blank[MOST];

	n = RTE_MIN(n, MOST);
	if (unlikely(rte_mempool_get_bulk(q->pool, (void **)blank, n) != 0))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf **at = &q->ring[(q->head + i) % RING];

		out[i] = *at;
		*at = blank[i];
		fill(q, blank[i]);
	}
	q->head += n;
	account(q, n);
	return n;
}

/* The real server n of service s has the MAC 02:00:ss:ss:nn:nn. Answers n plus 1, or 0. */
static uint32_t server_of(const struct config *c, const uint8_t *mac, uint32_t service) {
	uint32_t server = get16(mac + 4);

	return mac[0] == 2 && mac[1] == 0 && get16(mac + 2) == service && server < c->reals ? server + 1 : 0;
}

/* Whether the flow has always gone to this server. */
static int stays(struct port *p, uint64_t flow, uint32_t server) {
	if (flow >= p->config.flows)
		return 1;
	if (p->servers[flow] == 0)
		p->servers[flow] = server;
	return p->servers[flow] == server;
}

static void check_macs(struct port *p, struct report_queue *r, const uint8_t *frame, uint64_t tuple) {
	const struct config *c = &p->config;
	uint32_t server;

	if (memcmp(frame + 6, &p->mac, 6) != 0)
		r->faults[FAULT_SOURCE]++;
	if (c->expect == EXPECT_SWAP) {
		if (memcmp(frame, &client_mac, 6) != 0)
			r->faults[FAULT_DESTINATION]++;
		return;
	}
	server = server_of(c, frame, service_of(tuple, c->services));
	if (server == 0)
		r->faults[FAULT_DESTINATION]++;
	else if (!stays(p, flow_of(tuple), server))
		r->faults[FAULT_MOVED]++;
}

static int sane_length(const struct config *c, uint32_t length) {
	for (uint32_t i = 0; i < c->size_count; i++)
		if (c->sizes[i] == length)
			return 1;
	return 0;
}

/* The oracle: the frame is the one that was made for its tuple, apart from the MACs, which lead to the right host. */
static __rte_noinline void check(struct queue *q, const struct rte_mbuf *m) {
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct port *p = q->port;
	uint64_t tuple = tuple_at(frame);
	uint8_t want[64];

	if (get16(frame + 12) != RTE_ETHER_TYPE_IPV4) /* the director's own, as ARP */
		return;
	q->report->checked++;
	if (!sane_length(&p->config, m->pkt_len)) {
		q->report->faults[FAULT_LENGTH]++;
		return;
	}
	write_headers(want, p->template, tuple, p->config.services, frame[47] == TCP_SYN ? TCP_SYN : TCP_ACK, m->pkt_len);
	if (memcmp(frame + 12, want + 12, HEADERS_LEN - 12) != 0)
		q->report->faults[FAULT_PACKET]++;
	else
		check_macs(p, q->report, frame, tuple);
}

static uint16_t gen_tx(void *queue, struct rte_mbuf **in, uint16_t n) {
	struct queue *q = queue;

	q->report->transmitted += n;
	for (uint16_t i = 0; i < n; i++) {
		if (unlikely(--q->until_sample == 0)) {
			q->until_sample = q->port->config.sample;
			if (q->port->config.expect != EXPECT_NOTHING)
				check(q, in[i]);
		}
	}
	rte_pktmbuf_free_bulk(in, n);
	return n;
}

static int gen_configure(struct rte_eth_dev *dev) {
	struct port *p = dev->data->dev_private;

	p->queue_count = dev->data->nb_rx_queues;
	return 0;
}

/* Divides the known flows among the queues, as RSS would. */
static void start_queue(struct port *p, struct queue *q, uint16_t id) {
	uint64_t flows = p->config.flows;

	q->next_flow = flows * id / p->queue_count;
	q->end_flow = flows * (id + 1) / p->queue_count;
	q->next_fresh = flows + id;
	q->step = p->queue_count;
	q->random = id + 1;
	q->until_sample = p->config.sample;
	q->report->first = UINT64_MAX;
	q->window_end = WINDOW_PACKETS;
	q->window_began = rte_rdtsc();
}

/* A queue's receive and transmit sides are one: they have the same lcore. Either may be set up first. */
static struct queue *queue_at(struct port *p, uint16_t id, unsigned int socket) {
	struct queue *q = p->queues[id];

	if (q == NULL) {
		p->queues[id] = q = rte_zmalloc_socket("net_gen", sizeof(*q), RTE_CACHE_LINE_SIZE, socket);
		if (q == NULL)
			return NULL;
		q->port = p;
		q->report = &p->report->queue[id];
	}
	return q;
}

static int gen_rx_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t descriptors __rte_unused, unsigned int socket,
	const struct rte_eth_rxconf *conf __rte_unused, struct rte_mempool *pool) {
	struct queue *q = queue_at(dev->data->dev_private, id, socket);
	struct rte_mbuf rearm = {.data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1, .port = dev->data->port_id};

	if (q == NULL)
		return -ENOMEM;
	rte_mbuf_refcnt_set(&rearm, 1);
	memcpy(&q->rearm, &rearm.rearm_data, 8);
	q->pool = pool;
	dev->data->rx_queues[id] = q;
	return 0;
}

static int gen_tx_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t descriptors __rte_unused, unsigned int socket,
	const struct rte_eth_txconf *conf __rte_unused) {
	dev->data->tx_queues[id] = queue_at(dev->data->dev_private, id, socket);
	return dev->data->tx_queues[id] == NULL ? -ENOMEM : 0;
}

static int gen_start(struct rte_eth_dev *dev) {
	struct port *p = dev->data->dev_private;

	for (uint16_t id = 0; id < p->queue_count; id++) {
		struct queue *q = p->queues[id];

		start_queue(p, q, id);
		if (rte_mempool_get_bulk(q->pool, (void **)q->ring, RING) != 0)
			return -ENOMEM;
		for (uint32_t i = 0; i < RING; i++) {
			memset(rte_pktmbuf_mtod(q->ring[i], void *), 0, 64);
			fill(q, q->ring[i]);
		}
	}
	dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
	return 0;
}

static int gen_stop(struct rte_eth_dev *dev) {
	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}

static int gen_close(struct rte_eth_dev *dev) {
	struct port *p = dev->data->dev_private;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	for (uint16_t id = 0; id < REPORT_QUEUES; id++)
		rte_free(p->queues[id]);
	munmap(p->report, sizeof(*p->report));
	free(p->servers);
	free(p->draws);
	dev->data->mac_addrs = NULL; /* part of the port */
	return 0;
}

static int gen_info(struct rte_eth_dev *dev __rte_unused, struct rte_eth_dev_info *info) {
	info->max_rx_pktlen = 1518;
	info->max_mtu = 1500;
	info->min_mtu = 68;
	info->max_rx_queues = info->max_tx_queues = REPORT_QUEUES;
	info->max_mac_addrs = 1;
	info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
	return 0;
}

static int gen_stats(struct rte_eth_dev *dev, struct rte_eth_stats *stats) {
	struct port *p = dev->data->dev_private;

	for (uint16_t id = 0; id < p->queue_count; id++) {
		const struct report_queue *r = &p->report->queue[id];

		stats->ipackets += r->received;
		stats->opackets += r->transmitted;
		for (int f = 0; f < FAULTS; f++)
			stats->oerrors += r->faults[f];
	}
	return 0;
}

static int gen_nothing(struct rte_eth_dev *dev __rte_unused) { return 0; }
static int gen_link(struct rte_eth_dev *dev __rte_unused, int wait __rte_unused) { return 0; }
static int gen_mtu(struct rte_eth_dev *dev __rte_unused, uint16_t mtu __rte_unused) { return 0; }

static const struct eth_dev_ops operations = {
	.dev_configure = gen_configure, .dev_start = gen_start, .dev_stop = gen_stop, .dev_close = gen_close,
	.dev_infos_get = gen_info, .rx_queue_setup = gen_rx_setup, .tx_queue_setup = gen_tx_setup,
	.link_update = gen_link, .mtu_set = gen_mtu, .promiscuous_enable = gen_nothing, .promiscuous_disable = gen_nothing,
	.allmulticast_enable = gen_nothing, .allmulticast_disable = gen_nothing, .stats_get = gen_stats,
};

static int parse_number(const char *key __rte_unused, const char *value, void *out) {
	char *end;

	errno = 0;
	*(uint64_t *)out = strtoull(value, &end, 0);
	return errno != 0 || *end != 0 || *value == 0 ? -EINVAL : 0;
}

static int parse_u32(const char *key, const char *value, void *out) {
	uint64_t v;

	if (parse_number(key, value, &v) != 0 || v == 0 || v > UINT32_MAX)
		return -EINVAL;
	*(uint32_t *)out = v;
	return 0;
}

static int parse_real(const char *key __rte_unused, const char *value, void *out) {
	char *end;

	*(double *)out = strtod(value, &end);
	return *end != 0 ? -EINVAL : 0;
}

/* A percentage of new flows, as a share of 2^32. */
static int parse_share(const char *key, const char *value, void *out) {
	double percent;

	if (parse_real(key, value, &percent) != 0 || percent < 0 || percent > 100)
		return -EINVAL;
	*(uint64_t *)out = percent / 100 * 0x1p32;
	return 0;
}

static int parse_expect(const char *key __rte_unused, const char *value, void *out) {
	static const char *const names[] = {"nothing", "swap", "dr"};

	for (uint32_t i = 0; i < RTE_DIM(names); i++)
		if (strcmp(value, names[i]) == 0) {
			*(uint32_t *)out = i;
			return 0;
		}
	return -EINVAL;
}

static int parse_path(const char *key __rte_unused, const char *value, void *out) {
	*(const char **)out = value;
	return 0;
}

/* A length on the wire, or imix: 7 of 64 bytes, 4 of 570, 1 of 1518, spread over each other. */
static int parse_size(const char *key, const char *value, void *out) {
	static const uint32_t imix[12] = {60, 566, 60, 60, 566, 60, 1514, 60, 566, 60, 566, 60};
	struct config *c = out;

	if (strcmp(value, "imix") == 0) {
		memcpy(c->sizes, imix, sizeof(imix));
		c->size_count = RTE_DIM(imix);
		return 0;
	}
	c->size_count = 1;
	if (parse_u32(key, value, c->sizes) != 0 || c->sizes[0] < 64 || c->sizes[0] > 1518)
		return -EINVAL;
	c->sizes[0] -= RTE_ETHER_CRC_LEN;
	return 0;
}

static int parse(struct config *c, const char *arguments, struct rte_kvargs **list) {
	const struct {
		const char *key;
		arg_handler_t parse;
		void *out;
	} keys[] = {
		{"flows", parse_number, &c->flows}, {"new", parse_share, &c->fresh}, {"zipf", parse_real, &c->zipf},
		{"services", parse_u32, &c->services}, {"reals", parse_u32, &c->reals}, {"size", parse_size, c},
		{"expect", parse_expect, &c->expect}, {"sample", parse_u32, &c->sample}, {"report", parse_path, &c->report},
	};

	*list = rte_kvargs_parse(arguments, NULL);
	if (*list == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < RTE_DIM(keys); i++)
		if (rte_kvargs_process(*list, keys[i].key, keys[i].parse, keys[i].out) != 0) {
			fprintf(stderr, "net_gen: bad value of %s in %s\n", keys[i].key, arguments);
			return -EINVAL;
		}
	if (c->report == NULL || (c->flows == 0 && c->fresh <= UINT32_MAX) || c->flows > UINT32_MAX) {
		fprintf(stderr, "net_gen: give report=FILE, and flows=N below 2^32 or new=100\n");
		return -EINVAL;
	}
	return 0;
}

static struct report *map_report(const char *path) {
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	void *at = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(struct report)) == 0)
		at = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (fd >= 0)
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static int prepare(struct port *p) {
	struct config *c = &p->config;

	p->report = map_report(c->report);
	p->servers = calloc(c->flows + 1, sizeof(*p->servers));
	if (p->report == NULL || p->servers == NULL)
		return -ENOMEM;
	if (c->zipf > 0) {
		p->draws = malloc(DRAWS * sizeof(*p->draws));
		if (p->draws == NULL || zipf_fill(p->draws, DRAWS, c->flows, c->zipf) != 0)
			return -ENOMEM;
	}
	p->report->hz = rte_get_tsc_hz();
	p->report->magic = REPORT_MAGIC;
	return 0;
}

/* What all frames have in common: MACs, IPv4 without options (TTL 64, don't fragment), TCP without options. Its checksum
   stays 0: directors do not look at it. */
static void make_template(struct port *p) {
	static const uint8_t rest[] = {0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6};
	uint8_t *t = p->template;

	memcpy(t, &p->mac, 6);
	memcpy(t + 6, &client_mac, 6);
	memcpy(t + 12, rest, sizeof(rest));
	put16(t + 36, VIP_PORT);
	t[46] = 0x50;
	put16(t + 48, 1024);
}

static int gen_probe(struct rte_vdev_device *vdev) {
	struct config config = {.services = 1, .reals = 1, .sample = 1, .sizes = {60}, .size_count = 1};
	struct rte_kvargs *list = NULL;
	struct rte_eth_dev *dev = NULL;
	struct port *p;
	int rc = parse(&config, rte_vdev_device_args(vdev), &list);

	if (rc == 0 && (dev = rte_eth_vdev_allocate(vdev, sizeof(*p))) == NULL)
		rc = -ENOMEM;
	if (rc == 0) {
		p = dev->data->dev_private;
		p->config = config;
		p->mac = (struct rte_ether_addr){{2, 0xdd, 0, 0, 0, 1}};
		make_template(p);
		rc = prepare(p);
		dev->data->mac_addrs = &p->mac;
		dev->data->dev_link = (struct rte_eth_link){.link_speed = RTE_ETH_SPEED_NUM_100G, .link_duplex = 1};
		dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
		dev->dev_ops = &operations;
		dev->rx_pkt_burst = gen_rx;
		dev->tx_pkt_burst = gen_tx;
	}
	rte_kvargs_free(list);
	if (rc == 0)
		rte_eth_dev_probing_finish(dev);
	return rc;
}

static int gen_remove(struct rte_vdev_device *vdev) {
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0;
	gen_close(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver driver = {.probe = gen_probe, .remove = gen_remove};

RTE_PMD_REGISTER_VDEV(net_gen, driver);
