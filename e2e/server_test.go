package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// server is a real server: the VIPs on lo, ARP suppressed, nginx on port 80.
type server struct {
	*host
	address netip.Addr
	mac     string
	nginx   *exec.Cmd
	bind    string // where nginx listens: every address, or one with a colon behind it
}

func (s *segment) plugServer(number int, vips []netip.Addr) (*server, error) {
	rs := &server{
		address: netip.AddrFrom4([4]byte{192, 168, 57, byte(120 + number)}),
		mac:     fmt.Sprintf("02:00:00:00:01:2%d", number),
	}
	var err error
	if rs.host, err = s.plug(fmt.Sprintf("rs%d", number), rs.mac, rs.address.String()+"/24"); err != nil {
		return nil, err
	}
	args := []string{"--apply", "--dev", "eth0", "--state", filepath.Join(scratch, rs.name+".realserver")}
	for _, vip := range vips {
		args = append(args, "--vip", vip.String())
	}
	if _, err := rs.run("../scripts/realserver.sh", args...); err != nil {
		return nil, err
	}
	return rs, rs.startNginx()
}

func (rs *server) file(kind string) string { return filepath.Join(scratch, rs.name+"."+kind) }

// startNginx serves the server's name, and /big.
func (rs *server) startNginx() error {
	file := rs.file
	config := fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[2]s;
error_log %[3]s;
events { worker_connections 1024; }
http {
  access_log off;
  default_type text/plain;
  sendfile on;
  server {
    listen %[1]s80 backlog=4096;
    listen %[1]s81; listen %[1]s82; listen %[1]s83;
    location = /big { alias %[4]s; }
    location / {
      if (-f %[5]s) { return 500; }
      return 200 "%[6]s";
    }
  }
}
`, rs.bind, file("pid"), file("error.log"), bigFile(), file("broken"), rs.name)
	if err := os.WriteFile(file("conf"), []byte(config), 0o644); err != nil {
		return err
	}
	rs.nginx = exec.Command("nginx", "-e", file("error.log"), "-c", file("conf"))
	rs.nginx.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers get the signals as well
	if err := rs.start(rs.nginx); err != nil {
		return err
	}
	return rs.waitNginx()
}

func (rs *server) waitNginx() error {
	for range 200 {
		if conn, err := rs.dial("tcp", rs.address.String()+":80"); err == nil {
			return conn.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	return fmt.Errorf("nginx of %s does not listen", rs.name)
}

// stopNginx ends nginx by kill -9: no connection is served to its end.
func (rs *server) stopNginx() {
	if rs.nginx == nil {
		return
	}
	_ = rs.signalNginx(syscall.SIGKILL)
	_ = rs.nginx.Wait()
	rs.nginx = nil
	for range 200 { // a worker may outlive its master for a moment
		conn, err := rs.dial("tcp", rs.address.String()+":80")
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(5 * time.Millisecond)
	}
}

// signalNginx sends a signal to nginx and its workers.
func (rs *server) signalNginx(signal syscall.Signal) error {
	return syscall.Kill(-rs.nginx.Process.Pid, signal)
}

// breakPages has nginx answer 500 to all but /big, or ends that.
func (rs *server) breakPages(broken bool) error {
	if !broken {
		return os.Remove(rs.file("broken"))
	}
	return os.WriteFile(rs.file("broken"), nil, 0o644)
}

// setMAC gives the server another MAC, of which it tells by GARP, as one does whose NIC was exchanged.
func (rs *server) setMAC(mac string) error {
	if err := rs.sysctl("net/ipv4/conf/eth0/arp_notify=1"); err != nil {
		return err
	}
	return rs.ip("link set eth0 address " + mac)
}
