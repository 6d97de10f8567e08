package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/store"
)

var unixSocket = &net.UnixAddr{Name: "/run/turnout.sock", Net: "unix"}

// metricsStub stands for the metrics package, which has tests of its own.
var metricsStub = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") })

func handler(t testing.TB, d *apitest.Director, local net.Addr) http.Handler {
	t.Helper()
	h, err := api.Handler(api.Config{Director: d, Metrics: metricsStub}, local)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// call is a request; headers are "Name: value" lines. A query may as well be part of path, where it is a valid one.
type call struct {
	method, path, query, body string
	headers                   []string
}

func (c call) request() *http.Request {
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	if c.query != "" {
		r.URL.RawQuery = c.query
	}
	for _, line := range c.headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	return r
}

func (c call) send(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, c.request())
	return w
}

// problemOf reads the problem document that every refusal must be.
func problemOf(t *testing.T, w *httptest.ResponseRecorder) (detail string, errs []string) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q, want application/problem+json", got)
	}
	var problem struct {
		Title, Detail string
		Status        int
		Errors        []struct{ Location, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatalf("no problem document: %v\n%s", err, w.Body)
	}
	if problem.Status != w.Code || problem.Title != http.StatusText(w.Code) {
		t.Errorf("problem of status %d, title %q in an answer of status %d", problem.Status, problem.Title, w.Code)
	}
	for _, e := range problem.Errors {
		errs = append(errs, e.Location+": "+e.Message)
	}
	return problem.Detail, errs
}

func TestReads(t *testing.T) {
	for _, c := range []struct{ path, etag, has string }{
		{"/v1/status", `"7"`, `"maglev_key_fingerprint":"0011223344556677"`},
		{"/v1/services", `"7"`, `"active_flows":40`},
		{"/v1/services/web", `"7"`, `"vip":"192.168.57.100"`},
		{"/v1/services/web/real-servers/192.168.57.122", `"7"`, `"last_error":"connect to 192.168.57.122:80: connection refused"`},
		{"/v1/ports", "", `"rx_missed":4`},
		{"/v1/lcores", "", `"flow_entries":42`},
		{"/v1/neighbours", "", `"state":"reachable"`},
		{"/v1/flows", "", `"truncated":false`},
		{"/v1/role", "", `{"role":"active"}`},
		{"/v1/drops", "", `{"drops":{"loop":0,"no_service":2,"not_for_us":1}}`},
		{"/healthz", "", `{"status":"alive"}`},
		{"/readyz", "", `{"status":"ready"}`},
		{"/metrics", "", "up 1"},
		{"/openapi.json", "", `"openapi": "3.1.0"`},
	} {
		t.Run(c.path, func(t *testing.T) {
			w := call{method: "GET", path: c.path}.send(handler(t, apitest.New(), unixSocket))
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("status %d, body without %s:\n%s", w.Code, c.has, w.Body)
			}
			if got := w.Header().Get("ETag"); got != c.etag {
				t.Errorf("ETag %q, want %q", got, c.etag)
			}
			if strings.Contains(w.Body.String(), "$schema") {
				t.Error("the answer has a $schema link")
			}
		})
	}
}

func TestListsAreNeverNull(t *testing.T) {
	d := apitest.New()
	h := handler(t, d, unixSocket)
	call{method: "PUT", path: "/v1/services", body: `{"services":[]}`}.send(h)
	for _, path := range []string{"/v1/services", "/v1/flows?client=192.0.2.1"} {
		if body := (call{method: "GET", path: path}).send(h).Body.String(); !strings.Contains(body, "[]") {
			t.Errorf("GET %s: want [], got %s", path, body)
		}
	}
}

func TestFlowsAreFiltered(t *testing.T) {
	for _, c := range []struct {
		query     string
		flows     int
		truncated bool
	}{
		{"", 3, false},
		{"?limit=2", 2, true},
		{"?limit=3", 3, false},
		{"?real_server=192.168.57.122", 1, false},
		{"?client=192.168.57.135&service=web&real_server=192.168.57.121", 2, false},
		{"?client=192.168.57.136", 0, false},
		{"?service=other", 0, false},
	} {
		w := call{method: "GET", path: "/v1/flows" + c.query}.send(handler(t, apitest.New(), unixSocket))
		var page api.FlowPage
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Flows) != c.flows || page.Truncated != c.truncated {
			t.Errorf("%q: %d flows, truncated %v; want %d, %v", c.query, len(page.Flows), page.Truncated, c.flows, c.truncated)
		}
	}
}

