package migrations

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Role is one of the roles that the migrations make: what a service may do in the database. Nobody logs in as
// one: users are made members of them.
type Role string

// The roles. A dispatcher that works and records is a member of two.
const (
	API        Role = "cupline_api"
	Dispatcher Role = "cupline_dispatcher"
	Recorder   Role = "cupline_recorder"
	Pusher     Role = "cupline_pusher"
	Janitor    Role = "cupline_janitor"
)

// Login is a user that a service logs in with.
type Login struct {
	// Name and Password; the password must be of printable ASCII.
	Name, Password string
	Roles          []Role
}

// ErrLogin says that a user cannot be made as asked for.
var ErrLogin = errors.New("not a user for a service")

// LoginOf reads name and password out of the URL that a service will get.
func LoginOf(databaseURL string, roles ...Role) (Login, error) {
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		return Login{}, fmt.Errorf("%w: the database URL is not valid", ErrLogin) // the parser's words may show a password
	}
	password, _ := parsed.User.Password()
	return Login{Name: parsed.User.Username(), Password: password, Roles: roles}, nil
}

// Admit makes users, or gives those that are there these passwords and roles. The passwords
// themselves never reach the server, or its log. It needs the migrations to be up, and the right to create roles. The user
// that databaseURL names is refused (ErrLogin): the owner of the tables is no service.
func Admit(ctx context.Context, databaseURL string, logins ...Login) (err error) {
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, login := range logins {
		if login.Name == conn.Config().User {
			return fmt.Errorf("%w: %s owns the tables", ErrLogin, login.Name)
		}
		if err := login.admit(ctx, conn); err != nil {
			return fmt.Errorf("make the user %s: %w", login.Name, err)
		}
	}
	return nil
}

func (l Login) admit(ctx context.Context, conn *pgx.Conn) error {
	if l.Name == "" || strings.HasPrefix(l.Name, "pg_") {
		return fmt.Errorf("%w: it needs a name", ErrLogin)
	}
	verifier, err := scramVerifier(l.Password)
	if err != nil {
		return err
	}
	name := pgx.Identifier{l.Name}.Sanitize()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", l.Name).Scan(&there); err != nil {
			return err
		}
		verb := "create"
		if there {
			verb = "alter"
		}
		// The verifier has no quotation mark.
		if _, err := tx.Exec(ctx, verb+" role "+name+" login password '"+verifier+"'"); err != nil {
			return err
		}
		for _, role := range l.Roles {
			if _, err := tx.Exec(ctx, "grant "+pgx.Identifier{string(role)}.Sanitize()+" to "+name); err != nil {
				return fmt.Errorf("grant %s: %w", role, err)
			}
		}
		return nil
	})
}

// scramVerifier is what Postgres keeps of a password (RFC 5803; RFC 7677).
func scramVerifier(password string) (string, error) {
	const rounds = 4096
	if password == "" {
		return "", fmt.Errorf("%w: it needs a password", ErrLogin)
	}
	for _, c := range []byte(password) {
		if c < 0x20 || c > 0x7e { // others would have to be normalised first
			return "", fmt.Errorf("%w: the password must be of printable ASCII", ErrLogin)
		}
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a verifier: %w", err)
	}
	keyed := func(word string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(word))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(keyed("Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, text(salt), text(stored[:]), text(keyed("Server Key"))), nil
}

// Services are the URLs that the services of one installation log in with.
type Services struct{ API, Dispatcher, Pusher, Janitor string }

// AdmitServices makes a user for each program of an installation, with a new password each time, and returns their URLs:
// for one that runs on this machine and keeps no passwords. The dispatcher's has the recorder's role, too.
func AdmitServices(ctx context.Context, databaseURL string) (Services, error) {
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		return Services{}, errors.New("the database URL is not valid")
	}
	logins := []Login{
		{Name: "api", Roles: []Role{API}},
		{Name: "dispatcher", Roles: []Role{Dispatcher, Recorder}},
		{Name: "pusher", Roles: []Role{Pusher}},
		{Name: "janitor", Roles: []Role{Janitor}},
	}
	urls := make([]string, len(logins))
	for i := range logins {
		logins[i].Password = rand.Text()
		own := *parsed
		own.User = url.UserPassword(logins[i].Name, logins[i].Password)
		urls[i] = own.String()
	}
	if err := Admit(ctx, databaseURL, logins...); err != nil {
		return Services{}, err
	}
	return Services{API: urls[0], Dispatcher: urls[1], Pusher: urls[2], Janitor: urls[3]}, nil
}
