package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/store"
)

// writes answers the calls that change the desired state or the role.
type writes struct{ director Director }

var writeFailures = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
	http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
}

func registerWrites(api huma.API, director Director) {
	c := writes{director}
	const (
		service    = "/v1/services/{name}"
		realServer = "/v1/services/{name}/real-servers/{address}"
	)
	registerBody[store.State](api, write("replace-services", http.MethodPut, "/v1/services", "Replace the whole desired state at once"), c.putServices)
	registerBody[store.Service](api, write("put-service", http.MethodPut, service, "Add or replace a service"), c.putService)
	registerBody[store.RealServer](api, write("put-real-server", http.MethodPut, realServer, "Add or replace a real server of a service"), c.putRealServer)
	huma.Register(api, write("delete-service", http.MethodDelete, service, "Remove a service"), c.deleteService)
	huma.Register(api, write("delete-real-server", http.MethodDelete, realServer, "Remove a real server from a service"), c.deleteRealServer)
	huma.Register(api, write("put-role", http.MethodPut, "/v1/role", "Become active or standby"), c.putRole)
}

func write(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id,
		Method:      method,
		Path:        path,
		Summary:     summary,
		Errors:      writeFailures,
	}
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

// changed is the answer to a change.
type changed struct {
	Status int
	ETag   string `header:"ETag" doc:"the generation in force, in quotes"`
	Body   Applied
}

// change applies edit, which says whether it made something that was not there before.
func (c writes) change(ctx context.Context, p Precondition, dryRun bool, edit func(*store.State) (created bool, err error)) (*changed, error) {
	generation, err := p.generation()
	if err != nil {
		return nil, err
	}
	status, changes := http.StatusOK, []string(nil)
	applied, err := c.director.Change(ctx, generation, dryRun, func(s *store.State) error {
		before := s.Clone()
		created, err := edit(s)
		if created {
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
	Precondition
	DryRun  bool `query:"dry_run" doc:"check and plan the change without applying it"`
	RawBody []byte
}

func (c writes) putServices(ctx context.Context, in *putServicesInput) (*changed, error) {
	state, err := store.DecodeJSON(in.RawBody)
	if err != nil {
		return nil, problem(err)
	}
	return c.change(ctx, in.Precondition, in.DryRun, func(s *store.State) (bool, error) {
		*s = state
		return false, nil
	})
}

type putServiceInput struct {
	Precondition
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
	return c.change(ctx, in.Precondition, false, func(s *store.State) (bool, error) {
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
	Precondition
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
	return c.change(ctx, in.Precondition, false, func(s *store.State) (bool, error) {
		return setRealServer(s, in.Name, rs)
	})
}

type deleteServiceInput struct {
	Precondition
	ServicePath
}

func (c writes) deleteService(ctx context.Context, in *deleteServiceInput) (*changed, error) {
	return c.change(ctx, in.Precondition, false, func(s *store.State) (bool, error) {
		return false, deleteService(s, in.Name)
	})
}

type deleteRealServerInput struct {
	Precondition
	RealServerPath
}

func (c writes) deleteRealServer(ctx context.Context, in *deleteRealServerInput) (*changed, error) {
	return c.change(ctx, in.Precondition, false, func(s *store.State) (bool, error) {
		return false, deleteRealServer(s, in.Name, in.Address)
	})
}

type putRoleInput struct {
	Precondition
	Body RoleSetting
}

// putRole checks If-Match against the generation in force, although a role has no generation of its own: a client that
// asks for the check must not be ignored.
func (c writes) putRole(ctx context.Context, in *putRoleInput) (*answer[RoleSetting], error) {
	generation, err := in.generation()
	if err != nil {
		return nil, err
	}
	if generation != 0 && generation != c.director.Status().Generation {
		return nil, problem(ErrStale)
	}
	if err := c.director.SetRole(ctx, in.Body.Role); err != nil {
		return nil, problem(err)
	}
	return &answer[RoleSetting]{Body: in.Body}, nil
}
