# Hermes: s6 as PID 1, a virtual environment of its own, everything below /opt/hermes root's and read-only.
# BuildKit of engine 20.10 and later; scripts/build-image drives it. Stages: base -> deps -> app (the project),
# fetch (s6-overlay's tarballs), s6-overlay | s6-debian (what PID 1 comes from), and the image itself.
ARG BASE=debian:trixie-slim
ARG S6_FLAVOUR=overlay

FROM ${BASE} AS base
ENV PATH=/command:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/execline/bin:/run/hermes/bin \
    LANG=C.UTF-8
# openssh-client: for processes on other hosts. The standard library without tests, documentation and
# development files. Byte code compiled at installation stays: the first start of every command would pay for it
# otherwise.
# hadolint ignore=DL3008
RUN printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian > /etc/dpkg/dpkg.cfg.d/hermes \
    && printf 'path-include=/usr/share/doc/*/copyright\n' >> /etc/dpkg/dpkg.cfg.d/hermes \
    && apt-get update \
    && apt-get install -y --no-install-recommends python3-minimal libpython3-stdlib ca-certificates openssh-client \
    && chmod u-s,g-s /usr/lib/openssh/ssh-keysign /usr/bin/ssh-agent \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log


FROM base AS deps
# hadolint ignore=DL3008,DL3009
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip python3-venv
# An index that stops answering ends the build instead of hanging it.
ENV PIP_DEFAULT_TIMEOUT=30 PIP_RETRIES=3 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_PROGRESS_BAR=off PIP_NO_INPUT=1
ARG PIP_INDEX_URL
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# ca_bundle: the authorities to trust behind a proxy that re-signs TLS; absent elsewhere, and never kept.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && python3 -m venv --without-pip /opt/hermes/venv \
    && python3 -m pip --python /opt/hermes/venv/bin/python install --no-compile --require-hashes -r requirements.lock \
    && python3 -m venv --without-pip /build \
    && python3 -m pip --python /build/bin/python install --require-hashes -r requirements-build.lock \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/hermes/venv/lib \
    && chmod -R u=rwX,go=rX /opt/hermes


