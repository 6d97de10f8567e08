/* The flow table of package flowtable, in C: the same buckets, hash, places, time-outs and sweeping. For measuring only. */
#ifndef TWIN_FLOWTABLE_H
#define TWIN_FLOWTABLE_H

#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#define SLOTS 3
#define LEFT 256
#define LEFT_RESERVE 128
#define PASS_TICKS (8 * 16)
#define BURST 64

enum { NONE, SYN_RECEIVED, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE, UDP, STATES };

struct key {
	uint32_t client;
	uint16_t client_port, vip_port, service;
};

struct flow {
	uint32_t client;
	uint16_t client_port, vip_port, service, slot;
	uint32_t expiry;
	uint16_t start;
	uint8_t state, flags;
};

struct bucket {
	struct flow flows[SLOTS];
	uint8_t tags[SLOTS], overflow;
};

_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");

struct table {
	struct bucket *base;
	uint64_t buckets, seed[2];
	struct {
		uint64_t entries, inserts, displacements, expirations, evictions, full;
	} stats;
	struct flow left[LEFT];
	uint32_t left_count;
	uint64_t cursor, owed;
	uint32_t paid;
};

static inline uint64_t fold(uint64_t a, uint64_t b) {
	__uint128_t product = (__uint128_t)a * b;

	return product >> 64 ^ product;
}

static inline uint64_t table_hash(const struct table *t, const struct key *k) {
	uint64_t tuple = (uint64_t)k->client << 32 | (uint32_t)k->client_port << 16 | k->vip_port;

	return fold(fold(tuple ^ t->seed[0], k->service ^ t->seed[1]) ^ t->seed[1], t->seed[0]);
}

static inline uint64_t primary(const struct table *t, uint64_t h) { return (h >> 32) * t->buckets >> 32; }

static inline uint64_t secondary(const struct table *t, uint64_t h, uint64_t p) {
	uint64_t s = (uint64_t)(uint32_t)h * (t->buckets - 1) >> 32;

	return s + (s >= p);
}

static inline uint8_t tag_of(uint64_t h) { return (uint8_t)h == 0 ? 1 : (uint8_t)h; }

static inline uint32_t control(const struct bucket *b) {
	uint32_t c;

	memcpy(&c, b->tags, 4);
	return c;
}

/* Bit 8*i+7 for each slot that may have the tag; exact for the lowest. */
static inline uint32_t tagged(const struct bucket *b, uint8_t tag) {
	uint32_t diff = control(b) ^ tag * 0x010101u;

	return (diff - 0x010101) & ~diff & 0x808080;
}

static inline int is(const struct flow *f, const struct key *k) {
	return memcmp(f, k, 8) == 0 && f->service == k->service;
}

static inline struct flow *find(struct bucket *b, uint8_t tag, const struct key *k) {
	for (uint32_t set = tagged(b, tag); set != 0; set &= set - 1) {
		struct flow *f = &b->flows[__builtin_ctz(set) >> 3];

		if (is(f, k) && b->tags[__builtin_ctz(set) >> 3] == tag)
			return f;
	}
	return NULL;
}

static inline int expired(const struct flow *f, uint32_t now) { return (int32_t)(now - f->expiry) >= 0; }

static inline uint64_t hash_of_flow(const struct table *t, const struct flow *f) {
	struct key k = {f->client, f->client_port, f->vip_port, f->service};

	return table_hash(t, &k);
}

/* Tells of a flow and empties its slot; 0 if there is no place to tell it. */
static inline int leave(struct table *t, struct bucket *b, uint32_t i) {
	struct bucket *home;

	if (t->left_count >= LEFT)
		return 0;
	t->left[t->left_count++] = b->flows[i];
	home = &t->base[primary(t, hash_of_flow(t, &b->flows[i]))];
	if (home != b && home->overflow < 255)
		home->overflow--;
	b->tags[i] = 0;
	t->stats.entries--;
	return 1;
}

static inline struct flow *lookup(struct table *t, uint64_t h, const struct key *k, uint32_t now) {
	uint64_t p = primary(t, h);
	struct bucket *b = &t->base[p];
	struct flow *f = find(b, tag_of(h), k);

	if (f == NULL && b->overflow != 0) {
		b = &t->base[secondary(t, h, p)];
		f = find(b, tag_of(h), k);
	}
	if (f == NULL || (unlikely(expired(f, now)) && leave(t, b, f - b->flows)))
		return NULL;
	return f;
}

