package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"turnout/mgmt/store"
)

// plan says what turns old into next, one sentence per service, real server or key: first what is removed, then what is
// changed and added, in the order of next.
func plan(old, next store.State) []string {
	var lines []string
	for _, svc := range old.Services {
		if indexService(&next, svc.Name) < 0 {
			lines = append(lines, "service "+svc.Name+" is removed")
		}
	}
	for _, svc := range next.Services {
		i := indexService(&old, svc.Name)
		if i < 0 {
			lines = append(lines, fmt.Sprintf("service %s is added; real servers: %d", svc.Name, len(svc.RealServers)))
			continue
		}
		lines = append(lines, planService(old.Services[i], svc)...)
	}
	return lines
}

func planService(old, next store.Service) []string {
	where := "service " + next.Name
	lines := planRealServers(where, old.RealServers, next.RealServers)
	old.RealServers, next.RealServers = nil, nil
	return append(planKeys(where, old, next), lines...)
}

func planRealServers(where string, old, next []store.RealServer) []string {
	var lines []string
	name := func(a netip.Addr) string { return where + ", real server " + a.String() }
	for _, rs := range old {
		if indexRealServer(next, rs.Address) < 0 {
			lines = append(lines, name(rs.Address)+" is removed")
		}
	}
	for _, rs := range next {
		i := indexRealServer(old, rs.Address)
		if i < 0 {
			lines = append(lines, fmt.Sprintf("%s is added; weight: %d", name(rs.Address), rs.Weight))
			continue
		}
		lines = append(lines, planKeys(name(rs.Address), old[i], rs)...)
	}
	return lines
}

// planKeys compares two structs of the store key by key.
func planKeys[T store.Service | store.RealServer](where string, old, next T) []string {
	var lines []string
	before, after := reflect.ValueOf(old), reflect.ValueOf(next)
	for i := range before.NumField() {
		was, becomes := before.Field(i).Interface(), after.Field(i).Interface()
		if !reflect.DeepEqual(was, becomes) {
			key, _, _ := strings.Cut(before.Type().Field(i).Tag.Get("json"), ",")
			lines = append(lines, fmt.Sprintf("%s: %s %s becomes %s", where, key, text(was), text(becomes)))
		}
	}
	return lines
}

// text is a value of the desired state as requests write it.
func text(value any) string {
	written, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(written)
}
