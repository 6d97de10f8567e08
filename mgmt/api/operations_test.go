package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/events"
)

// examples has a call of every operation that must succeed on a new apitest.Director.
var examples = []struct {
	operation string
	call      call
	status    int
}{
	{"get-alive", call{method: "GET", path: "/healthz"}, 200},
	{"get-ready", call{method: "GET", path: "/readyz"}, 200},
	{"get-status", call{method: "GET", path: "/v1/status"}, 200},
	{"list-services", call{method: "GET", path: "/v1/services"}, 200},
	{"get-service", call{method: "GET", path: "/v1/services/web"}, 200},
	{"get-real-server", call{method: "GET", path: rs1}, 200},
	{"list-flows", call{method: "GET", path: "/v1/flows?service=web&real_server=192.168.57.121&client=192.168.57.135&limit=2"}, 200},
	{"list-persistence", call{method: "GET", path: "/v1/persistence?service=web&real_server=192.168.57.121&client=192.0.2.7&limit=2"}, 200},
	{"explain-packet", call{method: "GET", path: "/v1/explain?protocol=tcp&src=192.0.2.7:40000&dst=192.168.57.100:80&packet=syn"}, 200},
	{"list-ports", call{method: "GET", path: "/v1/ports"}, 200},
	{"list-lcores", call{method: "GET", path: "/v1/lcores"}, 200},
	{"list-neighbours", call{method: "GET", path: "/v1/neighbours"}, 200},
	{"list-generations", call{method: "GET", path: "/v1/generations"}, 200},
	{"get-drops", call{method: "GET", path: "/v1/drops"}, 200},
	{"get-dropped-packets", call{method: "GET", path: "/v1/drops/no_service.pcapng"}, 200},
	{"capture-packets", call{method: "GET", path: "/v1/capture?service=web&client=192.168.57.135&count=2&seconds=1"}, 200},
	{"get-role", call{method: "GET", path: "/v1/role"}, 200},
	{"follow-events", call{method: "GET", path: "/v1/events?kind=health,drain&since=0&follow=false", headers: []string{"Last-Event-ID: 1"}}, 200},
	{"replace-services", call{method: "PUT", path: "/v1/services?dry_run=true", body: `{"services":[` + dns + `]}`}, 200},
	{"put-service", call{method: "PUT", path: "/v1/services/dns", body: dns, headers: []string{`If-Match: "7"`}}, 201},
	{"put-service", call{method: "PUT", path: "/v1/services/dns?dry_run=true", body: dns}, 200},
	{"put-real-server", call{method: "PUT", path: rs3, body: `{"weight":2}`}, 201},
	{"put-real-server", call{method: "PUT", path: rs1 + "?dry_run=true", body: `{"weight":2,"upper_threshold":100}`}, 200},
	{"delete-service", call{method: "DELETE", path: "/v1/services/web"}, 200},
	{"delete-real-server", call{method: "DELETE", path: rs1}, 200},
	{"put-drain", call{method: "PUT", path: rs1 + "/drain", body: `{"deadline":"10m","then":"reschedule"}`}, 200},
	{"delete-drain", call{method: "DELETE", path: rs1 + "/drain"}, 200},
	{"roll-back", call{method: "POST", path: "/v1/generations/7/rollback?dry_run=true", headers: []string{"If-Match: *"}}, 200},
	{"put-role", call{method: "PUT", path: "/v1/role", body: `{"role":"standby"}`}, 200},
}

// Every operation of the document has an example, which the handler answers as the document says.
func TestEveryOperation(t *testing.T) {
	doc := readDocument()
	missing := map[string]bool{}
	for _, op := range doc.operations {
		missing[op.OperationID] = true
	}
	for _, e := range examples {
		delete(missing, e.operation)
		d := apitest.New()
		emit(d.Events(), 1, events.Health)
		w := e.call.send(handler(t, d, unixSocket))
		if w.Code != e.status {
			t.Errorf("%s: status %d, want %d: %s", e.operation, w.Code, e.status, w.Body)
		}
		if op := doc.operation(e.call.request()); op == nil || op.OperationID != e.operation {
			t.Errorf("%s %s is not the operation %s", e.call.method, e.call.path, e.operation)
		}
		doc.check(t, e.call, w)
	}
	for id := range missing {
		t.Errorf("the operation %s has no example: add one", id)
	}
}

