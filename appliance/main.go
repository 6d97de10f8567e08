// Command turnout is a layer-4 load balancer appliance of the LVS-DR kind.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

// version is set by the linker: -X main.version=...
var version = "devel"

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if err := newRootCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "turnout:", err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	if usage := new(usageError); errors.As(err, usage) {
		return exitUsage
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "turnout",
		Example:       indented("turnout check -c /etc/turnout/turnout.yaml\nturnout run -c /etc/turnout/turnout.yaml\nturnout services --watch"),
		Short:         "Layer-4 load balancer of the LVS-DR kind, on DPDK",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newRunCommand(), newCheckCommand(), newImportCommand(), newRealServerCommand(), newDoctorCommand(), newVersionCommand(), newCompletionCommand(), newManCommand())
	root.AddCommand(newShowCommands()...)
	root.AddCommand(newChangeCommands()...)
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: indented("turnout version"), Args: usageArgs(cobra.NoArgs),
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "turnout", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		},
	}
}
