# After `npm ci` in the checkout:
#
#   docker build -t registry.example.net/tercet:0.1.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example.net/tercet:0.1.0 --push .
#
# The packages are those of the checkout, so that the build asks no registry but that of the two images below, and none at
# all where they are there already. What runs is JavaScript: no step runs on another processor than the builder's own.
ARG NODE_IMAGE=docker.io/library/node:26.10.0-bookworm-slim
# The C library, its companions and certificates; no shell, no package manager.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS node

FROM --platform=${BUILDPLATFORM:-linux/amd64} ${NODE_IMAGE} AS app
WORKDIR /app
COPY . .
RUN node tools/build-ui.ts && node tools/build-program.ts && node tools/third-party-licenses.ts \
    && mkdir -p /image/app/ui /image/app/deploy /image/data \
    && cp -r dist package.json LICENSE /image/app/ && cp -r ui/dist /image/app/ui/dist \
    && cp -r deploy/chart /image/app/deploy/chart \
    && echo "import './dist/program/main.js'" > /image/app/tercet.js

FROM ${BASE_IMAGE}
COPY --from=node /usr/local/bin/node /usr/local/bin/node
# Node's own need beside the C library.
COPY --from=node /usr/lib/*-linux-gnu/libatomic.so.1 /usr/lib/
COPY --from=app /image/app /app
COPY --from=app --chown=10001:10001 /image/data /data
WORKDIR /app
USER 10001:10001
# Buffers of some size go back to the system when they are free: else the process keeps 200 MiB more of them.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072
ENV NODE_ENV=production HOME=/tmp TERCET_DATA_DIR=/data TERCET_LISTEN_HTTP=0.0.0.0:8428 \
    TERCET_LISTEN_OTLP_HTTP=0.0.0.0:4318 TERCET_LISTEN_OTLP_GRPC=0.0.0.0:4317
VOLUME /data
EXPOSE 8428 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --retries=5 --start-period=10s \
    CMD ["/usr/local/bin/node", "/app/tercet.js", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/node", "/app/tercet.js"]
CMD ["up"]