/* An empty slot, if need be by expiring one; SLOTS if there is none. */
static inline uint32_t room(struct table *t, struct bucket *b, uint32_t now) {
	uint32_t empty = tagged(b, 0);

	if (empty != 0)
		return __builtin_ctz(empty) >> 3;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (expired(&b->flows[i], now) && leave(t, b, i)) {
			t->stats.expirations++;
			return i;
		}
	return SLOTS;
}

static inline uint32_t displace_one(struct table *t, struct bucket *b, uint32_t now) {
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint64_t h = hash_of_flow(t, &b->flows[i]), p = primary(t, h);
		struct bucket *home = &t->base[p], *away = &t->base[secondary(t, h, p)], *to = b != home ? home : away;
		uint32_t j = room(t, to, now);

		if (j == SLOTS)
			continue;
		to->flows[j] = b->flows[i];
		to->tags[j] = b->tags[i];
		if (to == home)
			home->overflow -= home->overflow < 255;
		else
			home->overflow += home->overflow < 255;
		t->stats.displacements++;
		return i;
	}
	return SLOTS;
}

static inline uint32_t evict_one(struct table *t, struct bucket **in, struct bucket *home, struct bucket *away, uint32_t now) {
	struct bucket *both[2] = {home, away};
	uint32_t slot = SLOTS;
	int32_t soonest = 0;

	for (int n = 0; n < 2; n++)
		for (uint32_t i = 0; i < SLOTS; i++) {
			struct flow *f = &both[n]->flows[i];
			int32_t life = f->expiry - now;

			if (f->state != ESTABLISHED && f->state != UDP && (slot == SLOTS || life < soonest)) {
				*in = both[n];
				slot = i;
				soonest = life;
			}
		}
	if (slot < SLOTS && !leave(t, *in, slot))
		return SLOTS;
	t->stats.evictions += slot < SLOTS;
	return slot;
}

static inline struct flow *insert(struct table *t, uint64_t h, const struct key *k, uint32_t now) {
	uint64_t p = primary(t, h);
	struct bucket *home = &t->base[p], *away, *b = home;
	uint32_t i = room(t, home, now);

	if (unlikely(i == SLOTS)) {
		away = &t->base[secondary(t, h, p)];
		b = away;
		if ((i = room(t, away, now)) == SLOTS) {
			b = home;
			if ((i = displace_one(t, home, now)) == SLOTS) {
				b = away;
				if ((i = displace_one(t, away, now)) == SLOTS)
					i = evict_one(t, &b, home, away, now);
			}
		}
		if (i == SLOTS) {
			t->stats.full++;
			return NULL;
		}
		if (b != home)
			home->overflow += home->overflow < 255;
	}
	b->tags[i] = tag_of(h);
	b->flows[i] = (struct flow){.client = k->client, .client_port = k->client_port, .vip_port = k->vip_port, .service = k->service};
	t->stats.inserts++;
	t->stats.entries++;
	return &b->flows[i];
}

static inline void table_prefetch(const struct table *t, const uint64_t *hashes, uint32_t n) {
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch1(&t->base[primary(t, hashes[i])]);
}

static inline void table_prefetch_secondary(const struct table *t, const uint64_t *hashes, uint32_t n) {
	for (uint32_t i = 0; i < n; i++) {
		uint64_t p = primary(t, hashes[i]), s = secondary(t, hashes[i], p);

		rte_prefetch1(&t->base[t->base[p].overflow == 0 ? p : s]);
	}
}

/* A turn's share of a pass over all buckets in 8 s. */
static inline void sweep(struct table *t, uint32_t now) {
	uint64_t budget, visits;

	if (now != t->paid) {
		t->owed = RTE_MIN(t->owed + (uint64_t)(now - t->paid) * t->buckets, t->buckets * PASS_TICKS);
		t->paid = now;
	}
	budget = RTE_MIN(t->owed / PASS_TICKS, (uint64_t)BURST);
	for (visits = 0; visits < budget && t->left_count + SLOTS <= LEFT - LEFT_RESERVE; visits++) {
		struct bucket *b = &t->base[t->cursor];

		for (uint32_t i = 0; i < SLOTS; i++)
			if (b->tags[i] != 0 && unlikely(expired(&b->flows[i], now)) && leave(t, b, i))
				t->stats.expirations++;
		if (++t->cursor == t->buckets)
			t->cursor = 0;
	}
	t->owed -= visits * PASS_TICKS;
}

#endif
