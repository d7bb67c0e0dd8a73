#!/bin/sh
# Makes the passwords of the services' own users, as Secrets in the current namespace: broker-users for RabbitMQ; for
# Postgres database-SERVICE for CloudNativePG and database-logins, with the URLs, for the chart. Run it once.
set -eu
password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

kubectl create secret generic broker-users \
  --from-literal=api="$(password)" --from-literal=dispatcher="$(password)" --from-literal=recorder="$(password)" \
  --from-literal=pusher="$(password)" --from-literal=monitor="$(password)"

set --
for service in api dispatcher recorder pusher janitor; do
  secret=$(password)
  kubectl create secret generic "database-$service" --type=kubernetes.io/basic-auth \
    --from-literal=username="$service" --from-literal=password="$secret"
  set -- "$@" --from-literal="$service=postgres://$service:$secret@database-rw:5432/cupline"
done
kubectl create secret generic database-logins "$@"
