package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"turnout/mgmt/api"
)

// newShowCommands are the commands that ask a running director and change nothing.
func newShowCommands() []*cobra.Command {
	return []*cobra.Command{
		show[api.Status]{
			use: "status", short: "Show the director in short", example: "turnout status",
			path: fixed("/v1/status"), table: statusTable,
		}.command(),
		show[api.ServiceList]{
			use: "services", short: "Show the virtual services", example: "turnout services\nturnout services --watch",
			path: fixed("/v1/services"), table: servicesTable, rates: serviceRates,
		}.command(),
		show[api.ServiceList]{
			use: "real-servers", short: "Show the real servers of every service, what is wrong on the way to them, and what mends it",
			example: "turnout real-servers\nturnout real-servers --watch=5s",
			path:    fixed("/v1/services"), table: realServersTable, rates: realServerRates,
		}.command(),
		show[api.ServiceList]{
			use: "drains", short: "Show the real servers that are being drained, and how far that is", example: "turnout drains --watch",
			path: fixed("/v1/services"), table: drainsTable,
		}.command(),
		newFlowsCommand(),
		newPersistenceCommand(),
		newExplainCommand(),
		show[api.PortList]{
			use: "ports", short: "Show the DPDK ports", example: "turnout ports", path: fixed("/v1/ports"), table: portsTable,
		}.command(),
		show[api.LcoreList]{
			use: "lcores", short: "Show the polling lcores and their flow tables", example: "turnout lcores --watch",
			path: fixed("/v1/lcores"), table: lcoresTable,
		}.command(),
		show[api.NeighbourList]{
			use: "neighbours", short: "Show the MAC addresses of real servers", example: "turnout neighbours",
			path: fixed("/v1/neighbours"), table: neighboursTable,
		}.command(),
		newDropsCommand(),
		newCaptureCommand(),
		show[api.GenerationList]{
			use: "generations", short: "Show the states of the services that are kept: those to roll back to, and the one in force",
			example: "turnout generations", path: fixed("/v1/generations"), table: generationsTable,
		}.command(),
		newEventsCommand(),
	}
}

// newClientCommand has the flags that every client command has.
func newClientCommand(use, short, example string, args cobra.PositionalArgs) (*cobra.Command, *clientFlags, *outputFormat) {
	cmd, flags := newPlainClientCommand(use, short, example, args)
	format := formatTable
	cmd.Flags().VarP(&format, "output", "o", "table, json (the API's answer) or yaml (the same)")
	completes(cmd, "output", string(formatTable), string(formatJSON), string(formatYAML))
	return cmd, flags, &format
}

// newPlainClientCommand is newClientCommand for one that shows no table.
func newPlainClientCommand(use, short, example string, args cobra.PositionalArgs) (*cobra.Command, *clientFlags) {
	cmd := &cobra.Command{Use: use, Short: short, Example: indented(example), Args: usageArgs(args), ValidArgsFunction: cobra.NoFileCompletions}
	flags := new(clientFlags)
	flags.register(cmd)
	return cmd, flags
}

// show is a command that shows the answer to a GET, which is a T.
type show[T any] struct {
	use, short, example string

	path  func() string
	table func(*table, T)
	rates func(t *table, before, now reading[T]) // what --watch shows; nil: the table
}

func fixed(path string) func() string { return func() string { return path } }

func (s show[T]) command() *cobra.Command {
	cmd, flags, format := newClientCommand(s.use, s.short, s.example, cobra.NoArgs)
	interval := watchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("watch") {
			return ask(cmd, flags, *format, http.MethodGet, s.path(), nil, s.table)
		}
		return s.watch(cmd, flags, *format, *interval)
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
	var f filter
	cmd := show[api.FlowPage]{
		use: "flows", short: "Show live flows", example: "turnout flows --service web --real-server 192.168.57.121 --limit 1000",
		path: func() string { return "/v1/flows?" + f.query() }, table: flowsTable,
	}.command()
	f.register(cmd, "flows")
	return cmd
}

func newPersistenceCommand() *cobra.Command {
	var f filter
	cmd := show[api.PersistencePage]{
		use: "persistence", short: "Show which real server each client of services with persistence keeps",
		example: "turnout persistence --service web\nturnout persistence --client 192.0.2.7",
		path:    func() string { return "/v1/persistence?" + f.query() }, table: persistenceTable,
	}.command()
	f.register(cmd, "clients")
	return cmd
}

// filter is what flows and clients are chosen by.
type filter struct {
	service, realServer, client string
	limit                       int
}

func (f *filter) register(cmd *cobra.Command, things string) {
	cmd.Flags().StringVar(&f.service, "service", "", "only "+things+" of this service")
	cmd.Flags().StringVar(&f.realServer, "real-server", "", "only "+things+" on this real server's address")
	cmd.Flags().StringVar(&f.client, "client", "", "only "+things+" of this client address")
	cmd.Flags().IntVar(&f.limit, "limit", 100, "how many "+things+" at most, 1 to 10000")
	completesLive(cmd, "service", serviceNames)
	completesLive(cmd, "real-server", func(list api.ServiceList) []string { return realServersOf(list, f.service) })
}

func (f *filter) query() string {
	query := url.Values{"limit": {strconv.Itoa(f.limit)}}
	for key, value := range map[string]string{"service": f.service, "real_server": f.realServer, "client": f.client} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return query.Encode()
}

// indented puts examples where cobra's help has them.
func indented(example string) string { return "  " + strings.ReplaceAll(example, "\n", "\n  ") }
