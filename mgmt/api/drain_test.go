package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/store"
)

const rs2 = "/v1/services/web/real-servers/192.168.57.122"

// drained sends a call about a drain and returns what the answer says of it.
func drained(t *testing.T, h http.Handler, c call) *api.DrainLive {
	t.Helper()
	w := c.send(h)
	var rs api.RealServer
	if err := json.Unmarshal(w.Body.Bytes(), &rs); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s %s: status %d: %s", c.method, c.path, c.body, w.Code, w.Body)
	}
	if got := w.Header().Get("ETag"); got != `"7"` {
		t.Errorf("ETag %s: a drain makes no generation", got)
	}
	return rs.Live.Drain
}

func TestDrainIsTakenAsSaid(t *testing.T) {
	for _, c := range []struct {
		body string
		want api.Drain
	}{
		{``, api.Drain{Then: api.ThenKeep}},
		{`{}`, api.Drain{Then: api.ThenKeep}},
		{`{"deadline":"10m"}`, api.Drain{Deadline: store.Duration(10 * time.Minute), Then: api.ThenKeep}},
		{`{"then":"drop"}`, api.Drain{Then: api.ThenDrop}},
		{`{"deadline":"1h1.5s","then":"reschedule"}`, api.Drain{Deadline: store.Duration(time.Hour + 1500*time.Millisecond), Then: api.ThenReschedule}},
	} {
		got := drained(t, handler(t, apitest.New(), unixSocket), call{method: "PUT", path: rs1 + "/drain", body: c.body})
		if got == nil {
			t.Errorf("%s: it is not drained", c.body)
			continue
		}
		if diff := cmp.Diff(c.want, got.Drain); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
		if ends := got.EndsAt != nil; ends != (c.want.Deadline > 0) {
			t.Errorf("%s: ends at %v", c.body, got.EndsAt)
		}
	}
}

func TestDrainsAreIndependent(t *testing.T) {
	h := handler(t, apitest.New(), unixSocket)
	drained(t, h, call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":"10m"}`})
	drained(t, h, call{method: "PUT", path: rs2 + "/drain", headers: []string{`If-Match: "7"`}})
	if drained(t, h, call{method: "DELETE", path: rs2 + "/drain"}) != nil {
		t.Error("the second is still drained")
	}
	if drained(t, h, call{method: "DELETE", path: rs2 + "/drain"}) != nil { // again: no error
		t.Error("the second is drained again")
	}
	first := drained(t, h, call{method: "GET", path: rs1})
	if first == nil || first.Deadline != store.Duration(10*time.Minute) {
		t.Errorf("the first is drained as %+v", first)
	}
}

func TestDrainIsRefused(t *testing.T) {
	testRefusals(t, []refusal{
		{"no such real server", call{method: "PUT", path: rs3 + "/drain"}, nil, 404, `real server 192.168.57.123 of service "web": not found`},
		{"no such service", call{method: "DELETE", path: "/v1/services/dns/real-servers/192.168.57.121/drain"}, nil, 404, "not found"},
		{"no duration", call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":"soon"}`}, nil, 422, "body.deadline: expected string to be a duration such as 30s or 10m"},
		{"a number", call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":10}`}, nil, 422, "body.deadline: expected string"},
		{"a time ago", call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":"-10m"}`}, nil, 422, "body.deadline: "},
		{"longer than can be said", call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":"9999999999h"}`}, nil, 422, "is not a duration"},
		{"unknown end", call{method: "PUT", path: rs1 + "/drain", body: `{"then":"panic"}`}, nil, 422, "body.then: "},
		{"unknown key", call{method: "PUT", path: rs1 + "/drain", body: `{"after":"10m"}`}, nil, 422, "body.after: "},
		{"null", call{method: "PUT", path: rs1 + "/drain", body: `null`}, nil, 422, "expected object"},
		{"another format", call{method: "PUT", path: rs1 + "/drain", body: `deadline=10m`, headers: []string{"Content-Type: application/x-www-form-urlencoded"}},
			nil, 415, "unknown content type"},
		{"stale", call{method: "PUT", path: rs1 + "/drain", headers: []string{`If-Match: "6"`}}, nil, 412, "another one"},
		{"stale end", call{method: "DELETE", path: rs1 + "/drain", headers: []string{`If-Match: "8"`}}, nil, 412, "another one"},
	})
}
