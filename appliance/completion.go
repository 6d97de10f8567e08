package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"turnout/mgmt/api"
)

// completionTimeout is how long a user who presses the tabulator waits for the director.
const completionTimeout = 500 * time.Millisecond

// completionShells are the shells that there is completion for.
var completionShells = map[string]func(*cobra.Command, io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
}

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish", Short: "Print what makes a shell complete turnout's commands",
		Long: "Completion prints a script for the shell. It completes commands and flags, and, from the director that runs,\n" +
			"the names of services and the addresses of their real servers.",
		Example: indented("turnout completion bash > /etc/bash_completion.d/turnout\nturnout completion zsh > /usr/local/share/zsh/site-functions/_turnout\n" +
			"turnout completion fish > /etc/fish/completions/turnout.fish"),
		ValidArgs: []string{"bash", "zsh", "fish"}, Args: usageArgs(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return completionShells[args[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}

// complete is what cobra calls for a completion. No file names are offered beside what it finds.
type complete = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// completes offers fixed values for a flag.
func completes(cmd *cobra.Command, flag string, values ...string) {
	register(cmd, flag, func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return offer(toComplete, values)
	})
}

// completesLive offers for a flag what pick finds in the services of the running director.
func completesLive(cmd *cobra.Command, flag string, pick func(api.ServiceList) []string) {
	register(cmd, flag, func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return offer(toComplete, pick(live[api.ServiceList](cmd, "/v1/services")))
	})
}

func register(cmd *cobra.Command, flag string, f complete) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag is not defined: a mistake in the program
	}
}

// completeRealServer offers a service, then a real server of it.
func completeRealServer(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	list := live[api.ServiceList](cmd, "/v1/services")
	switch len(args) {
	case 0:
		return offer(toComplete, serviceNames(list))
	case 1:
		return offer(toComplete, realServersOf(list, args[0]))
	}
	return offer(toComplete, nil)
}

// completeGeneration offers the generations that can be had again.
func completeGeneration(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var numbers []string
	if len(args) == 0 {
		for _, g := range live[api.GenerationList](cmd, "/v1/generations").Generations {
			if !g.InForce {
				numbers = append(numbers, fmt.Sprint(g.Generation))
			}
		}
	}
	return offer(toComplete, numbers)
}

func offer(toComplete string, all []string) (matching []string, _ cobra.ShellCompDirective) {
	for _, s := range all {
		if strings.HasPrefix(s, toComplete) {
			matching = append(matching, s)
		}
	}
	return matching, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func serviceNames(list api.ServiceList) (names []string) {
	for _, s := range list.Services {
		names = append(names, s.Name)
	}
	return names
}

// realServersOf are the addresses of a service's real servers, or of all services' if it has no name.
func realServersOf(list api.ServiceList, service string) (addresses []string) {
	for _, s := range list.Services {
		if service == "" || s.Name == service {
			for _, rs := range s.RealServers {
				addresses = append(addresses, rs.Address.String())
			}
		}
	}
	return addresses
}

// live asks the director that the command line names. Without an answer there is nothing to offer, and nothing is said.
func live[T any](cmd *cobra.Command, path string) (t T) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	c, err := clientOf(cmd).dial()
	if err != nil {
		return t
	}
	answer, err := c.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return t
	}
	t, _ = understood[T](answer)
	return t
}

// clientOf are the client flags of a command line.
func clientOf(cmd *cobra.Command) *clientFlags {
	value := func(name string) string { return cmd.Flag(name).Value.String() }
	return &clientFlags{
		server: value("server"), tokenFile: value("token-file"), caFile: value("ca-file"), certFile: value("cert-file"), keyFile: value("key-file"),
	}
}