FROM deps AS app
COPY pyproject.toml LICENSE README.md ./
COPY hermes_cli hermes_cli
# The wheel lands below /out, apart from its dependencies: a change of code moves one small layer.
RUN python3 -m pip --python /build/bin/python wheel -q --no-build-isolation --no-deps -w /wheel . \
    && python3 -m pip --python /opt/hermes/venv/bin/python install -q --no-index --no-deps --no-compile --no-warn-script-location \
        --root /out /wheel/*.whl \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /out -p / /out
COPY docker /out/opt/hermes/docker
COPY s6-rc.d /out/etc/s6-overlay/s6-rc.d
COPY cont-init.d /out/etc/cont-init.d
ARG S6_FLAVOUR
# share/commands: the words main-wrapper.sh takes for hermes subcommands, asked of the program itself.
RUN cp -a /out/opt/hermes/venv/. /opt/hermes/venv/ \
    && mkdir -p /out/opt/hermes/share /out/usr/local/bin \
    && /opt/hermes/venv/bin/hermes --commands > /out/opt/hermes/share/commands \
    && test -s /out/opt/hermes/share/commands \
    && echo "${S6_FLAVOUR}" > /out/opt/hermes/share/flavour \
    && ln -s /opt/hermes/docker/hermes /out/usr/local/bin/hermes \
    && if [ "${S6_FLAVOUR}" = debian ]; then ln -s /opt/hermes/docker/init-debian/init /out/init; fi \
    && chmod -R u=rwX,go=rX /out


FROM base AS fetch
# hadolint ignore=DL3008,DL3009
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl xz-utils
ARG TARGETARCH
ARG S6_OVERLAY_VERSION=3.2.3.0
ARG S6_OVERLAY_URL=https://github.com/just-containers/s6-overlay/releases/download
ARG S6_OVERLAY_SHA256_NOARCH=b720f9d9340efc8bb07528b9743813c836e4b02f8693d90241f047998b4c53cf
ARG S6_OVERLAY_SHA256_X86_64=a93f02882c6ed46b21e7adb5c0add86154f01236c93cd82c7d682722e8840563
ARG S6_OVERLAY_SHA256_AARCH64=0952056ff913482163cc30e35b2e944b507ba1025d78f5becbb89367bf344581
ARG S6_OVERLAY_SHA256_SYMLINKS=a60dc5235de3ecbcf874b9c1f18d73263ab99b289b9329aa950e8729c4789f0e
WORKDIR /fetch
RUN --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export CURL_CA_BUNDLE=/run/secrets/ca_bundle; fi \
    && case "${TARGETARCH}" in \
        amd64) arch=x86_64 sum="${S6_OVERLAY_SHA256_X86_64}" ;; \
        arm64) arch=aarch64 sum="${S6_OVERLAY_SHA256_AARCH64}" ;; \
        *) echo "s6-overlay: no checksum is pinned for '${TARGETARCH}'" >&2; exit 1 ;; \
    esac \
    && printf '%s  s6-overlay-%s.tar.xz\n' \
        "${S6_OVERLAY_SHA256_NOARCH}" noarch "${sum}" "${arch}" \
        "${S6_OVERLAY_SHA256_SYMLINKS}" symlinks-noarch > sums \
    && mkdir /rootfs \
    && for part in noarch "${arch}" symlinks-noarch; do \
        curl -fsSL --retry 3 --connect-timeout 10 --max-time 120 -O \
            "${S6_OVERLAY_URL}/v${S6_OVERLAY_VERSION}/s6-overlay-${part}.tar.xz" || exit 1; \
    done \
    && sha256sum -c sums \
    && for part in noarch "${arch}" symlinks-noarch; do tar -C /rootfs -Jxpf "s6-overlay-${part}.tar.xz" || exit 1; done


FROM base AS s6-overlay
COPY --from=fetch /rootfs/ /

FROM base AS s6-debian
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends s6 execline \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log


# hadolint ignore=DL3006
FROM s6-${S6_FLAVOUR}
# /run is made anew at every start by root; for `docker run --user 10000` it is ready as it stands.
RUN groupadd -g 10000 hermes \
    && useradd -u 10000 -g hermes -d /opt/data -M -s /bin/sh hermes \
    && install -d -o hermes -g hermes /opt/data /run/s6 /run/service /run/hermes /run/hermes-registrar \
        /run/s6-linux-init-container-results \
    && rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
# S6_KEEP_ENV: everything supervised sees the container's environment, on either flavour.
# S6_KILL_GRACETIME=0: shutdown has asked and waited for everything (stop-command, stop-gateways, stop-processes) by
# then, and needs no fixed sleep. S6_CMD_RECEIVE_SIGNALS stays off: it would put the command in the background, deaf and
# without its standard input.
ENV HERMES_HOME=/opt/data \
    HERMES_GATEWAY_HOST=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1 \
    S6_KEEP_ENV=1 \
    S6_VERBOSITY=1 \
    S6_BEHAVIOUR_IF_STAGE2_FAILS=2 \
    S6_CMD_WAIT_FOR_SERVICES_MAXTIME=0 \
    S6_KILL_GRACETIME=0
WORKDIR /opt/data
COPY --from=deps /opt/hermes/ /opt/hermes/
COPY --from=app /out/ /
ARG S6_FLAVOUR
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Hermes" \
      org.opencontainers.image.description="Agent gateways that stay up: one supervised gateway per profile" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      ai.hermes.s6-flavour="${S6_FLAVOUR}"
VOLUME /opt/data
EXPOSE 8642 9119
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["hermes", "status", "--healthy"]
ENTRYPOINT ["/opt/hermes/docker/entrypoint"]
CMD []
