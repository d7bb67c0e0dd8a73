package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// templates are the databases that tests of this process copy. A process-wide variable,
// against the rule: a template takes seconds to fill, and tests share nothing else.
var templates templateSet

const templatePrefix = "template_of_"

type templateSet struct {
	mu   sync.Mutex // guards made, and lets one test make what the others wait for
	made map[uintptr]string
}

// get returns the name of the template that migrate fills, told apart by its code, and
// makes it first if need be.
func (s *templateSet) get(t testing.TB, server *url.URL, migrate Migrate) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	which := reflect.ValueOf(migrate).Pointer()
	if name, ok := s.made[which]; ok {
		return name
	}
	name := fmt.Sprintf("%s%d_%d", templatePrefix, os.Getpid(), len(s.made))
	s.sweep(t, server)
	run(t, server, "create database "+quote(name)+" template template0")
	at := *server
	at.Path = "/" + name
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := migrate(ctx, at.String()); err != nil {
		t.Fatalf("fill a template database: %v", err)
	}
	// Postgres copies no database that somebody is connected to, were it only a pool that
	// has not finished closing.
	run(t, server, "alter database "+quote(name)+" allow_connections false")
	run(t, server, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+name+"'")
	if s.made == nil {
		s.made = make(map[uintptr]string)
	}
	s.made[which] = name
	return name
}

// sweep drops the templates of processes that are gone: nothing runs at the end of a test
// process that could drop its own.
func (s *templateSet) sweep(t testing.TB, server *url.URL) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection := connect(ctx, t, server)
	defer func() { _ = connection.Close(ctx) }()
	rows, err := connection.Query(ctx, "select datname from pg_database where datname like $1", templatePrefix+"%")
	if err != nil {
		t.Fatalf("look for old templates: %v", err)
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatalf("look for old templates: %v", err)
		}
		names = append(names, name)
	}
	for _, name := range names {
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, templatePrefix), "_")
		if s.ours(name) || alive(pid) {
			continue
		}
		// Another process may be sweeping too: then it is gone, or about to be.
		_, _ = connection.Exec(ctx, "drop database if exists "+quote(name)+" with (force)")
	}
}

func (s *templateSet) ours(name string) bool {
	for _, made := range s.made {
		if made == name {
			return true
		}
	}
	return false
}

// alive errs on the side of a process that is not ours to judge.
func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return true
	}
	if n == os.Getpid() {
		return false // an earlier process of the same number: ours are known
	}
	return !errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}
