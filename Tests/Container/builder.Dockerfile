# What the official Swift image offers, made of this machine's own toolchain, which is bound in while
# the project's Dockerfile is built.
ARG BASE
FROM ${BASE}
ARG TOOLCHAIN
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    binutils git gcc libc6-dev libcurl4 libedit2 libncurses6 libpython3.11 libsqlite3-0 \
    libstdc++-12-dev libxml2 pkg-config tzdata zlib1g-dev && rm -rf /var/lib/apt/lists/*
ENV PATH=${TOOLCHAIN}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
