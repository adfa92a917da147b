# The server and nothing else: no shell, no libc, and only the compiled-in CA certificates.
#
#   docker build -t posthog-persons-mcp .
#   docker run --rm -i -e POSTHOG_PERSONAL_API_KEY posthog-persons-mcp
#   docker run --rm -p 127.0.0.1:8808:8808 posthog-persons-mcp http --public-url https://mcp.example.com

# Rust on Alpine links statically by default.
FROM rust:1.95-alpine AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --features redis && \
    cp target/release/posthog-persons-mcp /posthog-persons-mcp

FROM scratch
COPY --from=build /posthog-persons-mcp /posthog-persons-mcp
# An unprivileged user that exists on no host.
USER 65532:65532
# Loopback is only reachable from inside the container.
ENV POSTHOG_MCP_BIND=0.0.0.0:8808
EXPOSE 8808
# No HEALTHCHECK: it would need an HTTP client in the image. Use /healthz as the platform's liveness check.
ENTRYPOINT ["/posthog-persons-mcp"]
CMD ["stdio"]
