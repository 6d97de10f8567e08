package health_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"turnout/mgmt/health"
	"turnout/mgmt/store"
)

const nobody = 65534 // uid and gid on every Linux

// execDir is a folder for files of exec checks, and one in which they may write.
func execDir(t *testing.T) (dir, out string) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root to run files as another user")
	default:
		t.Skip("needs root to run files as another user")
	}
	dir, out = t.TempDir(), t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chmod(out, 0o777))
	return dir, out
}

// writeScript writes a shell script into dir and returns a check of it.
func writeScript(t *testing.T, dir, name, text string) store.HealthCheck {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755))
	c := quick(store.CheckExec, 389)
	c.File = name
	return c
}

func runExec(t *testing.T, dir string, c store.HealthCheck) health.Status {
	t.Helper()
	return firstOf(t, server, c, health.Config{Source: source, Exec: health.Exec{Dir: dir, UID: nobody, GID: nobody}})
}

func TestExecStatus(t *testing.T) {
	dir, _ := execDir(t)
	for _, tt := range []struct{ name, text, want string }{
		{"zero", "exit 0", ""},
		{"output", "echo fine", ""},
		{"much-output", "yes | head -c 1000000", ""},
		{"one", "exit 1", "exit status 1"},
		{"said", "echo; echo '  replica lags' >&2; echo more; exit 17", "exit status 17: replica lags"},
		{"unprintable", `printf '\033[1mred\n'; exit 2`, `exit status 2: \x1b[1mred`},
		{"signal", "kill -TERM $$", "signal: terminated"},
		{"missing", "exec /nonexistent", "exit status 127: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := runExec(t, dir, writeScript(t, dir, tt.name, tt.text))
			if tt.want == "" && s.LastError != "" || !strings.HasPrefix(s.LastError, tt.want) {
				t.Errorf("error %q, want %q", s.LastError, tt.want)
			}
		})
	}
}

// A file gets the facts as arguments, and nothing else: no environment, no rights, no open files, no controlling hand.
func TestExecSurroundings(t *testing.T) {
	dir, out := execDir(t)
	leak := must(unix.Open("/dev/null", unix.O_RDONLY, 0))(t) // as C code does: without O_CLOEXEC
	defer unix.Close(leak)
	t.Setenv("TURNOUT_TEST_SECRET", "x")
	c := writeScript(t, dir, "look", `cd `+out+`
echo "$0 $*" >args
tr '\0' '\n' </proc/$$/environ >environ
{ id -u; id -g; id -G; grep CapEff /proc/self/status; } >rights
ls -l /proc/$$/fd | grep -c -- '->' >files
readlink /proc/$$/fd/0 >stdin
readlink /proc/$$/cwd >cwd
`)
	c.Timeout = store.Duration(10 * time.Second) // a shell and ten programs, on a loaded machine
	equal(t, "error", runExec(t, dir, c).LastError, "")
	for file, want := range map[string]string{
		"args":    dir + "/look 127.0.0.21 389 127.0.0.9\n",
		"environ": "",
		"rights":  "65534\n65534\n65534\nCapEff:\t0000000000000000\n",
		"stdin":   "/dev/null\n",
		"cwd":     out + "\n",
	} {
		equal(t, file, string(must(os.ReadFile(filepath.Join(out, file)))(t)), want)
	}
	files := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(out, "files")))(t)))
	if n := must(strconv.Atoi(files))(t); n > 4 { // the script itself is one
		t.Errorf("%d open files in the script, want stdin, stdout, stderr and itself", n)
	}
}

// alive reads process ids from a file and says which of them live.
func alive(t *testing.T, file string) (pids []int, living []string) {
	t.Helper()
	for _, field := range strings.Fields(string(must(os.ReadFile(file))(t))) {
		pid := must(strconv.Atoi(field))(t)
		pids = append(pids, pid)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			living = append(living, string(stat))
		}
	}
	return pids, living
}

