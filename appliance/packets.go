package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/gopacket/gopacket/pcapgo"
	"github.com/spf13/cobra"

	"turnout/lcore"
	"turnout/mgmt/api"
)

// newDropsCommand shows the counts of all reasons, or saves the frames of one.
func newDropsCommand() *cobra.Command {
	cmd := show[api.DropCounts]{
		use: "drops [REASON -w FILE]", short: "Show dropped frames by reason, or save the latest ones of a reason as pcapng",
		example: "turnout drops --watch\nturnout drops no_service -w drops.pcapng\nturnout drops loop -w - | tshark -r - -T fields -e frame.comment",
		path:    fixed("/v1/drops"), table: dropsTable,
	}.command()
	counts := cmd.RunE
	cmd.Args, cmd.ValidArgsFunction = usageArgs(cobra.MaximumNArgs(1)), completeReason
	file := saveFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && *file == "":
			return counts(cmd, args)
		case len(args) == 0:
			return usageError{errors.New("drops: -w saves the frames of one reason: turnout drops REASON -w FILE")}
		}
		return savePackets(cmd, "/v1/drops/"+url.PathEscape(args[0])+".pcapng", *file)
	}
	return cmd
}

func completeReason(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var reasons []string
	for r := range lcore.Reasons {
		if len(args) == 0 {
			reasons = append(reasons, r.String())
		}
	}
	return offer(toComplete, reasons)
}

func newCaptureCommand() *cobra.Command {
	cmd, _ := newPlainClientCommand("capture -w FILE", "Save forwarded frames as pcapng, each before and after its rewrite",
		"turnout capture -w capture.pcapng --service web --count 1000\nturnout capture -w - --client 192.0.2.7 | tshark -r -", cobra.NoArgs)
	file := saveFlag(cmd)
	service := cmd.Flags().String("service", "", "only packets for this service")
	client := cmd.Flags().String("client", "", "only packets of this client address")
	count := cmd.Flags().Int("count", 100, "end after so many frames, 1 to 100000")
	seconds := cmd.Flags().Int("seconds", 10, "end after so many seconds, 1 to 600; Ctrl-C ends it before")
	completesLive(cmd, "service", serviceNames)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{"count": {strconv.Itoa(*count)}, "seconds": {strconv.Itoa(*seconds)}}
		for key, value := range map[string]string{"service": *service, "client": *client} {
			if value != "" {
				query.Set(key, value)
			}
		}
		return savePackets(cmd, "/v1/capture?"+query.Encode(), *file)
	}
	return cmd
}

func saveFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("write", "w", "", "the file to write, in pcapng for Wireshark and tshark; - for standard output")
}

// savePackets writes the capture file that a GET answers, as it comes.
func savePackets(cmd *cobra.Command, path, file string) error {
	if file == "" {
		return usageError{fmt.Errorf("%s: -w FILE is missing (- for standard output)", cmd.Name())}
	}
	if file == "-" && screenOf(cmd.OutOrStdout()) != (screen{}) {
		return usageError{fmt.Errorf("%s: a terminal cannot show pcapng: -w FILE, or pipe it: | tshark -r -", cmd.Name())}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c, err := clientOf(cmd).dial()
	if err != nil {
		return err
	}
	body, err := c.open(ctx, path)
	if err != nil {
		return quiet(ctx, err)
	}
	defer body.Close()
	packets, err := writePackets(cmd, file, body)
	if err = quiet(ctx, err); err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d packets\n", packets)
	}
	return err
}

// writePackets copies a capture file and counts its packets. What packets hold is for their owner's eyes only.
func writePackets(cmd *cobra.Command, file string, from io.Reader) (packets int, err error) {
	if file == "-" {
		return copyPackets(cmd.OutOrStdout(), from)
	}
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	packets, err = copyPackets(to, from)
	return packets, errors.Join(err, to.Close())
}

func copyPackets(to io.Writer, from io.Reader) (packets int, err error) {
	r, err := pcapgo.NewNgReader(io.TeeReader(from, to), pcapgo.DefaultNgReaderOptions)
	for err == nil {
		if _, _, err = r.ZeroCopyReadPacketData(); err == nil {
			packets++
		}
	}
	if errors.Is(err, io.EOF) {
		return packets, nil
	}
	return packets, fmt.Errorf("after %d packets: %w", packets, err)
}
