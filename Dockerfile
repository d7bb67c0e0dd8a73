# syntax=docker/dockerfile:1
# All of Cupline's programs in one image; which of them runs is the command's choice:
#   docker build -t cupline .
#   docker run --rm cupline cupline --help
FROM golang:1.26-bookworm AS build
WORKDIR /src
# Each module stands alone: a workspace would forgive an undeclared import.
ENV CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false
COPY . .
RUN go -C api build -trimpath -ldflags=-s -o /out/api ./cmd/api
RUN go -C dispatcher build -trimpath -ldflags=-s -o /out/dispatcher ./cmd/dispatcher
RUN go -C pusher build -trimpath -ldflags=-s -o /out/pusher ./cmd/pusher
RUN go -C agent build -trimpath -ldflags=-s -o /out/cupline-agent ./cmd/cupline-agent
RUN go -C cli build -trimpath -ldflags=-s -o /out/cupline ./cmd/cupline
# The agent's state; a volume made from it belongs to the user that writes it.
RUN mkdir -p /var/lib/cupline

# Certificates, time zones and a user without a name for anything else: no shell, no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/api /usr/bin/api
COPY --from=build /out/dispatcher /usr/bin/dispatcher
COPY --from=build /out/pusher /usr/bin/pusher
COPY --from=build /out/cupline-agent /usr/bin/cupline-agent
COPY --from=build /out/cupline /usr/bin/cupline
COPY --from=build --chown=65532:65532 /var/lib/cupline /var/lib/cupline
# As a number, so that Kubernetes can see that it is not root.
USER 65532:65532
CMD ["/usr/bin/cupline", "--help"]
