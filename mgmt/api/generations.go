package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"turnout/mgmt/store"
)

func registerGenerations(api huma.API, director Director) {
	get(api, "list-generations", "/v1/generations", "Desired states that can be had again, the one in force last", reads{director}.generations)
	huma.Register(api, edits("roll-back", http.MethodPost, "/v1/generations/{n}/rollback", "Put an earlier desired state in force again, as a new generation"),
		writes{director}.rollBack)
}

func (c reads) generations(context.Context, *struct{}) (*answer[GenerationList], error) {
	list, err := c.director.Generations()
	if err != nil {
		return nil, problem(err)
	}
	return &answer[GenerationList]{ETag: etag(c.director.Status().Generation), Body: GenerationList{filled(list)}}, nil
}

type rollBackInput struct {
	Trial
	Generation uint64 `path:"n" doc:"the generation to go back to"`
}

func (c writes) rollBack(ctx context.Context, in *rollBackInput) (*changed, error) {
	state, err := c.director.GenerationState(in.Generation)
	if err != nil {
		return nil, problem(err)
	}
	return c.change(ctx, in.Trial, func(s *store.State) (bool, error) {
		*s = state
		return false, nil
	})
}
