package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func registerDrains(api huma.API, director Director) {
	c := drains{writes{director}, reads{director}}
	const drain = realServerCall + "/drain"
	start := write("put-drain", http.MethodPut, drain, "Drain a real server of a service, or change how it is drained",
		http.StatusNotFound, http.StatusUnsupportedMediaType)
	huma.Register(api, withBody(start), c.putDrain)
	huma.Register(api, write("delete-drain", http.MethodDelete, drain, "Have a real server get new flows again", http.StatusNotFound), c.deleteDrain)
}

// drains answers the calls that drain real servers. A drain is no part of the desired state: it makes no generation.
type drains struct {
	writes
	reads
}

type putDrainInput struct {
	Precondition
	RealServerPath
	Body *Drain // nil: as long as it takes
}

func (c drains) putDrain(ctx context.Context, in *putDrainInput) (*answer[RealServer], error) {
	drain := Drain{}
	if in.Body != nil {
		drain = *in.Body
	}
	if drain.Then == "" {
		drain.Then = ThenKeep
	}
	return c.changed(ctx, in.Precondition, &in.RealServerPath, func() error {
		return c.writes.director.SetDrain(ctx, in.Name, in.Address, drain)
	})
}

type deleteDrainInput struct {
	Precondition
	RealServerPath
}

func (c drains) deleteDrain(ctx context.Context, in *deleteDrainInput) (*answer[RealServer], error) {
	return c.changed(ctx, in.Precondition, &in.RealServerPath, func() error {
		return c.writes.director.EndDrain(ctx, in.Name, in.Address)
	})
}

// changed answers with the real server as it is after the change.
func (c drains) changed(ctx context.Context, p Precondition, of *RealServerPath, change func() error) (*answer[RealServer], error) {
	if err := c.fresh(p); err != nil {
		return nil, err
	}
	if err := change(); err != nil {
		return nil, problem(err)
	}
	return c.realServer(ctx, of)
}
