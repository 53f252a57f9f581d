# Sluice in a container: `docker build -t sluice .`, or `docker compose up`.
#
# Without a network, from a context that already holds dist/ and production node_modules/ for the base image's Node:
#   docker build --target prebuilt --build-arg BASE_IMAGE=<an image with node> .
# The stages stand in this order because Docker's classic builder builds everything above its target.

# The running image needs node and nothing else, not even a shell. The compiling one needs npm, python3, make and g++.
ARG BASE_IMAGE=node:24-bookworm-slim
ARG BUILD_IMAGE=node:24-bookworm

FROM ${BASE_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="One door in front of a team's machine-learning model servers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The data, and the socket that proxy and sidecar share when they run apart, belong to the user below, by number: a base image need not
# know how to add users.
RUN ["node", "-e", "const fs = require('node:fs'); for (const path of ['/data', '/run/sluice']) { fs.mkdirSync(path, { recursive: true }); fs.chmodSync(path, 0o750); fs.chownSync(path, 10001, 10001); }"]
VOLUME /data
WORKDIR /app
# Inside a container the door is the container's own: who may reach it is decided by what is published.
ENV NODE_ENV=production \
    SLUICE_PROXY_HOST=0.0.0.0 \
    SLUICE_DATA_DIR=/data
USER 10001:10001
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SLUICE_PROXY_PORT ?? 8888}/livez`, { signal: AbortSignal.timeout(3000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["serve"]

FROM runtime AS prebuilt
COPY package.json ./
COPY config/sluice.* ./config/
COPY node_modules ./node_modules
COPY dist ./dist

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund && rm -rf dist/test dist/bench

FROM runtime
COPY --from=build /app/package.json ./
COPY --from=build /app/config/sluice.* ./config/
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
