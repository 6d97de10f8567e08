package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"turnout/mgmt/store"
)

const defaultConfigFile = "/etc/turnout/turnout.yaml"

func newRunCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "run", Short: "Forward until SIGTERM or SIGINT; SIGHUP reads the services file again", Args: usageArgs(cobra.NoArgs),
		Example: indented("turnout run -c /etc/turnout/turnout.yaml"),
		RunE:    func(*cobra.Command, []string) error { return run(file) },
	}
	cmd.Flags().StringVarP(&file, "config", "c", defaultConfigFile, "the appliance's configuration")
	return cmd
}

func run(file string) error {
	config, err := loadValidConfig(file)
	if err != nil {
		return err
	}
	log, err := newLogger(config.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr may be a terminal, which cannot be synced
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal ends the process at once
	return New(config, log).Run(ctx)
}

func loadValidConfig(file string) (*Config, error) {
	config, err := LoadConfig(file)
	if err != nil {
		return nil, err
	}
	return config, config.Validate()
}

// newLogger writes to stderr. The keys of its entries are listed in docs/logging.md.
func newLogger(c LogConfig) (*zap.Logger, error) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	settings := zap.NewProductionConfig()
	settings.Level, settings.Encoding, settings.Sampling = level, c.Format, nil
	settings.DisableCaller, settings.DisableStacktrace = true, true
	settings.EncoderConfig = zap.NewProductionEncoderConfig()
	if c.Format == "console" {
		settings.EncoderConfig = zap.NewDevelopmentEncoderConfig()
	}
	log, err := settings.Build()
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return log, nil
}

// follow loads the services file again on SIGHUP and, where watch_services says so, when it changes, and tells the
// service manager how things are.
func (a *Appliance) follow(hangups <-chan os.Signal) {
	a.tasks.spawn("signs of life", a.supervisor.run)
	a.tasks.spawn("reload", func(ctx context.Context) error {
		for {
			select {
			case <-hangups:
				a.Reload(ctx)
			case <-ctx.Done():
				return nil
			}
		}
	})
	if a.config.WatchServices {
		a.tasks.spawn("watch services file", a.watchServices)
	}
}

// watchQuiet is how long a services file must be left alone before it is read: editors write in several steps.
const watchQuiet = 100 * time.Millisecond

// watchServices loads the services file again when it changes. Editors replace files, so its folder is watched.
func (a *Appliance) watchServices(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watcher.Add(filepath.Dir(a.store.Path())); err != nil {
		return err
	}
	quiet := time.NewTimer(watchQuiet)
	for quiet.Stop(); ; {
		select {
		case event := <-watcher.Events:
			if filepath.Clean(event.Name) == filepath.Clean(a.store.Path()) && event.Op&^fsnotify.Chmod != 0 {
				quiet.Reset(watchQuiet)
			}
		case <-quiet.C:
			a.Reload(ctx)
		case err := <-watcher.Errors:
			a.log.Warn("watch services file", zap.Error(err))
		case <-ctx.Done():
			return nil
		}
	}
}

func newCheckCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration and the services file", Args: usageArgs(cobra.NoArgs),
		Long:    "Check names every mistake with its place, and exits with 1 if there is any.",
		Example: indented("turnout check -c /etc/turnout/turnout.yaml"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return check(cmd, file) },
	}
	cmd.Flags().StringVarP(&file, "config", "c", defaultConfigFile, "the appliance's configuration")
	return cmd
}

// check looks at both files and reports the mistakes of both.
func check(cmd *cobra.Command, file string) error {
	_, _, notes, err := judge(file)
	for _, note := range notes {
		fmt.Fprintln(cmd.OutOrStdout(), "note:", note)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "no mistakes")
	return nil
}

// judge reads turnout.yaml and the services file that it names. The error has the mistakes of both; config is nil where the
// first cannot be read at all.
func judge(file string) (config *Config, state store.State, notes []string, err error) {
	config, invalid := LoadConfig(file)
	if config == nil {
		return nil, state, nil, invalid
	}
	if invalid == nil { // otherwise LoadConfig has said what Validate would
		invalid = config.Validate()
	}
	segment := store.Segment{Exec: config.Health.ExecDir != ""}
	for _, p := range config.Ports {
		if dip, err := netip.ParsePrefix(p.Address); err == nil {
			segment.DIPs = append(segment.DIPs, dip)
		}
	}
	services, err := store.Open(config.ServicesFile)
	if err == nil {
		state, notes, err = services.Check(segment)
	}
	return config, state, notes, errors.Join(invalid, err)
}
