package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
	"turnout/mgmt/events"
)

const page = "../../docs/api.md"

// plan is what the page shows a dry run to answer.
var plan = api.Applied{
	Slots: []api.MovedSlots{{Service: "web", Moved: 21810, Slots: 65537, Percent: 33.3}},
	Flows: []api.MovedFlows{{Service: "web", Live: 84}},
}

// example is a command of the page, and the part of its answer that the page shows.
var example = regexp.MustCompile("(?m)^```sh\n(.*)\n```\n(?:\n```json\n([^`]*)```\n)?")

// The page's examples work, one after the other, show what is answered, and leave out no operation.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	shell := readShell(t, string(text))
	missing := map[string]bool{}
	for _, op := range readDocument().operations {
		missing[op.OperationID] = true
	}
	for _, e := range example.FindAllStringSubmatch(string(text), -1) {
		answer := shell.run(t, e[1])
		latest := shell.latest.Load()
		if op := readDocument().operation(latest.request); op != nil {
			delete(missing, op.OperationID)
		}
		if _, want, found := strings.Cut(e[1], " # "); found && want != strconv.Itoa(latest.status) || !found && latest.status >= 400 {
			t.Errorf("%s: status %d\n%s", e[1], latest.status, answer)
		}
		if e[2] != "" && !has(t, answer, e[2]) {
			t.Errorf("%s: the answer\n%sdoes not have\n%s", e[1], answer, e[2])
		}
	}
	for id := range missing {
		t.Errorf("%s has no example of %s", page, id)
	}
}

// shell runs commands with the page's function, against a director of its own.
type shell struct {
	function, socket string
	latest           atomic.Pointer[answered]
}

// answered is a request and the status of its answer.
type answered struct {
	request *http.Request
	status  int
}

func readShell(t *testing.T, text string) *shell {
	t.Helper()
	_, rest, found := strings.Cut(text, "```bash\n")
	function, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("%s does not define the function of its examples", page)
	}
	for _, program := range []string{"bash", "curl", "tshark"} {
		needProgram(t, program)
	}
	s := &shell{function: function, socket: filepath.Join(t.TempDir(), "turnout.sock")}
	d := apitest.New()
	d.Plan = plan
	h := handler(t, d, unixSocket)
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		s.latest.Store(&answered{r, recorder.Code})
		w.WriteHeader(recorder.Code)
		_, _ = recorder.Body.WriteTo(w)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *shell) run(t *testing.T, command string) string {
	t.Helper()
	bash := exec.Command("bash", "-euo", "pipefail", "-c", s.function+command)
	bash.Env = append(os.Environ(), "TURNOUT_SOCKET="+s.socket)
	answer, err := bash.Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		t.Fatalf("%s: %v: %s", command, err, failed.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// has says whether all that part says is in the answer. Lists must be of equal length.
func has(t *testing.T, answer, part string) bool {
	t.Helper()
	var got, want any
	if err := json.Unmarshal([]byte(part), &want); err != nil {
		t.Fatalf("%v\n%s", err, part)
	}
	return json.Unmarshal([]byte(answer), &got) == nil && contains(got, want)
}

func contains(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, is := got.(map[string]any)
		for key, value := range want {
			is = is && contains(object[key], value)
		}
		return is
	case []any:
		list, is := got.([]any)
		is = is && len(list) == len(want)
		for i := 0; is && i < len(want); i++ {
			is = contains(list[i], want[i])
		}
		return is
	}
	return reflect.DeepEqual(got, want)
}

// The page tells of every kind of event, every field of a plan and every status that is documented.
func TestPageIsWhole(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, kind := range events.Kinds {
		wanted[fmt.Sprintf("| `%s` |", kind)] = true
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[api.Applied]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		wanted["`"+name+"`"] = true
	}
	for _, op := range readDocument().operations {
		for status := range op.Responses {
			wanted[status] = wanted[status] || status >= "400"
		}
	}
	for what, needed := range wanted {
		if needed && !strings.Contains(string(text), what) {
			t.Errorf("%s does not tell of %s", page, what)
		}
	}
}
