package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exec says where the files of exec checks are and who they run as.
type Exec struct {
	Dir      string // empty: exec checks are off
	UID, GID uint32
}

const (
	maxOutput   = 4096                   // bytes of a file's output that are kept; the first line goes into the error
	outputDelay = 100 * time.Millisecond // how long a process that left its group may hold the output open
)

// exec passes if the file exits with status 0. It is run as FILE RIP PORT DIP, in an empty environment, and everything in
// its process group is killed when it ends or its time is up.
func (m *Monitor) exec(ctx context.Context, k checkKey) error {
	path, err := m.cfg.Exec.file(k.File)
	if err != nil {
		return err
	}
	output := head{limit: maxOutput}
	cmd := exec.Command(path, k.address.String(), strconv.Itoa(int(k.Port)), m.cfg.Source.String())
	cmd.Env, cmd.Dir, cmd.WaitDelay = []string{}, "/", outputDelay
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, Pdeathsig: syscall.SIGKILL,
		Credential: &syscall.Credential{Uid: m.cfg.Exec.UID, Gid: m.cfg.Exec.GID},
	}
	err = runGroup(ctx, cmd)
	if line := output.line(); err != nil && line != "" && ctx.Err() == nil {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

// runGroup runs cmd, the leader of a process group of its own, and leaves nothing of the group alive.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	// What C code has opened (DPDK's devices) is not for the user that the file runs as.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("mark open files to be closed on exec: %w", err)
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that starts it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = unix.Kill(group, unix.SIGKILL)
		close(killed)
	})
	awaitExit(cmd.Process.Pid)
	if !stop() {
		<-killed
	}
	_ = unix.Kill(group, unix.SIGKILL) // what the leader left behind, if anything
	err := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it did exit with status 0
	}
	return err
}

// awaitExit waits for the exit of process pid, which stays a zombie: until it is reaped, its group's number means no
// other group.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// Validate refuses a Dir that anybody but root could change, or replace by another.
func (e Exec) Validate() error {
	_, err := e.dir()
	return err
}

// dir is Dir without links.
func (e Exec) dir() (string, error) {
	if !filepath.IsAbs(e.Dir) {
		return "", fmt.Errorf("%q: write the folder's whole path, such as /etc/turnout/checks", e.Dir)
	}
	dir, err := filepath.EvalSymlinks(e.Dir)
	if err != nil {
		return "", err
	}
	return dir, ownedByRoot(dir)
}

// file is the path of the file of that name in Dir. It refuses a file that anybody but root could have written.
func (e Exec) file(name string) (string, error) {
	if e.Dir == "" {
		return "", errors.New("exec checks are off: set health.exec_dir in turnout.yaml")
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("%q is not the name of a file in health.exec_dir", name)
	}
	dir, err := e.dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file: exec checks follow no links", path)
	}
	return path, onlyRootWrites(path, info, false)
}

// ownedByRoot refuses a folder that anybody but root could change, or replace by another. dir holds no links.
func ownedByRoot(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		sticky := at != dir && info.Mode()&os.ModeSticky != 0 // lets nobody move what is root's
		if err := onlyRootWrites(at, info, sticky); err != nil {
			return err
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// onlyRootWrites refuses what is not root's, and, unless it may be shared, what others may write.
func onlyRootWrites(path string, info os.FileInfo, shared bool) error {
	if info.Sys().(*syscall.Stat_t).Uid != 0 {
		return fmt.Errorf("%s is not root's: chown root %s", path, path)
	}
	if info.Mode().Perm()&0o022 != 0 && !shared {
		return fmt.Errorf("others than root may write %s: chmod go-w %s", path, path)
	}
	return nil
}

// head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.limit-h.Len())])
	return len(p), nil
}

// line is the first line that says something, with what does not print made visible.
func (h *head) line() string {
	line, _, _ := strings.Cut(strings.TrimSpace(h.String()), "\n")
	quoted := strconv.Quote(strings.TrimSpace(line))
	return quoted[1 : len(quoted)-1]
}
