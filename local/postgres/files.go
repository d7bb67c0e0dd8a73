package postgres

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/process"
)

// longestSocket is the most bytes that the path of a Unix socket may have on Linux.
const longestSocket = 107

// layout is where a server's files are within its work folder.
type layout struct {
	work, data, config, access string
}

func layoutOf(work string) layout {
	in := func(name string) string { return filepath.Join(work, name) }
	return layout{work: work, data: in("data"), config: in("postgresql.conf"), access: in("pg_hba.conf")}
}

// write lays out the server's files anew, owned by its account; its data is left as it is.
func (l layout) write(config Config, port int, account process.Account) error {
	lines := strings.Join(settings(config, port, l), "\n") + "\n"
	if err := place.Write(l.config, []byte(lines), account); err != nil {
		return err
	}
	const access = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
	return place.Write(l.access, []byte(access), account)
}

// settings are the lines of postgresql.conf, the same for every supported version.
func settings(config Config, port int, l layout) []string {
	lines := []string{
		"# Written at each start; edits are lost.",
		"listen_addresses = '127.0.0.1'",
		fmt.Sprintf("port = %d", port),
		"unix_socket_directories = " + quote(socketFolder(l.work, port)),
		"hba_file = " + quote(l.access),
		"password_encryption = 'scram-sha-256'",
		"ssl = off",
		"max_connections = 200",
		"shared_buffers = '64MB'",
		"huge_pages = off",
		"max_wal_size = '512MB'",
		"min_wal_size = '64MB'",
		"jit = off",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'",
		"log_line_prefix = '%m [%p] %q%u@%d '",
	}
	if config.NoSync {
		lines = append(lines, "fsync = off", "full_page_writes = off")
	}
	return append(lines, config.Settings...)
}

// socketFolder is where the server puts its Unix socket, or nowhere: in a folder with a long path it has none.
func socketFolder(work string, port int) string {
	if len(work)+len(fmt.Sprintf("/.s.PGSQL.%d.lock", port)) > longestSocket {
		return ""
	}
	return work
}

// quote makes a value of postgresql.conf.
func quote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}
