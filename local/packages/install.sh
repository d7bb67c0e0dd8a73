# Installs the packages named as arguments with apt-get, as root, and lets none of them start a service or make a
# database cluster. UNITS (space-separated) are units that a package installed here shall not start at the next boot.
# What it changes outside the package database is put back however it ends, and after a SIGKILL by its next run.
# ROOT goes before the paths, for tests; it is empty otherwise.
set -eu

policy=$ROOT/usr/sbin/policy-rc.d
saved=$policy.cupline-saved
clusters=$ROOT/etc/postgresql-common/createcluster.d
cluster=$clusters/zz-cupline.conf
mark='put here by cupline for as long as it installs packages'

# One at a time: a second run must not take the first one's policy for a leftover.
mkdir -p "$ROOT/run/lock"
exec 9>"$ROOT/run/lock/cupline-packages.lock"
if ! flock -w 900 9; then
	echo 'another installation by cupline has not ended within 15 minutes' >&2
	exit 1
fi

emptied=
restore() {
	if [ -e "$saved" ] || [ -L "$saved" ]; then
		mv -f "$saved" "$policy"
	elif grep -qs "$mark" "$policy"; then
		rm -f "$policy"
	fi
	rm -f "$policy.cupline-new"
	if grep -qs "$mark" "$cluster"; then
		emptied=yes
		rm -f "$cluster"
	fi
	if [ -n "$emptied" ]; then
		if ! dpkg -S "$clusters" >/dev/null 2>&1; then
			rmdir "$clusters" 2>/dev/null || true
		fi
		rmdir "$ROOT/etc/postgresql-common" 2>/dev/null || true
	fi
}

hold_services() {
	printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy.cupline-new"
	chmod 0755 "$policy.cupline-new"
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv -f "$policy" "$saved"
	fi
	mv -f "$policy.cupline-new" "$policy"
}

hold_clusters() {
	mkdir -p "$clusters"
	printf '# %s\ncreate_main_cluster = false\n' "$mark" >"$cluster"
}

unit_exists() {
	[ -e "$ROOT/usr/lib/systemd/system/$1" ] || [ -e "$ROOT/lib/systemd/system/$1" ]
}

# Without systemd the helper notes it for the day when it comes.
disable() {
	if command -v systemctl >/dev/null; then
		systemctl --quiet disable "$1" 9>&-
	else
		deb-systemd-helper disable "$1" >/dev/null 9>&-
	fi
}

known() {
	candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
	[ -n "$candidate" ] && [ "$candidate" != '(none)' ]
}

# apt-get waits for the package database by itself, but not for its lists: other programs update them after a boot.
update_lists() {
	tries=0
	until apt-get -q update 9>&-; do
		tries=$((tries + 1))
		[ "$tries" -lt 10 ] || return 1
		echo 'apt-get update did not succeed; another program may be using the lists; again in 6 s' >&2
		sleep 6
	done
}

install_packages() {
	apt-get -q -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@" 9>&- </dev/null
}

export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none LC_ALL=C.UTF-8
export NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l UCF_FORCE_CONFFOLD=1

# A signal may come while the EXIT trap restores, and an exit there would leave the rest undone: so a signal restores by
# itself, deaf to further ones. Restoring twice does no harm.
stop() {
	trap '' INT TERM HUP
	restore
	trap - EXIT
	exit "$1"
}

restore
trap restore EXIT
trap 'stop 130' INT
trap 'stop 143' TERM HUP

new_units=
for unit in $UNITS; do
	unit_exists "$unit" || new_units="$new_units $unit"
done

updated=
for package in "$@"; do
	if [ -z "$updated" ] && ! known "$package"; then
		update_lists
		updated=yes
	fi
done

hold_services
hold_clusters
if ! install_packages "$@"; then
	[ -z "$updated" ] || exit 1
	echo 'the package lists may be out of date; updating them and trying once more' >&2
	update_lists
	install_packages "$@"
fi

for unit in $new_units; do
	if unit_exists "$unit" && ! disable "$unit"; then
		echo "could not disable $unit; it will start at the next boot" >&2
	fi
done
