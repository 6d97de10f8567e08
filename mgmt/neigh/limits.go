package neigh

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// limitsFormat is where the kernel has the sizes of its neighbour table: above gc_thresh1 entries it forgets unused ones,
// above gc_thresh2 those older than 5 s, and more than gc_thresh3 it does not take. They count for all network namespaces
// together, and show in the first one only. A variable for tests.
var limitsFormat = "/proc/sys/net/ipv4/neigh/default/gc_thresh%d"

// limitPerTarget is how much of each limit a target must find. Beside the real servers there are clients, routers and
// what is only being asked for; the kernel's usual 128, 512 and 1024 do for 128 real servers.
var limitPerTarget = [3]int{1, 2, 4}

// checkLimits warns where the kernel's neighbour table is too small for so many targets.
func (n *Neighbours) checkLimits(targets int) {
	if settings := LimitSettings("", targets); settings != "" {
		n.cfg.Log.Warn("the kernel's neighbour table is small for so many real servers: it will forget or refuse some",
			zap.Int("real_servers", targets), zap.String("mend", "sysctl -w"+settings))
	}
}

// LimitSettings lists the sysctl settings that make room for so many targets in the kernel's neighbour table, each after a
// space; none if there is room. The limits are read beneath root, which is empty but for tests.
func LimitSettings(root string, targets int) string { return mend(readLimits(root), targets) }

// readLimits returns gc_thresh1 to 3, zero for what does not show.
func readLimits(root string) (limits [3]int) {
	for i := range limits {
		if text, err := os.ReadFile(root + fmt.Sprintf(limitsFormat, i+1)); err == nil {
			limits[i], _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
	}
	return limits
}

// mend is LimitSettings for these limits.
func mend(limits [3]int, targets int) string {
	var settings strings.Builder
	for i, limit := range limits {
		if need := limitPerTarget[i] * targets; 0 < limit && limit < need {
			fmt.Fprintf(&settings, " net.ipv4.neigh.default.gc_thresh%d=%d", i+1, need)
		}
	}
	return settings.String()
}
