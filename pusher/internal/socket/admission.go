package socket

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cupline/cupline/store/identity"
)

// tokenPrefix leads a token in the list of subprotocols, for browsers, which cannot set
// headers.
const tokenPrefix = "cupline.token."

// credentials finds the token: in the Authorization header, or among the subprotocols. In the URL, which
// ends up in logs, only a ticket is looked for, which is good once and for seconds. It is a copy: a part of a header
// would keep all headers in memory.
func credentials(r *http.Request, subprotocols []string) string {
	header := r.Header
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && token != "" {
		return strings.Clone(strings.TrimSpace(token))
	}
	for _, offered := range subprotocols {
		if token, found := strings.CutPrefix(offered, tokenPrefix); found {
			return strings.Clone(token)
		}
	}
	if ticket := r.URL.Query().Get("ticket"); identity.IsTicket(ticket) {
		return strings.Clone(ticket)
	}
	return ""
}

// allowed keeps foreign pages from connecting with what a browser gives them.
func (s *Server) allowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.cfg.Origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || slices.ContainsFunc(s.cfg.Origins, func(allowed string) bool {
		return strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin)
	})
}

// problem is RFC 9457's.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

var codes = map[int]string{
	http.StatusForbidden: "forbidden", http.StatusServiceUnavailable: "unavailable",
}

// refuse answers a request that is not upgraded.
func refuse(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	code := codes[status]
	if code == "" {
		code = "malformed"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem{ // whoever asked may be gone
		Type: "urn:cupline:problem:" + code, Title: "No connection", Status: status, Code: code, Detail: reason.Error(),
	})
}
