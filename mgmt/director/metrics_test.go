package director

import (
	"context"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/events"
)

func TestEventsAreMeasured(t *testing.T) {
	d, _, _ := start(t, servicesFile)
	before := d.Snapshot().Events
	if err := d.SetRole(context.Background(), api.RoleStandby); err != nil {
		t.Fatal(err)
	}
	after := d.Snapshot().Events
	if len(before) != len(events.Kinds) || after[events.Role] != before[events.Role]+1 {
		t.Errorf("events by kind: %v, after a change of role %v", before, after)
	}
}
