package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/store"
)

// writes answers the calls that change the desired state or the role.
type writes struct{ director Director }

// What a write may be refused with, beside what is told of it alone.
var (
	writeFailures = []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionFailed,
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable,
	}
	bodyFailures = []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge}
)

const (
	serviceCall    = "/v1/services/{name}"
	realServerCall = "/v1/services/{name}/real-servers/{address}"
)

func registerWrites(api huma.API, director Director) {
	c := writes{director}
	registerBody[store.State](api, write("replace-services", http.MethodPut, "/v1/services", "Replace the whole desired state at once", http.StatusConflict), c.putServices)
	registerBody[store.Service](api, adds(api, write("put-service", http.MethodPut, serviceCall, "Add or replace a service", http.StatusConflict)), c.putService)
	registerBody[store.RealServer](api, adds(api, edits("put-real-server", http.MethodPut, realServerCall, "Add or replace a real server of a service")), c.putRealServer)
	huma.Register(api, edits("delete-service", http.MethodDelete, serviceCall, "Remove a service"), c.deleteService)
	huma.Register(api, edits("delete-real-server", http.MethodDelete, realServerCall, "Remove a real server from a service"), c.deleteRealServer)
	huma.Register(api, withBody(write("put-role", http.MethodPut, "/v1/role", "Become active or standby", http.StatusUnsupportedMediaType)), c.putRole)
}

// write describes a write; failures are the statuses it may answer beside those of every write.
func write(id, method, path, summary string, failures ...int) huma.Operation {
	return huma.Operation{
		OperationID: id,
		Method:      method,
		Path:        path,
		Summary:     summary,
		Errors:      slices.Concat(writeFailures, failures),
	}
}

// edits is a write to a part of the desired state, which may not be there.
func edits(id, method, path, summary string) huma.Operation {
	return write(id, method, path, summary, http.StatusNotFound, http.StatusConflict)
}

// adds is a write that answers 201 when there was nothing to replace.
func adds(api huma.API, op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"201": {
		Description: http.StatusText(http.StatusCreated),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schemaOf[Applied](api)}},
	}}
	return op
}

func withBody(op huma.Operation) huma.Operation {
	op.Errors = slices.Concat(op.Errors, bodyFailures)
	op.MaxBodyBytes, op.BodyReadTimeout = maxBody, bodyTimeout
	return op
}

// Precondition makes a write conditional on the generation that the client has seen (RFC 9110 section 13.1.1).
type Precondition struct {
	IfMatch string `header:"If-Match" doc:"the generation that the change is meant for, in quotes, as ETag gave it"`
}

// generation is 0 where any will do.
func (p Precondition) generation() (uint64, error) {
	if p.IfMatch == "" || p.IfMatch == "*" {
		return 0, nil
	}
	text, err := strconv.Unquote(p.IfMatch)
	if err != nil || !strings.HasPrefix(p.IfMatch, `"`) {
		return 0, huma.Error400BadRequest("If-Match: want one generation in quotes, as ETag gave it, such as \"12\"")
	}
	generation, err := strconv.ParseUint(text, 10, 64)
	if err != nil || generation == 0 {
		return 0, problem(ErrStale) // no generation has this tag
	}
	return generation, nil
}

// fresh refuses a write that is meant for another generation than the one in force. It is for what has no generation of
// its own: a client that asks for the check must not be ignored.
func (c writes) fresh(p Precondition) error {
	generation, err := p.generation()
	if err == nil && generation != 0 && generation != c.director.Status().Generation {
		return problem(ErrStale)
	}
	return err
}

// Trial is a change that may be tried first.
type Trial struct {
	Precondition
	DryRun bool `query:"dry_run" doc:"check and plan the change without applying it"`
}

// Resolve implements huma.Resolver: ?dry_run without a value is not taken for false.
func (Trial) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	if values, given := u.Query()["dry_run"]; given && slices.Contains(values, "") {
		return []error{&huma.ErrorDetail{Location: "query.dry_run", Message: "has no value: write dry_run=true"}}
	}
	return nil
}

