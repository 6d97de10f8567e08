package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/store"
)

// weighed is a director whose generation n has web's first real server at weight n, from 8 up to last.
func weighed(t *testing.T, last int) (*apitest.Director, http.Handler) {
	t.Helper()
	d := apitest.New()
	h := handler(t, d, unixSocket)
	for n := 8; n <= last; n++ {
		if w := (call{method: "PUT", path: rs1, body: fmt.Sprintf(`{"weight":%d}`, n)}).send(h); w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
	}
	return d, h
}

func TestGenerationsAreListed(t *testing.T) {
	_, h := weighed(t, 20)
	w := call{method: "GET", path: "/v1/generations"}.send(h)
	var list api.GenerationList
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if n := len(list.Generations); n != 11 || list.Generations[0].Generation != 10 || !list.Generations[n-1].InForce || w.Header().Get("ETag") != `"20"` {
		t.Errorf("ETag %s, %+v", w.Header().Get("ETag"), list)
	}
}

func TestRollback(t *testing.T) {
	d, h := weighed(t, 20)
	at := func(want string) {
		t.Helper()
		if got := brief(d.State()); got != want {
			t.Errorf("in force: %s, want %s", got, want)
		}
	}
	const change = `"changes":["service web, real server 192.168.57.121: weight 20 becomes 12"]`
	w := call{method: "POST", path: "/v1/generations/12/rollback?dry_run=true"}.send(h)
	if w.Code != http.StatusOK || w.Header().Get("ETag") != `"20"` || !strings.Contains(w.Body.String(), change) {
		t.Errorf("dry run: status %d, ETag %s: %s", w.Code, w.Header().Get("ETag"), w.Body)
	}
	at("web[192.168.57.121*20 192.168.57.122*3]")
	w = call{method: "POST", path: "/v1/generations/12/rollback", headers: []string{`If-Match: "20"`}}.send(h)
	if w.Code != http.StatusOK || w.Header().Get("ETag") != `"21"` || !strings.Contains(w.Body.String(), change) {
		t.Errorf("status %d, ETag %s: %s", w.Code, w.Header().Get("ETag"), w.Body)
	}
	at("web[192.168.57.121*12 192.168.57.122*3]")
	call{method: "POST", path: "/v1/generations/20/rollback"}.send(h) // and forward again
	at("web[192.168.57.121*20 192.168.57.122*3]")
}

func TestRollbackIsRefused(t *testing.T) {
	testRefusals(t, []refusal{
		{"not kept", call{method: "POST", path: "/v1/generations/6/rollback"}, nil, 404, "generation 6: not found"},
		{"yet to come", call{method: "POST", path: "/v1/generations/8/rollback"}, nil, 404, "generation 8: not found"},
		{"no number", call{method: "POST", path: "/v1/generations/last/rollback"}, nil, 422, "path.n: "},
		{"below zero", call{method: "POST", path: "/v1/generations/-1/rollback"}, nil, 422, "path.n: "},
		{"stale", call{method: "POST", path: "/v1/generations/7/rollback", headers: []string{`If-Match: "6"`}}, nil, 412, "another one"},
		{"no longer valid", call{method: "POST", path: "/v1/generations/7/rollback"}, mistakes(), 422, "services[web].vip: is the DIP"},
		{"the file was edited", call{method: "POST", path: "/v1/generations/7/rollback"}, store.ErrFileChanged, 409, "load it first"},
		{"read, not posted", call{method: "GET", path: "/v1/generations/7/rollback"}, nil, 405, "it takes POST"},
	})
}
