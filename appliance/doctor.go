package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"turnout/lcore/port"
	"turnout/mgmt/doctor"
	"turnout/mgmt/punt"
	"turnout/mgmt/store"
)

// doctorPause is the time between two readings of a director.
const doctorPause = time.Second

func newDoctorCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("doctor", "Find what keeps turnout from working well, with the command that mends it",
		"turnout doctor -c /etc/turnout/turnout.yaml\nturnout doctor -o json", cobra.NoArgs)
	cmd.Long = "Doctor looks at this host, at both files, and at the director if one runs. It changes nothing, and exits with 1 if it finds an\n" +
		"error. Run it where turnout runs, with the same privileges."
	file := cmd.Flags().StringP("config", "c", defaultConfigFile, "the appliance's configuration")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, err := examine(cmd.Context(), flags, *file)
		if err != nil {
			return err
		}
		answer, err := json.Marshal(report)
		if err != nil {
			return err
		}
		if err := printAnswer(cmd.OutOrStdout(), *format, answer, findingsTable); err != nil {
			return err
		}
		if report.Errors > 0 {
			return fmt.Errorf("doctor: errors found: %d", report.Errors)
		}
		return nil
	}
	return cmd
}

func examine(ctx context.Context, flags *clientFlags, file string) (doctor.Report, error) {
	c, err := flags.dial()
	if err != nil {
		return doctor.Report{}, err
	}
	director := askTwice(ctx, c)
	config, state, notes, mistakes := judge(file)
	host := &doctor.Host{
		Plan: planOf(config, state), Running: director.Err == nil && strings.HasPrefix(flags.server, "unix:"),
		UserDrivers: port.UserDrivers, CheckFlux: punt.CheckFlux, CheckVIPs: punt.CheckVIPs,
	}
	services := &doctor.Services{Mistakes: mistakes, Notes: notes, State: state}
	return doctor.NewReport(slices.Concat(host.Examine(), services.Examine(), director.Examine())), nil
}

// askTwice reads a director, if there is one, twice.
func askTwice(ctx context.Context, c *client) *doctor.Director {
	get := func(path string, v any) error {
		answer, err := c.call(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		return json.Unmarshal(answer, v)
	}
	d := &doctor.Director{}
	if d.Before, d.Err = doctor.Read(get); d.Err == nil {
		time.Sleep(doctorPause)
		d.Now, d.Err = doctor.Read(get)
	}
	return d
}

// planOf is what the files ask of the host; nothing, where turnout.yaml cannot be read.
func planOf(config *Config, state store.State) doctor.Plan {
	if config == nil {
		return doctor.Plan{}
	}
	d := config.DPDK
	plan := doctor.Plan{Lcores: d.Lcores, Hugepages: d.Hugepages, MemoryMB: d.MemoryMB}
	for _, p := range config.Ports {
		plan.Ports = append(plan.Ports, doctor.Port{
			Device: p.Device, Virtual: port.Virtual(p.Device), DIP: p.Prefix(), KernelInterface: p.KernelInterface,
		})
	}
	var rips []netip.Addr
	for _, svc := range state.Services {
		plan.VIPs = append(plan.VIPs, svc.VIP)
		for _, rs := range svc.RealServers {
			rips = append(rips, rs.Address)
		}
	}
	slices.SortFunc(plan.VIPs, netip.Addr.Compare)
	slices.SortFunc(rips, netip.Addr.Compare)
	plan.VIPs, plan.RealServers = slices.Compact(plan.VIPs), len(slices.Compact(rips))
	return plan
}

// findingsTable shows what is wrong with why and mend below it.
func findingsTable(t *table, r doctor.Report) {
	const below = " "
	for _, f := range r.Findings {
		t.row(cell{text: string(f.Severity), colour: severityColour(f.Severity)}, f.Check, f.Found)
		if f.Severity != doctor.OK {
			t.row(below, "  why", f.Why)
			t.row(below, "  mend", cell{text: f.Mend, colour: bold})
		}
	}
	t.gap()
	t.note("errors: %d, warnings: %d", r.Errors, r.Warnings)
}

func severityColour(s doctor.Severity) colour {
	return map[doctor.Severity]colour{doctor.Error: red, doctor.Warning: yellow}[s]
}
