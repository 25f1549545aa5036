# A container with sshd under tcpserver and its log under multilog, both under apus. Nothing else runs.
#
#   docker build -t apus-sshd .
#   docker run -d --name box -p 2222:22 apus-sshd
#   docker exec box svstat /service/sshd /service/sshd/log
#
# docs/sshd-in-a-container.md shows what to do with it.
ARG BUILDER=docker.io/library/swift:6.3-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BUILDER} AS builder
WORKDIR /apus
COPY Scripts/install-packages Scripts/
RUN apt-get update -q && apt-get install -y -q --no-install-recommends make && \
    Scripts/install-packages build
COPY Package.swift Makefile ./
COPY Scripts Scripts
COPY Sources Sources
COPY Tests Tests
RUN make build
COPY LICENSE NOTICE ./
COPY LICENSES LICENSES
COPY man man
COPY rootfs-skel rootfs-skel
RUN Scripts/make-root /root-directory

# The binary with its links and its manual alone, for `COPY --from` into any image.
FROM scratch AS apus
COPY --from=builder /root-directory/usr/bin /usr/bin
COPY --from=builder /root-directory/usr/share /usr/share
ENTRYPOINT ["/usr/bin/apus", "init", "--"]

FROM ${BASE} AS sshd
# The run file makes host keys, so that each container has its own. pam_loginuid must be optional, because
# there is no login service that could set one; sessions may not write a message of the day into /run.
# The log belongs to a user who owns nothing else.
RUN apt-get update -q && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends make openssh-server && \
    rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* && \
    useradd --system --no-create-home --shell /usr/sbin/nologin log && \
    sed -i -e '/pam_loginuid/s/required/optional/' -e '/motd.dynamic/d' /etc/pam.d/sshd
COPY --from=builder /root-directory /
EXPOSE 22
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
    CMD test "$(svstat /service/sshd /service/sshd/log | grep -c ': up ')" = 2
ENTRYPOINT ["/usr/bin/apus", "init", "--"]
