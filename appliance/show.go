package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"turnout/mgmt/api"
	"turnout/mgmt/store"
)

// newShowCommands are the commands that ask a running director, by its API.
func newShowCommands() []*cobra.Command {
	return []*cobra.Command{
		newShowCommand("status", "Show the director in short", "/v1/status", statusTable),
		newShowCommand("services", "Show the virtual services", "/v1/services", servicesTable),
		newShowCommand("real-servers", "Show the real servers of every service", "/v1/services", realServersTable),
		newFlowsCommand(),
		newShowCommand("ports", "Show the DPDK ports", "/v1/ports", portsTable),
		newShowCommand("lcores", "Show the polling lcores and their flow tables", "/v1/lcores", lcoresTable),
		newShowCommand("neighbours", "Show the MAC addresses of real servers", "/v1/neighbours", neighboursTable),
		newShowCommand("drops", "Show dropped frames by reason", "/v1/drops", dropsTable),
		newRoleCommand(),
		newApplyCommand(),
	}
}

// newClientCommand has the flags that every client command has.
func newClientCommand(use, short string, args cobra.PositionalArgs) (*cobra.Command, *clientFlags, *outputFormat) {
	cmd := &cobra.Command{Use: use, Short: short, Args: usageArgs(args)}
	flags, format := new(clientFlags), formatTable
	flags.register(cmd)
	cmd.Flags().VarP(&format, "output", "o", "table, json (the API's answer) or yaml (the same)")
	return cmd, flags, &format
}

// newShowCommand shows the answer to GET path, which is a T, by view.
func newShowCommand[T any](use, short, path string, view func(*table, T)) *cobra.Command {
	cmd, flags, format := newClientCommand(use, short, cobra.NoArgs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return ask(cmd, flags, *format, http.MethodGet, path, nil, view)
	}
	return cmd
}

// ask sends a request and prints its answer.
func ask[T any](cmd *cobra.Command, f *clientFlags, format outputFormat, method, path string, body []byte, view func(*table, T)) error {
	c, err := f.dial()
	if err != nil {
		return err
	}
	answer, err := c.call(cmd.Context(), method, path, body)
	if err != nil {
		return err
	}
	return printAnswer(cmd.OutOrStdout(), format, answer, view)
}

func newFlowsCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("flows", "Show live flows", cobra.NoArgs)
	var service, realServer, client string
	var limit int
	cmd.Flags().StringVar(&service, "service", "", "only flows of this service")
	cmd.Flags().StringVar(&realServer, "real-server", "", "only flows to this real server's address")
	cmd.Flags().StringVar(&client, "client", "", "only flows of this client address")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many flows at most, 1 to 10000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		for key, value := range map[string]string{"service": service, "real_server": realServer, "client": client} {
			if value != "" {
				query.Set(key, value)
			}
		}
		return ask(cmd, flags, *format, http.MethodGet, "/v1/flows?"+query.Encode(), nil, flowsTable)
	}
	return cmd
}

func newRoleCommand() *cobra.Command {
	cmd, flags, format := newClientCommand("role [active|standby]", "Show the director's role, or change it", cobra.MatchAll(
		cobra.MaximumNArgs(1), cobra.OnlyValidArgs))
	cmd.ValidArgs = []string{string(api.RoleActive), string(api.RoleStandby)}
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
	cmd, flags, format := newClientCommand("apply -f services.yaml", "Replace the director's services by those of a file", cobra.NoArgs)
	file := cmd.Flags().StringP("file", "f", "", "the services; - for standard input")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say whether the director would accept them")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return usageError{errors.New("apply: -f FILE is missing")}
		}
		body, err := readServices(*file, cmd.InOrStdin())
		if err != nil {
			return err
		}
		path := "/v1/services?dry_run=" + strconv.FormatBool(*dryRun)
		return ask(cmd, flags, *format, http.MethodPut, path, body, func(t *table, a api.Applied) { appliedTable(t, a, *dryRun) })
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
