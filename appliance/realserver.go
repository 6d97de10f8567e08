package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"turnout/scripts"
)

// newRealServerCommand is realserver.sh by another door: options, help and answers are the script's.
func newRealServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "realserver --vip ADDRESS --dev NIC [--apply|--verify|--undo]",
		Short: "Print, do, verify or undo the set-up of a real server, on it",
		Long: "Realserver sets up the machine that it runs on as a real server: the VIP on lo, and silent about it in ARP. Without a verb\n" +
			"it prints the commands. \"turnout realserver --help\" lists all options.",
		Example: indented("turnout realserver --vip 192.168.57.100 --dev eth0\nturnout realserver --vip 192.168.57.100 --dev eth0 --apply\n" +
			"turnout realserver --vip 192.168.57.100 --dev eth0 --verify"),
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return runRealServer(cmd, args) },
	}
}

func runRealServer(cmd *cobra.Command, args []string) error {
	const name = "realserver"
	var said bytes.Buffer
	script := exec.CommandContext(cmd.Context(), "bash", append([]string{"-c", scripts.RealServer, name}, args...)...)
	script.Stdout, script.Stderr = cmd.OutOrStdout(), &said
	err := script.Run()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) {
		return err // nil, or there is no bash
	}
	err = errors.New(strings.TrimPrefix(strings.TrimSpace(said.String()), name+": "))
	if exit.ExitCode() == exitUsage {
		return usageError{err}
	}
	return err
}
