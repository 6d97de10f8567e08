/* A sequence of flow numbers below n in which flow k is drawn with a probability in proportion to 1/(k+1)^s. */
#ifndef PERF_ZIPF_H
#define PERF_ZIPF_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Where u, even in 0..1, falls in the n rising sums. */
static inline uint32_t zipf_find(const double *sums, uint32_t n, double u) {
	uint32_t low = 0, high = n - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sums[middle] < u * sums[n - 1])
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline int zipf_fill(uint32_t *draws, uint32_t count, uint32_t n, double s) {
	double *sums = malloc(n * sizeof(*sums)), sum = 0;
	uint64_t state = 1;

	if (sums == NULL)
		return -1;
	for (uint32_t k = 0; k < n; k++)
		sums[k] = sum += pow(k + 1.0, -s);
	for (uint32_t i = 0; i < count; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's MMIX */
		draws[i] = zipf_find(sums, n, (state >> 11) * 0x1p-53);
	}
	free(sums);
	return 0;
}

#endif