// changed is the answer to a change.
type changed struct {
	Status int
	ETag   string `header:"ETag" doc:"the generation in force, in quotes"`
	Body   Applied
}

// change applies edit, which says whether it made something that was not there before.
func (c writes) change(ctx context.Context, t Trial, edit func(*store.State) (created bool, err error)) (*changed, error) {
	generation, err := t.generation()
	if err != nil {
		return nil, err
	}
	status, changes := http.StatusOK, []string(nil)
	applied, err := c.director.Change(ctx, generation, t.DryRun, func(s *store.State) error {
		before := s.Clone()
		created, err := edit(s)
		if created && !t.DryRun {
			status = http.StatusCreated
		}
		changes = plan(before, *s)
		return err
	})
	if err != nil {
		return nil, problem(err)
	}
	applied.Changes = changes
	return &changed{Status: status, ETag: etag(applied.Generation), Body: applied}, nil
}

type putServicesInput struct {
	Trial
	RawBody []byte
}

func (c writes) putServices(ctx context.Context, in *putServicesInput) (*changed, error) {
	state, err := store.DecodeJSON(in.RawBody)
	if err != nil {
		return nil, problem(err)
	}
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		*s = state
		return false, nil
	})
}

type putServiceInput struct {
	Trial
	ServicePath
	RawBody []byte
}

func (c writes) putService(ctx context.Context, in *putServiceInput) (*changed, error) {
	svc, err := store.DecodeService(withKey(in.RawBody, "name", in.Name))
	if err != nil {
		return nil, problem(err)
	}
	if svc.Name != in.Name {
		return nil, otherName("name", svc.Name, in.Name)
	}
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		return setService(s, svc), nil
	})
}

// withKey puts a key that the path has said already into a body that leaves it out. It changes text, not values: what
// else is wrong with the body is left for the store to find.
func withKey(body []byte, key, value string) []byte {
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil || keys == nil || keys[key] != nil {
		return body
	}
	comma := ","
	if len(keys) == 0 {
		comma = ""
	}
	rest := bytes.TrimLeft(body, " \t\r\n")[1:]
	return append(fmt.Appendf(nil, "{%q:%q%s", key, value, comma), rest...)
}

// otherName refuses a body that is about something else than the path: the client may have meant either.
func otherName(key, body, path string) error {
	return huma.Error422UnprocessableEntity("refused: nothing was changed", &huma.ErrorDetail{
		Location: key,
		Message:  fmt.Sprintf("the body says %q, the path says %q: make them the same", body, path),
	})
}

type putRealServerInput struct {
	Trial
	RealServerPath
	RawBody []byte
}

func (c writes) putRealServer(ctx context.Context, in *putRealServerInput) (*changed, error) {
	rs, err := store.DecodeRealServer(withKey(in.RawBody, "address", in.Address.String()))
	if err != nil {
		return nil, problem(err)
	}
	if rs.Address != in.Address {
		return nil, otherName("address", rs.Address.String(), in.Address.String())
	}
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		return setRealServer(s, in.Name, rs)
	})
}

type deleteServiceInput struct {
	Trial
	ServicePath
}

func (c writes) deleteService(ctx context.Context, in *deleteServiceInput) (*changed, error) {
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		return false, deleteService(s, in.Name)
	})
}

type deleteRealServerInput struct {
	Trial
	RealServerPath
}

func (c writes) deleteRealServer(ctx context.Context, in *deleteRealServerInput) (*changed, error) {
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		return false, deleteRealServer(s, in.Name, in.Address)
	})
}

type putRoleInput struct {
	Precondition
	Body RoleSetting
}

func (c writes) putRole(ctx context.Context, in *putRoleInput) (*answer[RoleSetting], error) {
	if err := c.fresh(in.Precondition); err != nil {
		return nil, err
	}
	if err := c.director.SetRole(ctx, in.Body.Role); err != nil {
		return nil, problem(err)
	}
	return &answer[RoleSetting]{Body: in.Body}, nil
}
