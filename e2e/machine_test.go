package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"turnout/mgmt/api"
)

// machine is a director's host with Debian's keepalived beside turnout, set up by the files that
// docs/examples/keepalived gives to users.
type machine struct {
	*director
	keepalived *exec.Cmd
	gone       chan struct{} // closed when keepalived has ended
}

const keepalivedFiles = "../docs/examples/keepalived"

// writeKeepalived writes the files for keepalived of this machine. Each pair of edits is a text of keepalived.conf and
// what stands there instead.
func (m *machine) writeKeepalived(edits ...string) {
	m.t.Helper()
	err := os.MkdirAll(m.file("etc"), 0o755)
	for _, name := range []string{"turnout-notify", "turnout-check"} {
		text, read := os.ReadFile(filepath.Join(keepalivedFiles, name))
		err = errors.Join(err, read, os.WriteFile(m.file("etc/"+name), text, 0o755))
	}
	config, read := os.ReadFile(filepath.Join(keepalivedFiles, "keepalived.conf"))
	for i := 0; i < len(edits); i += 2 {
		if !bytes.Contains(config, []byte(edits[i])) {
			m.t.Fatalf("keepalived.conf has no %q", edits[i])
		}
		config = bytes.Replace(config, []byte(edits[i]), []byte(edits[i+1]), 1)
	}
	if err := errors.Join(err, read, os.WriteFile(m.file("etc/keepalived.conf"), config, 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

// startKeepalived starts keepalived. Mounts of its own put its files, and turnout's socket, where users have them.
func (m *machine) startKeepalived() {
	m.t.Helper()
	log, err := os.OpenFile(m.file("keepalived.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	const mounts = `mount --bind "$1/etc" /etc/keepalived; mount --bind "$1" /run; `
	cmd := exec.Command("sh", "-ec", mounts+"exec keepalived --dont-fork --log-console --log-detail", "sh", m.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(executable)+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := m.host.start(cmd); err != nil {
		m.t.Fatal(err)
	}
	gone := make(chan struct{})
	m.keepalived, m.gone = cmd, gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	m.t.Cleanup(func() { m.stopKeepalived() })
}

// stopKeepalived stops it cleanly, if it still runs.
func (m *machine) stopKeepalived() {
	_ = m.keepalived.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.gone:
	case <-time.After(10 * time.Second):
		m.t.Errorf("keepalived of %s does not end within 10 s of SIGTERM", m.host.name)
		_ = m.keepalived.Process.Kill()
		<-m.gone
	}
}

// powerOff is the end of a machine: its cable says nothing more, and every process on it is gone.
func (m *machine) powerOff() {
	m.t.Helper()
	if err := m.segment.lan.ip("link set " + m.port + " down"); err != nil {
		m.t.Fatal(err)
	}
	m.host.kill(func(int) bool { return true })
	<-m.gone
	<-m.ended
}

// killKeepalived ends keepalived's processes without their last words. The main one is stopped first: its death would have
// the others end cleanly, and theirs would have it start new ones.
func (m *machine) killKeepalived() {
	m.t.Helper()
	_ = m.keepalived.Process.Signal(syscall.SIGSTOP)
	m.host.kill(func(pid int) bool { return pid != m.cmd.Process.Pid && pid != m.keepalived.Process.Pid })
	_ = m.keepalived.Process.Kill()
	<-m.gone
	text, err := os.ReadFile(m.file("vrrp.pid"))
	if err != nil {
		m.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, 5*time.Second, "keepalived's dead child is reaped", func() bool { return syscall.Kill(pid, 0) != nil })
}

// kill kills those of the host's processes that which chooses, until none is left.
func (h *host) kill(which func(pid int) bool) {
	for {
		pids := slices.DeleteFunc(h.processes(), func(pid int) bool { return !which(pid) })
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond)
	}
}

// processes are those in the host's namespace that have not ended.
func (h *host) processes() (pids []int) {
	own, theirs := syscall.Stat_t{}, syscall.Stat_t{}
	if syscall.Stat(h.path(), &own) != nil {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, link := range links {
		if syscall.Stat(link, &theirs) == nil && theirs.Ino == own.Ino {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
			pids = append(pids, pid)
		}
	}
	return pids
}

// startTurnout starts turnout, as its service manager would.
func (m *machine) startTurnout() {
	m.t.Helper()
	m.run()
	m.plug()
}

// waitRole waits until keepalived and turnout agree on a role, and turnout is ready and knows its real servers.
func (m *machine) waitRole(role api.Role) {
	m.t.Helper()
	state := map[api.Role]string{api.RoleActive: "MASTER", api.RoleStandby: "BACKUP"}[role]
	eventually(m.t, 10*time.Second, m.host.name+" is "+string(role)+" and ready", func() bool {
		var s api.Status
		return m.state() == state && m.get("/v1/status", &s) == nil && s.Ready && s.Role == role
	})
	for service, servers := range map[string]int{"echo": 2, "web": 3} {
		m.waitServers(service, "up", servers)
	}
}

// state is that of keepalived's instance since its last start, as its log has it.
func (m *machine) state() (state string) {
	log := m.keepalivedLog()
	log = log[max(0, strings.LastIndex(log, "Starting Keepalived")):]
	for _, entered := range strings.Split(log, "Entering ")[1:] {
		state, _, _ = strings.Cut(entered, " ")
	}
	return state
}

func (m *machine) keepalivedLog() string {
	text, _ := os.ReadFile(m.file("keepalived.log"))
	return string(text)
}

// logOnFailure shows what keepalived said.
func (m *machine) logOnFailure(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("keepalived on %s:\n%s", m.host.name, m.keepalivedLog())
		}
	})
}