func TestExecTimeoutKillsTheGroup(t *testing.T) {
	dir, out := execDir(t)
	for _, tt := range []struct {
		name, text, want string
		processes        int
	}{
		{"hangs", "/bin/sleep 60 & echo $! >>PIDS; wait", "timed out after 300ms", 2},
		{"ignores-signals", "trap '' TERM INT HUP; /bin/sleep 60 & echo $! >>PIDS; wait; wait", "timed out after 300ms", 2},
		{"children", "for i in 1 2; do (/bin/sleep 60 & echo $! >>PIDS; wait) & echo $! >>PIDS; done; wait", "timed out after 300ms", 5},
		{"leaves-a-child", "/bin/sleep 60 & echo $! >>PIDS; exit 0", "", 2},
		{"leaves-a-silent-child", "/bin/sleep 60 </dev/null >/dev/null 2>&1 & echo $! >>PIDS; exit 3", "exit status 3", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pids := filepath.Join(out, tt.name)
			c := writeScript(t, dir, tt.name, strings.ReplaceAll("echo $$ >>PIDS\n"+tt.text, "PIDS", pids))
			start := time.Now()
			s := runExec(t, dir, c)
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v", took)
			}
			equal(t, "error", s.LastError, tt.want)
			var seen []int
			var living []string
			waitFor(t, func() bool { seen, living = alive(t, pids); return len(living) == 0 })
			if len(seen) < tt.processes {
				t.Errorf("%d processes were seen, want %d", len(seen), tt.processes)
			}
		})
	}
}

// A process that leaves the group and holds the output open does not hold the check.
func TestExecEscapeHoldsNothing(t *testing.T) {
	dir, out := execDir(t)
	pids := filepath.Join(out, "pids")
	s := runExec(t, dir, writeScript(t, dir, "escape", "setsid sleep 30 & echo $! >"+pids+"; /bin/sleep 0.1"))
	equal(t, "error", s.LastError, "")
	if s.Latency > 900*time.Millisecond {
		t.Errorf("latency %v", s.Latency)
	}
	escaped, _ := alive(t, pids)
	syscall.Kill(escaped[0], syscall.SIGKILL)
}

func TestCloseDuringExec(t *testing.T) {
	dir, out := execDir(t)
	pids := filepath.Join(out, "pids")
	c := writeScript(t, dir, "hang", "echo $$ >"+pids+".new; mv "+pids+".new "+pids+"; sleep 60")
	c.Timeout = store.Duration(time.Minute)
	m := health.New(health.Config{Source: source, Log: zap.NewNop(), Report: func(health.Change) {}, Exec: health.Exec{Dir: dir, UID: nobody, GID: nobody}})
	m.Set([]health.Target{{Key: health.Key{Service: "web", RealServer: server}, Checks: checks(c)}})
	go m.Run(t.Context())
	waitFor(t, func() bool { _, err := os.Stat(pids); return err == nil })
	start := time.Now()
	m.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close waited %v for a check", took)
	}
	if _, living := alive(t, pids); len(living) > 0 {
		t.Errorf("still there: %q", living)
	}
}

