# The appliance in a container: docs/docker.md says how to run it.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY scripts/deps.sh scripts/
RUN scripts/deps.sh build
COPY go.mod go.sum ./
COPY third_party third_party
RUN go mod download
COPY . .
ARG VERSION=devel
RUN go build -trimpath -ldflags "-X main.version=$VERSION" -o /turnout ./appliance

FROM debian:bookworm-slim
# DPDK's core, its buses and mempool, the virtual devices, and the drivers of common NICs.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        librte-eal23 librte-ethdev23 librte-mbuf23 librte-mempool23 librte-mempool-ring23 \
        librte-bus-pci23 librte-bus-vdev23 librte-bus-vmbus23 \
        librte-net-tap23 librte-net-af-packet23 librte-net-af-xdp23 librte-net-memif23 librte-net-pcap23 \
        librte-net-bnxt23 librte-net-e1000-23 librte-net-ena23 librte-net-i40e23 librte-net-iavf23 librte-net-ice23 \
        librte-net-ixgbe23 librte-net-mlx5-23 librte-net-netvsc23 librte-net-virtio23 librte-net-vmxnet3-23 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system turnout
COPY --from=build /turnout /usr/sbin/turnout
VOLUME /etc/turnout /var/lib/turnout
ENTRYPOINT ["/usr/sbin/turnout", "run", "-c", "/etc/turnout/turnout.yaml"]
