package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// reads answers the calls that change nothing.
type reads struct{ director Director }

// answer is a body, and the generation it belongs to as ETag.
type answer[T any] struct {
	ETag string `header:"ETag" doc:"the generation in force, in quotes"`
	Body T
}

func registerReads(api huma.API, director Director) {
	c := reads{director}
	get(api, "get-status", "/v1/status", "The director in short", c.status)
	get(api, "list-services", "/v1/services", "All services, as configured and live", c.services)
	get(api, "get-service", serviceCall, "One service", c.service, http.StatusNotFound)
	get(api, "get-real-server", realServerCall, "One real server of a service", c.realServer, http.StatusNotFound)
	get(api, "list-flows", "/v1/flows", "Live flows, gathered from the lcores without stopping them", c.flows, http.StatusServiceUnavailable)
	get(api, "list-ports", "/v1/ports", "DPDK ports", c.ports)
	get(api, "list-lcores", "/v1/lcores", "Polling lcores and their flow tables", c.lcores)
	get(api, "list-neighbours", "/v1/neighbours", "MAC addresses of real servers", c.neighbours)
	get(api, "get-drops", "/v1/drops", "Dropped frames by reason", c.drops)
	get(api, "get-role", "/v1/role", "Whether this director answers for the VIPs", c.role)
	get(api, "get-alive", "/healthz", "Whether the process is alive", c.alive)
	get(api, "get-ready", "/readyz", "Whether packets are forwarded", c.ready, http.StatusServiceUnavailable)
}

// readFailures are what every read may be refused with.
var readFailures = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity}

// read describes a read; failures are the statuses it may answer beside those of every read.
func read(id, path, summary string, failures ...int) huma.Operation {
	return huma.Operation{
		OperationID: id,
		Method:      http.MethodGet,
		Path:        path,
		Summary:     summary,
		Errors:      slices.Concat(readFailures, failures),
	}
}

func get[I, O any](api huma.API, id, path, summary string, handle func(context.Context, *I) (*O, error), failures ...int) {
	huma.Register(api, read(id, path, summary, failures...), handle)
}

func (c reads) status(context.Context, *struct{}) (*answer[Status], error) {
	status := c.director.Status()
	status.Ports, status.Lcores, status.VIPs = filled(status.Ports), filled(status.Lcores), filled(status.VIPs)
	return &answer[Status]{ETag: etag(status.Generation), Body: status}, nil
}

func (c reads) services(context.Context, *struct{}) (*answer[ServiceList], error) {
	list := c.list()
	return &answer[ServiceList]{ETag: etag(list.Generation), Body: list}, nil
}

// list is the services without a list that is null.
func (c reads) list() ServiceList {
	list := c.director.Services()
	list.Services = filled(list.Services)
	for i := range list.Services {
		svc := &list.Services[i]
		svc.HealthChecks, svc.RealServers, svc.Live.RealServers = filled(svc.HealthChecks), filled(svc.RealServers), filled(svc.Live.RealServers)
	}
	return list
}

// ServicePath names a service in a path. (Exported, as huma passes over embedded types that are not.)
type ServicePath struct {
	Name string `path:"name" maxLength:"63" doc:"the service's name"`
}

func (c reads) service(_ context.Context, in *ServicePath) (*answer[Service], error) {
	list := c.list()
	svc, err := find(list, in.Name)
	if err != nil {
		return nil, problem(err)
	}
	return &answer[Service]{ETag: etag(list.Generation), Body: svc}, nil
}

func find(list ServiceList, name string) (Service, error) {
	i := slices.IndexFunc(list.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, noService(name)
	}
	return list.Services[i], nil
}

func noService(name string) error {
	return fmt.Errorf("service %q: %w", name, ErrNotFound)
}

// RealServerPath names a real server of a service in a path.
type RealServerPath struct {
	ServicePath
	Address netip.Addr `path:"address" doc:"the real server's address"`
}

func (c reads) realServer(_ context.Context, in *RealServerPath) (*answer[RealServer], error) {
	list := c.list()
	svc, err := find(list, in.Name)
	if err != nil {
		return nil, problem(err)
	}
	rs, err := svc.realServer(in.Address)
	if err != nil {
		return nil, problem(err)
	}
	return &answer[RealServer]{ETag: etag(list.Generation), Body: rs}, nil
}

func (s Service) realServer(address netip.Addr) (RealServer, error) {
	for i, rs := range s.RealServers {
		if rs.Address == address && i < len(s.Live.RealServers) {
			return RealServer{RealServer: rs, Live: s.Live.RealServers[i]}, nil
		}
	}
	return RealServer{}, noRealServer(s.Name, address)
}

func noRealServer(service string, address netip.Addr) error {
	return fmt.Errorf("real server %s of service %q: %w", address, service, ErrNotFound)
}

type flowsInput struct {
	Service    string     `query:"service" doc:"only flows of this service"`
	RealServer netip.Addr `query:"real_server" doc:"only flows to this real server"`
	Client     netip.Addr `query:"client" doc:"only flows of this client address"`
	Limit      int        `query:"limit" default:"100" minimum:"1" maximum:"10000" doc:"how many flows at most"`
}

func (c reads) flows(ctx context.Context, in *flowsInput) (*answer[FlowPage], error) {
	page, err := c.director.Flows(ctx, FlowQuery(*in))
	if err != nil {
		return nil, huma.Error503ServiceUnavailable("the lcores did not answer: " + err.Error())
	}
	page.Flows = filled(page.Flows)
	return &answer[FlowPage]{Body: page}, nil
}

func (c reads) ports(context.Context, *struct{}) (*answer[PortList], error) {
	return &answer[PortList]{Body: PortList{filled(c.director.Ports())}}, nil
}

func (c reads) lcores(context.Context, *struct{}) (*answer[LcoreList], error) {
	return &answer[LcoreList]{Body: LcoreList{filled(c.director.Lcores())}}, nil
}

func (c reads) neighbours(context.Context, *struct{}) (*answer[NeighbourList], error) {
	return &answer[NeighbourList]{Body: NeighbourList{filled(c.director.Neighbours()), filled(c.director.Conflicts())}}, nil
}

func (c reads) drops(context.Context, *struct{}) (*answer[DropCounts], error) {
	return &answer[DropCounts]{Body: DropCounts{c.director.Status().Books.Drops}}, nil
}

func (c reads) role(context.Context, *struct{}) (*answer[RoleSetting], error) {
	return &answer[RoleSetting]{Body: RoleSetting{c.director.Role()}}, nil
}

// Probe is the answer of /healthz and /readyz when all is well.
type Probe struct {
	Status string `json:"status" enum:"alive,ready"`
}

func (c reads) alive(context.Context, *struct{}) (*answer[Probe], error) {
	return &answer[Probe]{Body: Probe{"alive"}}, nil
}

func (c reads) ready(context.Context, *struct{}) (*answer[Probe], error) {
	ready, why := c.director.Ready()
	if ready {
		return &answer[Probe]{Body: Probe{"ready"}}, nil
	}
	var sentences []error
	for _, sentence := range why {
		sentences = append(sentences, errors.New(sentence))
	}
	return nil, huma.Error503ServiceUnavailable("packets are not forwarded", sentences...)
}

// etag is a generation as an entity tag (RFC 9110 section 8.8.3).
func etag(generation uint64) string {
	return strconv.Quote(strconv.FormatUint(generation, 10))
}

// filled makes a list that is written as [] where it would be null.
func filled[L ~[]T, T any](list L) L {
	if list == nil {
		return L{}
	}
	return list
}
