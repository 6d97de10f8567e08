/* What the generator writes into the file named by report=, for the harness to read while it runs. perf/report.go reads
   the same layout. */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include <stdint.h>

#define REPORT_MAGIC 0x3174726f70657274ull
#define REPORT_QUEUES 4
#define WINDOW_PACKETS 16384 /* short enough that most windows see no interrupt */
#define WINDOWS (1 << 17)    /* a ring: the newest ones count */

/* Why a transmitted frame is wrong. */
enum { FAULT_DESTINATION, FAULT_SOURCE, FAULT_PACKET, FAULT_LENGTH, FAULT_MOVED, FAULTS };

struct report_queue {
	uint64_t received;    /* frames handed out */
	uint64_t transmitted; /* frames taken */
	uint64_t checked;     /* of those, looked at by the oracle */
	uint64_t faults[FAULTS];
	uint64_t polls;       /* calls of rx */
	uint64_t first;       /* windows done when the last flow's first SYN was handed out; ~0 until then */
	uint64_t windows;     /* windows done */
	uint32_t cycles[WINDOWS]; /* TSC cycles of each, by number modulo WINDOWS */
};

struct report {
	uint64_t magic;
	uint64_t hz; /* of the TSC */
	struct report_queue queue[REPORT_QUEUES];
};

#endif
