package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/kubernetes"
	cupline "github.com/cupline/cupline/clients/go"
)

// createInSecret is `keys create --database --kubernetes-secret`, in a pod.
func createInSecret(ctx context.Context, c *console.Console, o options, name string, n cupline.NewKey) error {
	if !o.database {
		return exit.Usagef("--kubernetes-secret goes with --database")
	}
	secrets, err := kubernetes.InCluster(c.Getenv, kubernetes.Mounted)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	return makeInSecret(ctx, c, secrets, name, o.tenant, n)
}

// makeInSecret makes a key and keeps its token in a Secret, unless that is there already. A Secret that is there beside a
// database without any good key is of a database that is gone, as after a reinstallation: its token is replaced. The key is
// made first, because a Secret with a token that is good for nothing would stay. Where the Secret
// cannot be made the key is revoked; a process that dies in between leaves a key whose token nobody
// knows.
func makeInSecret(ctx context.Context, c *console.Console, secrets *kubernetes.Secrets, name, tenant string, n cupline.NewKey) error {
	there, err := secrets.Exists(ctx, name)
	if err != nil {
		return err
	}
	keep := secrets.Create
	if there {
		known, err := anyInDatabase(ctx, c)
		if err != nil {
			return err
		}
		if known {
			c.Note("the Secret %s is there already; no key is made", name)
			return nil
		}
		c.Note("the Secret %s is there already, and the database has no key: it is of another database, and gets a new token", name)
		keep = secrets.Replace
	}
	made, err := makeInDatabase(ctx, c, tenant, n)
	if err != nil {
		return err
	}
	err = keep(ctx, name, map[string]string{"token": made.Token, "tenant": tenant, "client": made.Client, "id": made.ID})
	if err == nil {
		c.Note("made key %s for client %s; its token is in the Secret %s", made.ID, made.Client, name)
		return nil
	}
	revoked := revokeInDatabase(context.WithoutCancel(ctx), c, tenant, made.ID)
	if errors.Is(err, kubernetes.ErrExists) && revoked == nil {
		c.Note("the Secret %s was made meanwhile; key %s is revoked", name, made.ID)
		return nil
	}
	return errors.Join(fmt.Errorf("keep the key's token: %w", err), revoked)
}
