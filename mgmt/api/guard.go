package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard decides who may do what, by where a request comes in.
//
// The unix socket is guarded by its file permissions: who can open it may do all. Over TCP a browser on the same
// machine can be made to send requests by any page (DNS rebinding, cross-site requests), so Host and Origin must name
// this listener; and writes, and reads that show packet contents, need a bearer token or a verified client certificate.
// Other reads are open on loopback; beyond it, without credentials, only the open paths are.
type guard struct {
	next     http.Handler
	token    []byte            // SHA-256 of the bearer token; nil where there is none
	mutual   bool              // client certificates are asked for
	hosts    []string          // host names that listen addresses spell out
	identity *x509.Certificate // the server's own certificate, whose names are names of this listener; may be nil
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if status, why := g.refuse(r); status != 0 {
		g.challenge(w, status)
		writeProblem(w, status, why)
		return
	}
	g.next.ServeHTTP(w, r)
}

// refuse returns 0 for a request that may pass. The first refusal wins.
func (g *guard) refuse(r *http.Request) (status int, why string) {
	switch {
	case throughUnixSocket(r):
		return 0, ""
	case !g.hostNamesUs(r):
		return http.StatusForbidden, "Host " + r.Host + " is not a name of this listener: use its address"
	case !originIsUs(r):
		return http.StatusForbidden, "Origin " + r.Header.Get("Origin") + " is another site: requests of other sites' pages are refused"
	case g.wrongToken(r):
		return http.StatusUnauthorized, "the bearer token is not the one in mgmt.token_file"
	case g.hasToken(r) || hasCertificate(r) || readsOpenly(r):
		return 0, ""
	case g.token != nil || g.mutual:
		return http.StatusUnauthorized, "over TCP this call needs the bearer token or a client certificate"
	}
	what := "changes are taken"
	if showsPackets(r.URL.Path) {
		what = "packet contents are shown"
	}
	return http.StatusForbidden, what + " on the unix socket only: to allow it here, set mgmt.token_file or mgmt.tls.client_ca"
}

// challenge adds the header that RFC 9110 section 15.5.2 wants beside a 401.
func (g *guard) challenge(w http.ResponseWriter, status int) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="turnout"`)
	}
}

func throughUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// openPaths are what monitoring needs; they show no addresses of clients.
var openPaths = []string{"/metrics", "/healthz", "/readyz", "/openapi.json"}

func readsOpenly(r *http.Request) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return reads && !showsPackets(r.URL.Path) && (localAddress(r).IsLoopback() || slices.Contains(openPaths, r.URL.Path))
}

func hasCertificate(r *http.Request) bool {
	return r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

// hasToken compares digests, so that neither the token's bytes nor its length show in the time taken.
func (g *guard) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if g.token == nil || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], g.token) == 1
}

// wrongToken tells a client with an outdated token so, where it would be left to wonder what it may do without.
func (g *guard) wrongToken(r *http.Request) bool {
	return g.token != nil && r.Header.Get("Authorization") != "" && !g.hasToken(r)
}

// hostNamesUs stops DNS rebinding: a page's own host name, made to resolve to our address, is not one of ours.
func (g *guard) hostNamesUs(r *http.Request) bool {
	host := hostname(r.Host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.Unmap() == localAddress(r)
	}
	return host == "localhost" || slices.Contains(g.hosts, host) || g.identity != nil && g.identity.VerifyHostname(host) == nil
}

// hostname is the lower-case host of "host", "host:port", "[v6]" or "[v6]:port".
func hostname(hostport string) string {
	return strings.ToLower((&url.URL{Host: hostport}).Hostname())
}

// localAddress is the address that the client connected to: what a listener on all addresses is called by.
func localAddress(r *http.Request) netip.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func originIsUs(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}