func TestNotReady(t *testing.T) {
	d := apitest.New()
	d.NotReady = []string{"port lan has no link", "the VIP 192.168.57.100 is held by 02:00:00:00:09:09"}
	w := call{method: "GET", path: "/readyz"}.send(handler(t, d, unixSocket))
	_, errs := problemOf(t, w)
	want := []string{": port lan has no link", ": the VIP 192.168.57.100 is held by 02:00:00:00:09:09"}
	if diff := cmp.Diff(want, errs); w.Code != http.StatusServiceUnavailable || diff != "" {
		t.Errorf("status %d, sentences (-want +got):\n%s", w.Code, diff)
	}
}

const (
	dns = `{"name":"dns","vip":"192.168.57.101","protocol":"udp","port":53,"real_servers":[{"address":"192.168.57.123"}]}`
	rs1 = "/v1/services/web/real-servers/192.168.57.121"
	rs3 = "/v1/services/web/real-servers/192.168.57.123"
)

// Each step of the story works on what the one before left.
func TestWrites(t *testing.T) {
	d := apitest.New()
	h := handler(t, d, unixSocket)
	for _, step := range []struct {
		name   string
		call   call
		status int
		want   string // the desired state after it
	}{
		{"add a service", call{method: "PUT", path: "/v1/services/dns", body: dns}, 201,
			"web[192.168.57.121*1 192.168.57.122*3] dns[192.168.57.123*1]"},
		{"replace it, named by its path alone", call{method: "PUT", path: "/v1/services/dns",
			body: strings.Replace(strings.Replace(dns, "123", "124", 1), `"name":"dns",`, "", 1)}, 200,
			"web[192.168.57.121*1 192.168.57.122*3] dns[192.168.57.124*1]"},
		{"add a real server", call{method: "PUT", path: rs3, body: `{"address":"192.168.57.123","weight":5}`}, 201,
			"web[192.168.57.121*1 192.168.57.122*3 192.168.57.123*5] dns[192.168.57.124*1]"},
		{"quiesce one, by its path alone", call{method: "PUT", path: rs1, body: ` {"weight":0}`}, 200,
			"web[192.168.57.121*0 192.168.57.122*3 192.168.57.123*5] dns[192.168.57.124*1]"},
		{"all defaults", call{method: "PUT", path: rs1, body: `{}`}, 200,
			"web[192.168.57.121*1 192.168.57.122*3 192.168.57.123*5] dns[192.168.57.124*1]"},
		{"remove one", call{method: "DELETE", path: rs1}, 200,
			"web[192.168.57.122*3 192.168.57.123*5] dns[192.168.57.124*1]"},
		{"remove a service", call{method: "DELETE", path: "/v1/services/web"}, 200, "dns[192.168.57.124*1]"},
		{"only plan a service", call{method: "PUT", path: "/v1/services/ntp?dry_run=true", body: strings.Replace(dns, `"dns"`, `"ntp"`, 1)}, 200, "dns[192.168.57.124*1]"},
		{"only plan its end", call{method: "DELETE", path: "/v1/services/dns?dry_run=1"}, 200, "dns[192.168.57.124*1]"},
		{"only plan a real server", call{method: "PUT", path: "/v1/services/dns/real-servers/192.168.57.121?dry_run=true", body: "{}"}, 200, "dns[192.168.57.124*1]"},
		{"only plan its end", call{method: "DELETE", path: "/v1/services/dns/real-servers/192.168.57.124?dry_run=true"}, 200, "dns[192.168.57.124*1]"},
		{"only plan", call{method: "PUT", path: "/v1/services?dry_run=true", body: `{"services":[]}`}, 200, "dns[192.168.57.124*1]"},
		{"replace all on the generation seen", call{method: "PUT", path: "/v1/services", body: `{"services":[` + dns + `]}`,
			headers: []string{`If-Match: "14"`}}, 200, "dns[192.168.57.123*1]"},
		{"any generation", call{method: "DELETE", path: "/v1/services/dns", headers: []string{"If-Match: *"}}, 200, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			w := step.call.send(h)
			if w.Code != step.status {
				t.Errorf("status %d, want %d: %s", w.Code, step.status, w.Body)
			}
			if got := brief(d.State()); got != step.want {
				t.Errorf("desired state %q, want %q", got, step.want)
			}
			if got, want := w.Header().Get("ETag"), fmt.Sprintf("%q", fmt.Sprint(d.Status().Generation)); got != want {
				t.Errorf("ETag %s, want %s", got, want)
			}
		})
	}
}

func TestDryRunTellsThePlan(t *testing.T) {
	w := call{method: "PUT", path: "/v1/services?dry_run=true", body: `{"services":[]}`}.send(handler(t, apitest.New(), unixSocket))
	want := `{"generation":7,"changes":["service web is removed"],"notes":["the VIP is outside every port's subnet"],"withdrawn":["192.168.57.100"]}`
	if strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}

