package main

import (
	"fmt"
	"strconv"
	"time"
)

// inBytes is n with a decimal unit: 5.7 MB.
func inBytes(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	value, unit := float64(n)/1000, 0
	for ; value >= 999.95 && unit < len("kMGTPE")-1; unit++ {
		value /= 1000
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit])
}

// inPercent is a share of 0 to 1.
func inPercent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// inTime is a number of seconds, to the second: 1d2h3m4s, 15m, 0s.
func inTime(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	text := ""
	if days := d / (24 * time.Hour); days > 0 {
		text, d = fmt.Sprintf("%dd", days), d%(24*time.Hour)
	}
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			text, d = fmt.Sprintf("%s%d%s", text, n, unit.name), d%unit.size
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}

// inSpeed is a link's speed; 0: unknown.
func inSpeed(mbps uint32) string {
	switch {
	case mbps == 0:
		return ""
	case mbps%1000 == 0:
		return fmt.Sprintf("%d Gbit/s", mbps/1000)
	}
	return fmt.Sprintf("%d Mbit/s", mbps)
}

// upDown is the state of a link.
func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
