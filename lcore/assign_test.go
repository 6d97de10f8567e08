package lcore_test

import (
	"slices"
	"testing"

	"turnout/lcore"
)

func TestAssign(t *testing.T) {
	for _, c := range []struct {
		name   string
		cpus   []lcore.CPU
		device lcore.Device
		notes  []string
		err    string
	}{
		{"one lcore needs no RSS", []lcore.CPU{{1, 0}}, lcore.Device{"lan", 1, 0, false}, nil, ""},
		{"a queue each", []lcore.CPU{{1, 0}, {2, 0}}, lcore.Device{"lan", 16, 0, true}, nil, ""},
		{"too few queues", []lcore.CPU{{1, 0}, {2, 0}}, lcore.Device{"lan", 1, 0, true}, nil,
			"the device has 1 queues, and dpdk.lcores lists 2 lcores, which need one each: list at most 1"},
		{"no RSS", []lcore.CPU{{1, 0}, {2, 0}}, lcore.Device{"lan", 2, 0, false},
			[]string{"port lan does not spread flows over its queues by itself (no RSS): one lcore may get all frames; list one in dpdk.lcores"}, ""},
		{"another node", []lcore.CPU{{1, 0}, {9, 1}}, lcore.Device{"lan", 2, 1, true},
			[]string{"lcore 1 is on NUMA node 0 and port lan on node 1: choose a CPU of that node for dpdk.lcores"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			notes, err := lcore.Assign(c.cpus, c.device)
			if text := errorText(err); text != c.err || !slices.Equal(notes, c.notes) {
				t.Errorf("notes %q, error %q; want %q, %q", notes, text, c.notes, c.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
