package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// newChangeCommands are the commands that have a running director do something.
func newChangeCommands() []*cobra.Command {
	return []*cobra.Command{newApplyCommand(), newRollbackCommand(), newDrainCommand(), newUndrainCommand(), newRoleCommand()}
}

func newRoleCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("role [active|standby]", "Show the director's role, or change it",
		"turnout role\nturnout role standby", cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs))
	cmd.ValidArgs, cmd.ValidArgsFunction = []string{string(api.RoleActive), string(api.RoleStandby)}, nil
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return ask(cmd, flags, *format, http.MethodGet, "/v1/role", nil, roleTable)
		}
		body, err := json.Marshal(api.RoleSetting{Role: api.Role(args[0])})
		if err != nil {
			return err
		}
		return ask(cmd, flags, *format, http.MethodPut, "/v1/role", body, roleTable)
	}
	return cmd
}

func newApplyCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("apply -f services.yaml", "Replace the director's services by those of a file",
		"turnout apply -f services.yaml --dry-run\nturnout apply -f services.yaml", cobra.NoArgs)
	file := cmd.Flags().StringP("file", "f", "", "the services; - for standard input")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say whether the director would accept them, and what would change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return usageError{errors.New("apply: -f FILE is missing")}
		}
		body, err := readServices(*file, cmd.InOrStdin())
		if err != nil {
			return err
		}
		path := "/v1/services?dry_run=" + strconv.FormatBool(*dryRun)
		return ask(cmd, flags, *format, http.MethodPut, path, body, planTable(*dryRun))
	}
	return cmd
}

// readServices reads a services file as JSON. Reading it here gives mistakes their lines, which the director cannot know.
func readServices(file string, stdin io.Reader) (body []byte, err error) {
	var text []byte
	if file == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the services: %w", err)
	}
	state, err := store.Decode(text, file)
	if err != nil {
		return nil, err
	}
	return json.Marshal(state)
}

func newRollbackCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("rollback GENERATION", "Put a former state of the services in force again, as a new generation",
		"turnout generations\nturnout rollback 41 --dry-run\nturnout rollback 41", cobra.MatchAll(cobra.ExactArgs(1), generationArg))
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what would change")
	cmd.ValidArgsFunction = completeGeneration
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := fmt.Sprintf("/v1/generations/%s/rollback?dry_run=%t", args[0], *dryRun)
		return ask(cmd, flags, *format, http.MethodPost, path, nil, planTable(*dryRun))
	}
	return cmd
}

func generationArg(_ *cobra.Command, args []string) error {
	if _, err := strconv.ParseUint(args[0], 10, 64); err != nil {
		return fmt.Errorf("rollback: %q is no generation's number: turnout generations lists them", args[0])
	}
	return nil
}

func newDrainCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("drain SERVICE ADDRESS", "Have a real server get no new flows, while those it has may end",
		"turnout drain web 192.168.57.121 --deadline 10m --then reschedule\nturnout drains --watch", realServerArgs)
	cmd.Long = cmd.Short + ". Draining again changes the deadline and what\nfollows it. Drains outlive a restart."
	var drain api.Drain
	cmd.Flags().TextVar(&drain.Deadline, "deadline", store.Duration(0), "how long its flows may take to end; 0s: as long as they like")
	then := cmd.Flags().String("then", string(api.ThenKeep), "what becomes of flows left at the deadline: keep, reschedule (to other real servers) or drop")
	completes(cmd, "then", string(api.ThenKeep), string(api.ThenReschedule), string(api.ThenDrop))
	cmd.ValidArgsFunction = completeRealServer
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		drain.Then = api.Then(*then)
		body, err := json.Marshal(drain)
		if err != nil {
			return err
		}
		return ask(cmd, flags, *format, http.MethodPut, drainPath(args), body, drainTable(args[0]))
	}
	return cmd
}

func newUndrainCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("undrain SERVICE ADDRESS", "Have a real server that is drained get new flows again",
		"turnout undrain web 192.168.57.121", realServerArgs)
	cmd.ValidArgsFunction = completeRealServer
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return ask(cmd, flags, *format, http.MethodDelete, drainPath(args), nil, undrainTable(args[0]))
	}
	return cmd
}

// realServerArgs are a service's name and a real server's address.
func realServerArgs(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want SERVICE and ADDRESS, got %d arguments: turnout real-servers lists them", len(args))
	}
	if _, err := netip.ParseAddr(args[1]); err != nil {
		return fmt.Errorf("%q is no address of a real server: turnout real-servers lists them", args[1])
	}
	return nil
}

func drainPath(args []string) string {
	return "/v1/services/" + url.PathEscape(args[0]) + "/real-servers/" + args[1] + "/drain"
}
