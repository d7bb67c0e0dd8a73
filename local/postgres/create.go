package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/process"
)

// createLimit bounds making a database cluster: 1 to 2 s on an idle small machine.
const createLimit = time.Minute

// create makes the data folder with its superuser and database, in a folder aside first: what is cut short leaves none
// that looks whole.
func create(ctx context.Context, server packages.Postgres, l layout, password string, config Config,
	account process.Account) error {
	ctx, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	aside := l.data + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	secret := filepath.Join(l.work, "password")
	if err := place.Write(secret, []byte(password+"\n"), account); err != nil {
		return err
	}
	arguments := []string{"--pgdata=" + aside, "--username=" + Superuser, "--pwfile=" + secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"}
	if config.NoSync {
		arguments = append(arguments, "--no-sync")
	}
	err := run(ctx, l.work, account, "", filepath.Join(server.Bin, "initdb"), arguments...)
	err = errors.Join(err, os.Remove(secret))
	if err == nil {
		// Without a server, so that nobody ever meets one that lacks its database.
		err = run(ctx, l.work, account, "CREATE DATABASE "+Database+";\n", filepath.Join(server.Bin, "postgres"),
			"--single", "-D", aside, "postgres")
	}
	if err == nil {
		err = os.Rename(aside, l.data)
	}
	if err != nil {
		return fmt.Errorf("make a database cluster: %w", err)
	}
	return nil
}

// run runs a program as the account and waits for it; the error holds what it printed.
func run(ctx context.Context, folder string, account process.Account, input, path string, arguments ...string) error {
	program := exec.CommandContext(ctx, path, arguments...)
	program.Dir = folder
	program.Env = environment(folder)
	program.Stdin = strings.NewReader(input)
	program.SysProcAttr = account.Attributes()
	program.WaitDelay = time.Second
	if answer, err := program.CombinedOutput(); err != nil {
		return fmt.Errorf("%s as the user %s: %w: %s", path, account.Name, errors.Join(err, ctx.Err()), answer)
	}
	return nil
}

// environment is what the server's programs run with; nothing of the caller's is inherited, PGDATA and the like least
// of all.
func environment(home string) []string {
	return []string{"HOME=" + home, "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", "TZ=UTC"}
}
