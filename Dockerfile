# syntax=docker/dockerfile:1

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep the registry and the compiled dependencies from one build to the next, so a
# change of our sources compiles our crates alone. The binary is copied out because a cache
# is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p verdict-server --bin verdict \
    && cp target/release/verdict /usr/local/bin/verdict

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/verdict --create-home verdict
COPY --from=build /usr/local/bin/verdict /usr/local/bin/verdict
USER verdict
# Only used without VERDICT_DATABASE_URL: the embedded database is a file in the working folder.
WORKDIR /var/lib/verdict
# Inside a container the loopback address would be out of everybody's reach.
ENV VERDICT_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["verdict", "health"]
ENTRYPOINT ["verdict"]
CMD ["serve"]