func brief(s store.State) string {
	var services []string
	for _, svc := range s.Services {
		var servers []string
		for _, rs := range svc.RealServers {
			servers = append(servers, fmt.Sprintf("%s*%d", rs.Address, rs.Weight))
		}
		services = append(services, svc.Name+"["+strings.Join(servers, " ")+"]")
	}
	return strings.Join(services, " ")
}

// What GET shows can be changed and sent back by PUT.
func TestAnswersCanBeSentBack(t *testing.T) {
	for _, path := range []string{"/v1/services", "/v1/services/web"} {
		d := apitest.New()
		h, before := handler(t, d, unixSocket), d.State()
		answer := call{method: "GET", path: path}.send(h)
		if w := (call{method: "PUT", path: path, body: answer.Body.String()}).send(h); w.Code != http.StatusOK {
			t.Errorf("PUT %s: status %d: %s", path, w.Code, w.Body)
		}
		if diff := cmp.Diff(before, d.State(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: the desired state changed (-before +after):\n%s", path, diff)
		}
	}
}

func TestRole(t *testing.T) {
	d := apitest.New()
	h := handler(t, d, unixSocket)
	w := call{method: "PUT", path: "/v1/role", body: `{"role":"standby"}`}.send(h)
	if w.Code != http.StatusOK || d.Role() != api.RoleStandby || strings.TrimSpace(w.Body.String()) != `{"role":"standby"}` {
		t.Errorf("status %d, role %s, body %s", w.Code, d.Role(), w.Body)
	}
}

func TestRefusals(t *testing.T) {
	big := `{"services":[` + strings.Repeat(" ", 1<<20) + `]}`
	testRefusals(t, []refusal{
		{"no such path", call{method: "GET", path: "/v1/nothing"}, nil, 404, "there is no /v1/nothing"},
		{"no such method", call{method: "POST", path: "/v1/services"}, nil, 405, "/v1/services does not take POST: it takes GET, HEAD, PUT"},
		{"a write to a read", call{method: "DELETE", path: "/v1/status"}, nil, 405, "it takes GET, HEAD"},
		{"no such service", call{method: "GET", path: "/v1/services/dns"}, nil, 404, `service "dns": not found`},
		{"no such real server", call{method: "GET", path: rs3}, nil, 404, `real server 192.168.57.123 of service "web": not found`},
		{"real server of no service", call{method: "GET", path: "/v1/services/dns/real-servers/192.168.57.121"}, nil, 404, "not found"},
		{"remove no service", call{method: "DELETE", path: "/v1/services/dns"}, nil, 404, "not found"},
		{"remove no real server", call{method: "DELETE", path: rs3}, nil, 404, "not found"},
		{"add to no service", call{method: "PUT", path: "/v1/services/dns/real-servers/192.168.57.121", body: `{"address":"192.168.57.121"}`}, nil, 404, "not found"},
		{"no address", call{method: "GET", path: "/v1/services/web/real-servers/no"}, nil, 422, "path.address: "},
		{"limit too high", call{method: "GET", path: "/v1/flows?limit=10001"}, nil, 422, "query.limit: "},
		{"limit no number", call{method: "GET", path: "/v1/flows?limit=many"}, nil, 422, "query.limit: "},
		{"client no address", call{method: "GET", path: "/v1/flows?client=me"}, nil, 422, "query.client: "},
		{"bad JSON", call{method: "PUT", path: "/v1/services", body: `{"services":`}, nil, 422, "JSON"},
		{"no body", call{method: "PUT", path: "/v1/services"}, nil, 400, "body is required"},
		{"unknown key", call{method: "PUT", path: "/v1/services", body: `{"services":[],"color":"red"}`}, nil, 422, "color: unknown key"},
		{"unknown key in a service", call{method: "PUT", path: "/v1/services/dns", body: strings.Replace(dns, `"port"`, `"prt":1,"port"`, 1)}, nil, 422, "prt: unknown key"},
		{"twice the same key", call{method: "PUT", path: rs1, body: `{"weight":1,"weight":2}`}, nil, 422, "weight: "},
		{"wrong type", call{method: "PUT", path: rs1, body: `{"address":"192.168.57.121","weight":"heavy"}`}, nil, 422, "weight: "},
		{"another name", call{method: "PUT", path: "/v1/services/ns", body: dns}, nil, 422, `name: the body says "dns", the path says "ns"`},
		{"another address", call{method: "PUT", path: rs1, body: `{"address":"192.168.57.129"}`}, nil, 422, `address: the body says "192.168.57.129"`},
		{"too large", call{method: "PUT", path: "/v1/services", body: big}, nil, 413, "too large"},
		{"stale", call{method: "DELETE", path: "/v1/services/web", headers: []string{`If-Match: "6"`}}, nil, 412, "another one"},
		{"stale role", call{method: "PUT", path: "/v1/role", body: `{"role":"standby"}`, headers: []string{`If-Match: "6"`}}, nil, 412, "another one"},
		{"generation 0 never was", call{method: "DELETE", path: "/v1/services/web", headers: []string{`If-Match: "0"`}}, nil, 412, "another one"},
		{"If-Match without quotes", call{method: "DELETE", path: "/v1/services/web", headers: []string{"If-Match: 7"}}, nil, 400, "in quotes"},
		{"a weak If-Match", call{method: "DELETE", path: "/v1/services/web", headers: []string{`If-Match: W/"7"`}}, nil, 400, "in quotes"},
		{"the file was edited", call{method: "DELETE", path: "/v1/services/web"}, fmt.Errorf("services.yaml: %w", store.ErrFileChanged), 409, "services.yaml"},
		{"mistakes", call{method: "PUT", path: "/v1/services", body: `{"services":[]}`}, mistakes(), 422, "services[web].vip: is the DIP"},
		{"the file cannot be edited", call{method: "DELETE", path: "/v1/services/web"}, fmt.Errorf("services.yaml: %w", store.ErrLayout), 409, "services.yaml"},
		{"the disk is full", call{method: "DELETE", path: "/v1/services/web"}, errors.New("write services.yaml: no space left on device"), 500, "no space left"},
		{"no trial without a value", call{method: "DELETE", path: "/v1/services/web?dry_run"}, nil, 422, "query.dry_run: has no value: write dry_run=true"},
		{"no trial by another name", call{method: "DELETE", path: "/v1/services/web?dry-run=true"}, nil, 422, "query.dry-run: unknown"},
		{"it is stopping", call{method: "DELETE", path: "/v1/services/web"}, fmt.Errorf("change: %w", api.ErrStopping), 503, "turnout is stopping"},
		{"no such role", call{method: "PUT", path: "/v1/role", body: `{"role":"king"}`}, nil, 422, "body.role: "},
		{"role with more", call{method: "PUT", path: "/v1/role", body: `{"role":"active","now":true}`}, nil, 422, "body.now: "},
	})
}

// refusal is a call that changes nothing.
type refusal struct {
	name   string
	call   call
	fail   error // of the director
	status int
	says   string // in the detail or one of the errors
}

func testRefusals(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			d := apitest.New()
			d.ChangeError = c.fail
			before := brief(d.State())
			w := c.call.send(handler(t, d, unixSocket))
			detail, errs := problemOf(t, w)
			if said := detail + "\n" + strings.Join(errs, "\n"); w.Code != c.status || !strings.Contains(said, c.says) {
				t.Errorf("status %d, want %d; want %q in:\n%s", w.Code, c.status, c.says, said)
			}
			if c.status != http.StatusInternalServerError {
				readDocument().check(t, c.call, w)
			}
			if brief(d.State()) != before || d.Role() != api.RoleActive {
				t.Error("a refused call changed something")
			}
		})
	}
}

