package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"turnout/mgmt/importer"
)

func newImportCommand() *cobra.Command {
	formats := importer.Formats()
	return &cobra.Command{
		Use:   "import " + strings.Join(formats, "|") + " FILE",
		Short: "Make a services file of another load balancer's",
		Long: "Import prints a services file with what can be carried over from FILE (- for standard input), and on standard error,\n" +
			"by line of FILE, what cannot and what to do about it. It exits with 1 if nothing can.\n" +
			"ipvsadm: the output of \"ipvsadm --save -n\"; keepalived: a keepalived.conf; ldirectord: an ldirectord.cf.",
		Example:   indented("ipvsadm --save -n | turnout import ipvsadm - > services.yaml\nturnout import keepalived /etc/keepalived/keepalived.conf > services.yaml"),
		Args:      usageArgs(cobra.MatchAll(cobra.ExactArgs(2), knownFormat)),
		ValidArgs: formats,
		RunE:      func(cmd *cobra.Command, args []string) error { return importFile(cmd, args[0], args[1]) },
	}
}

func knownFormat(_ *cobra.Command, args []string) error {
	for _, format := range importer.Formats() {
		if args[0] == format {
			return nil
		}
	}
	return fmt.Errorf("import: %q is no format that can be read: use %s", args[0], strings.Join(importer.Formats(), ", "))
}

func importFile(cmd *cobra.Command, format, file string) error {
	data, err := readInput(file, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	result, err := importer.Import(format, data)
	if err != nil {
		return fmt.Errorf("import: %s: %w", file, err)
	}
	for _, r := range result.Remarks {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: %s\n", file, r.Line, r.Text)
	}
	if len(result.State.Services) == 0 {
		return errors.New("import: " + file + ": no service could be carried over: do what is said above, or check that the file is of the format " + format)
	}
	_, err = cmd.OutOrStdout().Write(result.YAML())
	return err
}

// readInput reads a file, or standard input for "-".
func readInput(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}
