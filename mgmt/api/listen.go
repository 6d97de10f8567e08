package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// errLive means that somebody answers on a unix socket.
var errLive = errors.New("address in use: a process answers on this socket (another turnout? stop it, or set another path in mgmt.listen)")

func listen(address string, cfg Config, c credentials) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(path, cfg.SocketGroup, cfg.Log)
	}
	return listenTCP(address, c)
}

func listenTCP(address string, c credentials) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w (want unix:/path or host:port)", err)
	}
	if !isLoopback(host) && c.token == nil && !c.mutual() {
		return nil, errors.New("an address beyond loopback needs mgmt.token_file or mgmt.tls.client_ca: " +
			"else whoever reaches it could read the state; set one, or listen on 127.0.0.1")
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errors.New("address in use: another process listens there (see `ss -ltnp`); stop it, or choose another port")
	}
	if err != nil || c.tls == nil {
		return l, err
	}
	return tls.NewListener(l, c.tls), nil
}

// isLoopback says whether only this machine can reach host. An empty host is all addresses.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// listenUnix opens a socket that root and the group may use. Between its making and the change of its mode it is
// governed by the umask, which lets none but the owner write unless somebody cleared it.
func listenUnix(path, group string, log *zap.Logger) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the folder %s does not exist: make it, or set another path", filepath.Dir(path))
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(chgrp(path, group, log), os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes the socket of a process that died without removing it.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the path is taken by something that is not a socket: remove it, or set another path")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return errors.Join(errLive, conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether the socket is in use: %w", err)
	}
	return os.Remove(path)
}

// chgrp gives the socket to the group. A group that does not exist leaves it to root alone: less access than asked
// for, never more.
func chgrp(path, group string, log *zap.Logger) error {
	if group == "" {
		return nil
	}
	g, err := user.LookupGroup(group)
	if errors.As(err, new(user.UnknownGroupError)) {
		log.Warn("mgmt.socket_group does not exist, only root may use the socket: make it by groupadd --system",
			zap.String("group", group), zap.String("socket", path))
		return nil
	}
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %s: %w", group, err)
	}
	return os.Chown(path, -1, gid)
}