func mistakes() error {
	var m store.Mistakes
	m.Add("services[web].vip", "is the DIP of port %s", "lan")
	m.Add("services[web].port", "is taken")
	return fmt.Errorf("apply: %w", &m)
}

func TestEveryMistakeIsNamed(t *testing.T) {
	d := apitest.New()
	d.ChangeError = mistakes()
	_, errs := problemOf(t, call{method: "PUT", path: "/v1/services", body: `{"services":[]}`}.send(handler(t, d, unixSocket)))
	want := []string{"services[web].vip: is the DIP of port lan", "services[web].port: is taken"}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestMethodNotAllowedNamesThoseThatAre(t *testing.T) {
	w := call{method: "PATCH", path: rs1}.send(handler(t, apitest.New(), unixSocket))
	if got := w.Header().Get("Allow"); got != "DELETE, GET, HEAD, PUT" {
		t.Errorf("Allow: %q", got)
	}
}

func TestFlowsFail(t *testing.T) {
	d := apitest.New()
	d.FlowsError = errors.New("lcore 1: no answer within 1 s")
	w := call{method: "GET", path: "/v1/flows"}.send(handler(t, d, unixSocket))
	if detail, _ := problemOf(t, w); w.Code != 503 || !strings.Contains(detail, "lcore 1") {
		t.Errorf("status %d: %s", w.Code, detail)
	}
}

// goneClient fails every write, as a closed connection does.
type goneClient struct{ http.ResponseWriter }

func (goneClient) Write([]byte) (int, error) { return 0, net.ErrClosed }

func TestClientGone(t *testing.T) {
	h := handler(t, apitest.New(), unixSocket)
	for _, path := range []string{"/v1/services", "/v1/services/none", "/openapi.json", "/none"} {
		h.ServeHTTP(goneClient{httptest.NewRecorder()}, httptest.NewRequest("GET", path, nil)) // must not panic
	}
}
