package main

import (
	"fmt"
	"net/netip"

	"turnout/mgmt/api"
)

// planTable tells what a change did, or would do.
func planTable(dryRun bool) func(*table, api.Applied) {
	return func(t *table, a api.Applied) {
		if dryRun {
			t.note("The director would accept this. Nothing was changed: generation %d stays in force.", a.Generation)
		} else {
			t.note("Generation %d is in force.", a.Generation)
		}
		for _, change := range a.Changes {
			t.note("  %s", change)
		}
		vipsNote(t, "VIPs announced", a.Announced)
		vipsNote(t, "VIPs withdrawn", a.Withdrawn)
		for _, note := range a.Notes {
			t.note("Note: %s", note)
		}
		movedTables(t, a)
	}
}

func vipsNote(t *table, what string, vips []netip.Addr) {
	for i, vip := range vips {
		if i == 0 {
			what += ": "
		} else {
			what += ", "
		}
		what += vip.String()
	}
	if len(vips) > 0 {
		t.note("%s", what)
	}
}

// movedTables show the positions of scheduling tables and the live flows that do not stay as they are.
func movedTables(t *table, a api.Applied) {
	if len(a.Slots) > 0 {
		t.gap()
		t.head("SERVICE", "SLOTS MOVED", "OF", "SHARE")
		for _, s := range a.Slots {
			t.row(s.Service, s.Moved, s.Slots, fmt.Sprintf("%.1f %%", s.Percent))
		}
	}
	if len(a.Flows) > 0 {
		t.gap()
		t.head("SERVICE", "LIVE FLOWS", "RESCHEDULED", "ENDED")
		for _, f := range a.Flows {
			t.row(f.Service, f.Live, f.Rescheduled, f.Ended)
		}
	}
}