// Whatever anybody but root could have written is not run. It is looked at before each run.
func TestExecRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string) // dir/sub/check is a good file
		want   string                         // DIR is dir/sub
	}{
		{"good", func(*testing.T, string) {}, ""},
		{"another's file", func(t *testing.T, dir string) { check(t, os.Chown(dir+"/sub/check", nobody, 0)) }, "DIR/check is not root's: chown root DIR/check"},
		{"a file for all to write", func(t *testing.T, dir string) { check(t, os.Chmod(dir+"/sub/check", 0o757)) }, "others than root may write DIR/check: chmod go-w DIR/check"},
		{"a file for a group to write", func(t *testing.T, dir string) { check(t, os.Chmod(dir+"/sub/check", 0o775)) }, "others than root may write DIR/check: chmod go-w DIR/check"},
		{"another's folder", func(t *testing.T, dir string) { check(t, os.Chown(dir+"/sub", nobody, 0)) }, "DIR is not root's: chown root DIR"},
		{"a folder for all to write", func(t *testing.T, dir string) { check(t, os.Chmod(dir+"/sub", 0o777|os.ModeSticky)) }, "others than root may write DIR: chmod go-w DIR"},
		{"another's folder above", func(t *testing.T, dir string) { check(t, os.Chown(dir, nobody, 0)) }, "UP is not root's: chown root UP"},
		{"a folder above for all to write", func(t *testing.T, dir string) { check(t, os.Chmod(dir, 0o777)) }, "others than root may write UP: chmod go-w UP"},
		{"a sticky folder above", func(t *testing.T, dir string) { check(t, os.Chmod(dir, 0o777|os.ModeSticky)) }, ""},
		{"another's sticky folder above", func(t *testing.T, dir string) {
			check(t, os.Chmod(dir, 0o777|os.ModeSticky))
			check(t, os.Chown(dir, nobody, 0))
		}, "UP is not root's: chown root UP"},
		{"a link", func(t *testing.T, dir string) {
			check(t, os.Rename(dir+"/sub/check", dir+"/sub/real"))
			check(t, os.Symlink("real", dir+"/sub/check"))
		}, "DIR/check is not a regular file: exec checks follow no links"},
		{"a folder", func(t *testing.T, dir string) {
			check(t, os.Remove(dir+"/sub/check"))
			check(t, os.Mkdir(dir+"/sub/check", 0o755))
		}, "DIR/check is not a regular file: exec checks follow no links"},
		{"not for others to run", func(t *testing.T, dir string) { check(t, os.Chmod(dir+"/sub/check", 0o700)) }, "fork/exec DIR/check: permission denied"},
		{"nothing", func(t *testing.T, dir string) { check(t, os.Remove(dir+"/sub/check")) }, "lstat DIR/check: no such file or directory"},
		{"a folder of another's by a link", func(t *testing.T, dir string) {
			check(t, os.Rename(dir+"/sub", dir+"/other"))
			check(t, os.Chmod(dir+"/other", 0o777))
			check(t, os.Symlink("other", dir+"/sub"))
		}, "others than root may write UP/other: chmod go-w UP/other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, _ := execDir(t)
			check(t, os.Mkdir(dir+"/sub", 0o755))
			c := writeScript(t, dir+"/sub", "check", "exit 0")
			tt.change(t, dir)
			want := strings.NewReplacer("DIR", dir+"/sub", "UP", dir).Replace(tt.want)
			equal(t, "error", runExec(t, dir+"/sub", c).LastError, fmt.Sprintf("%.160s", want))
		})
	}
	dir, _ := execDir(t)
	for _, name := range []string{"../check", "/bin/true", "", ".", "..", "a/b"} {
		c := quick(store.CheckExec, 80)
		c.File = name
		equal(t, name, runExec(t, dir, c).LastError, fmt.Sprintf("%q is not the name of a file in health.exec_dir", name))
	}
	equal(t, "off", runExec(t, "", quick(store.CheckExec, 80)).LastError, "exec checks are off: set health.exec_dir in turnout.yaml")
}

// The file is looked at before each run, not once.
func TestExecIsJudgedAtEachRun(t *testing.T) {
	dir, _ := execDir(t)
	c := writeScript(t, dir, "check", "exit 0")
	m := health.New(health.Config{Source: source, Log: zap.NewNop(), Report: func(health.Change) {}, Exec: health.Exec{Dir: dir, UID: nobody, GID: nobody}})
	defer m.Close()
	key := health.Key{Service: "web", RealServer: server}
	m.Set([]health.Target{{Key: key, Checks: checks(c)}})
	go m.Run(t.Context())
	waitFor(t, func() bool { return m.State(key).Up })
	check(t, os.Chmod(filepath.Join(dir, "check"), 0o777))
	waitFor(t, func() bool { return !m.State(key).Up })
	check(t, os.Chmod(filepath.Join(dir, "check"), 0o755))
	waitFor(t, func() bool { return m.State(key).Up })
}
