# The server alone, without a system around it: no shell, no libc, no certificates but those compiled in.
#
#   docker build -t posthog-persons-mcp .
#   docker run --rm -i -e POSTHOG_PERSONAL_API_KEY posthog-persons-mcp
#   docker run --rm -p 127.0.0.1:8808:8808 posthog-persons-mcp http --public-url https://mcp.example.com

# Alpine's Rust makes static binaries by itself.
FROM rust:1.95-alpine AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --features redis && \
    cp target/release/posthog-persons-mcp /posthog-persons-mcp

FROM scratch
COPY --from=build /posthog-persons-mcp /posthog-persons-mcp
# Nobody's number on the host.
USER 65532:65532
# Inside a container, this machine is the container: whoever calls comes from outside.
ENV POSTHOG_MCP_BIND=0.0.0.0:8808
EXPOSE 8808
# There is no HEALTHCHECK: it would need a program in the image that asks. Have the platform ask for /healthz.
ENTRYPOINT ["/posthog-persons-mcp"]
CMD ["stdio"]
