package api_test

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"turnout/mgmt/api"
	"turnout/mgmt/director"
	"turnout/mgmt/events"
	"turnout/mgmt/store"
)

const servicesFile = `services:
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    health_check: {type: none}
    real_servers: [{address: 192.168.57.121}, {address: 192.168.57.122}]
`

type upPort struct{}

func (upPort) Brief() api.Port { return api.Port{Name: "lan", LinkUp: true} }

// startDirector runs a director with a services file and no lcores. The rest of the world says nothing.
func startDirector(t testing.TB) *director.Director {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(servicesFile), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	config := director.Config{
		Store: disk, Role: api.RoleActive, TSCHz: 1e9, Port: upPort{}, DIP: netip.MustParsePrefix("192.168.57.120/24"),
		Drains: store.OpenDrains(path + ".drains"), Events: events.New(), Log: zap.NewNop(),
	}
	silence(&config)
	d := director.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := d.Load(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// silence sets every function that is not set to one that returns zero values.
func silence(c *director.Config) {
	for _, field := range reflect.ValueOf(c).Elem().Fields() {
		if field.Kind() != reflect.Func || !field.IsNil() {
			continue
		}
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) (zeros []reflect.Value) {
			for result := range field.Type().Outs() {
				zeros = append(zeros, reflect.Zero(result))
			}
			return zeros
		}))
	}
}

// restore undoes what a call did, so that the next finds what the first found.
func restore(t *testing.T, d *director.Director, initial store.State) {
	t.Helper()
	ctx := context.Background()
	if _, err := d.Change(ctx, 0, false, func(s *store.State) error { *s = initial.Clone(); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, rs := range initial.Services[0].RealServers {
		if err := d.EndDrain(ctx, "web", rs.Address); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SetRole(ctx, api.RoleActive); err != nil {
		t.Fatal(err)
	}
}

// FuzzAPI: whatever a client sends, it is answered as the document says, and the fault is never the director's.
func FuzzAPI(f *testing.F) {
	d := startDirector(f)
	h, err := api.Handler(api.Config{Director: d, Metrics: metricsStub}, unixSocket)
	if err != nil {
		f.Fatal(err)
	}
	initial := store.State{Services: []store.Service{d.Services().Services[0].Service}}.Clone()
	doc := readDocument()
	operations := slices.SortedFunc(slices.Values(doc.operations), func(a, b *huma.Operation) int { return cmp.Compare(a.OperationID, b.OperationID) })
	seed(f, operations)
	f.Fuzz(func(t *testing.T, which uint8, name, address, query, header, body string) {
		op := operations[int(which)%len(operations)]
		c := call{method: op.Method, path: fill(op.Path, name, address), query: query, body: body}
		for _, param := range op.Parameters {
			if param.In == "header" {
				c.headers = append(c.headers, param.Name+": "+header)
			}
		}
		before := d.Status().Generation
		doc.check(t, c, answer(h, op, c))
		if d.Status().Generation != before || op.Method != http.MethodGet {
			restore(t, d, initial)
		}
	})
}

// fill puts values into the path of an operation.
func fill(path, name, address string) string {
	return strings.NewReplacer("{name}", url.PathEscape(name), "{address}", url.PathEscape(address), "{n}", url.PathEscape(name)).Replace(path)
}

// answer has a stream of events end at once.
func answer(h http.Handler, op *huma.Operation, c call) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if op.OperationID == "follow-events" {
		cancel()
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, c.request().WithContext(ctx))
	return w
}

// seed has every operation begin with its examples, and those with a body with bodies of all kinds as well.
func seed(f *testing.F, operations []*huma.Operation) {
	for i, op := range operations {
		f.Add(uint8(i), "web", "192.168.57.121", "dry_run=true", `"1"`, "")
		f.Add(uint8(i), "web", "192.168.57.121", "", `"999"`, "{}")
		f.Add(uint8(i), "2", "fe80::1%lo", "since=1&kind=health,&limit=-1&client=::&dry_run", "W/*", "")
		f.Add(uint8(i), "../%2f", "::ffff:192.168.57.121", "%zz&=;&follow=0", "\x00\xff", "")
		for _, body := range bodies {
			if op.RequestBody != nil {
				f.Add(uint8(i), "web", "192.168.57.121", "", "", body)
			}
		}
	}
	for _, e := range examples {
		i := slices.IndexFunc(operations, func(op *huma.Operation) bool { return op.OperationID == e.operation })
		_, query, _ := strings.Cut(e.call.path, "?")
		f.Add(uint8(i), "web", "192.168.57.121", query, "", e.call.body)
	}
}

var bodies = []string{
	"{}", "null", "[]", `"x"`, "1e999", `{"services":null}`, `{"services":[]}`, `{"services":[` + dns + `]}`, dns,
	`{"address":"192.168.57.121"}`, `{"address":"::ffff:1.2.3.4%eth0"}`, `{"role":"standby"}`, `{"role":null}`,
	`{"services":[{"name":"a"},{"name":"a"}]}`, "{\"services\":[\x00]}", `{"a":{"a":{"a":[[[[{}]]]]}}}`, "\xef\xbb\xbf{}",
	`{"services":[],"services":[]}`, `{"name":"dns","timeouts":{"udp":"-1s"}}`, "---\n? a\n: b", "{}{}",
	`{"deadline":"1us","then":"drop"}`, `{"deadline":"99999999999h"}`, `{"deadline":null}`, `{"then":"keep","then":"drop"}`,
	`{"vip":"192.168.57.101","protocol":"udp","port":0,"scheduler":"wrr","slow_start":"30s","gradual":"1m","persistence":"5m",` +
		`"persistence_prefix":24,"on_down":"keep","no_real_server":"port_unreachable","quorum":2,"hysteresis":1,` +
		`"outlier":{"unanswered":"50%","min_syns":20,"eject":"30s","max_ejected":"34%"},` +
		`"sorry_server":{"address":"192.168.57.129","mac":"02:00:00:00:01:29"},"maglev":{"table_size":251,"hash":"source"},` +
		`"health_check":[{"type":"dns","query":"example.org"},{"type":"icmp","initial":"up"}],` +
		`"real_servers":[{"address":"192.168.57.121","weight":65535,"upper_threshold":4294967295,"lower_threshold":1}]}`,
}