// What a test of the document must find, it finds.
func TestCheckFindsWhatTheDocumentDoesNotSay(t *testing.T) {
	doc := readDocument()
	get := call{method: "GET", path: "/v1/role"}
	for name, c := range map[string]struct {
		status   int
		kind, is string
	}{
		"a status":            {http.StatusTeapot, "application/problem+json", `{"title":"I'm a teapot","status":418}`},
		"a failure":           {500, "application/problem+json", `{"title":"Internal Server Error","status":500,"detail":"x"}`},
		"a word":              {200, "application/json", `{"role":"king"}`},
		"a key too many":      {200, "application/json", `{"role":"active","since":1}`},
		"no key":              {200, "application/json", `{}`},
		"no JSON":             {200, "application/json", `{"role":`},
		"plain text":          {200, "text/plain", `active`},
		"no problem document": {404, "text/plain", "not found"},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", c.kind)
		w.WriteHeader(c.status)
		fmt.Fprint(w, c.is)
		if problems := doc.problems(get, w); len(problems) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}

// described is the OpenAPI document and what tells which operation a request is.
type described struct {
	*huma.OpenAPI
	operations []*huma.Operation
	byPattern  map[string]*huma.Operation
	mux        *http.ServeMux
}

var readDocument = sync.OnceValue(func() described {
	d := described{OpenAPI: api.Document(), byPattern: map[string]*huma.Operation{}, mux: http.NewServeMux()}
	for path, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				pattern := op.Method + " " + path
				d.operations, d.byPattern[pattern] = append(d.operations, op), op
				d.mux.Handle(pattern, http.NotFoundHandler())
			}
		}
	}
	return d
})

// operation is nil where the document has none, and for a path with dots, which is redirected to the one without.
func (d described) operation(r *http.Request) *huma.Operation {
	if escaped := r.URL.EscapedPath(); path.Clean(escaped) != escaped {
		return nil
	}
	_, pattern := d.mux.Handler(r)
	return d.byPattern[pattern]
}

func (d described) check(t *testing.T, c call, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, problem := range d.problems(c, w) {
		t.Errorf("%s %s %q: status %d: %s\n%s", c.method, c.path, c.body, w.Code, problem, w.Body)
	}
}

// problems says in what an answer is not what the document promises.
func (d described) problems(c call, w *httptest.ResponseRecorder) (all []string) {
	op := d.operation(c.request())
	responses := map[string]*huma.Response{"404": problemAnswer(d.OpenAPI), "405": problemAnswer(d.OpenAPI), "307": nil, "400": problemAnswer(d.OpenAPI)}
	if op != nil {
		responses = op.Responses
	}
	if w.Code == http.StatusInternalServerError {
		all = append(all, "the fault is the director's")
	}
	response, known := responses[strconv.Itoa(w.Code)]
	if !known {
		return append(all, "the document does not have this status")
	}
	if response == nil || c.method == http.MethodHead {
		return all
	}
	kind := w.Header().Get("Content-Type")
	content, known := response.Content[kind]
	if !known {
		return append(all, fmt.Sprintf("the document does not have the content type %q", kind))
	}
	switch kind {
	case "text/event-stream":
		return append(all, d.streamProblems(w.Body.String())...)
	case "application/x-pcapng":
		if _, err := readPcapng(w.Body.Bytes()); err != nil {
			all = append(all, err.Error())
		}
		return all
	}
	return append(all, d.mismatches(content.Schema, w.Body.Bytes())...)
}

// problemAnswer is what refuses a request that no operation takes.
func problemAnswer(d *huma.OpenAPI) *huma.Response {
	schema := d.Components.Schemas.Map()["ErrorModel"]
	return &huma.Response{Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}}
}

func (d described) streamProblems(text string) (all []string) {
	for _, b := range blocks(text) {
		name := "Event"
		if b.event == "missed" {
			name = "Missed"
		}
		if b.data != "" {
			all = append(all, d.mismatches(d.Components.Schemas.Map()[name], []byte(b.data))...)
		}
	}
	return all
}

// mismatches compares JSON with a schema.
func (d described) mismatches(schema *huma.Schema, text []byte) (all []string) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return []string{err.Error()}
	}
	var result huma.ValidateResult
	huma.Validate(d.Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &result)
	for _, err := range result.Errors {
		all = append(all, err.Error())
	}
	return all
}
