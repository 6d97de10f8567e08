package api

import (
	"context"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"
)

// PersistenceQuery filters persistence templates; zero fields match all.
type PersistenceQuery struct {
	Service    string
	RealServer netip.Addr
	Client     netip.Addr
	Limit      int
}

// Template says which real server a client's flows go to.
type Template struct {
	Service       string       `json:"service"`
	Client        netip.Prefix `json:"client" doc:"the client's address, or the network that counts as one client"`
	RealServer    netip.Addr   `json:"real_server,omitzero" doc:"missing: it was removed, and the next flow gets another one"`
	Flows         int          `json:"flows" doc:"live flows, which keep the template"`
	ExpiresSecond float64      `json:"expires_seconds" doc:"until it is gone, once there are no flows"`
}

// PersistencePage is an answer to a PersistenceQuery.
type PersistencePage struct {
	Templates []Template `json:"templates"`
	Truncated bool       `json:"truncated" doc:"more templates match than the limit"`
}

func registerPersistence(api huma.API, director Director) {
	get(api, "list-persistence", "/v1/persistence", "Persistence templates: which real server each client's flows go to", reads{director}.persistence)
}

type persistenceInput struct {
	Service    string     `query:"service" doc:"only clients of this service"`
	RealServer netip.Addr `query:"real_server" doc:"only those of this real server"`
	Client     netip.Addr `query:"client" doc:"only the template that this client address falls under"`
	Limit      int        `query:"limit" default:"100" minimum:"1" maximum:"10000" doc:"how many templates at most"`
}

func (c reads) persistence(_ context.Context, in *persistenceInput) (*answer[PersistencePage], error) {
	page := c.director.Persistence(PersistenceQuery(*in))
	page.Templates = filled(page.Templates)
	return &answer[PersistencePage]{Body: page}, nil
}
