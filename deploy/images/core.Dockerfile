# Core: one static program in an empty image. `deploy/images/build` compiles it, and hands in what is copied here.
FROM scratch

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="postern-core" \
      org.opencontainers.image.description="Knows people, devices and locations; dials the Edges and listens on no network" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY postern-core /postern-core
# What is inside: CycloneDX, every crate with its version and checksum.
COPY postern-core.cdx.json /postern-core.cdx.json
# New volumes take their owner from here: database and master key where there is no Postgres, and the socket for commands.
COPY --chown=65532:65532 empty /var/lib/postern-core
COPY --chown=65532:65532 empty /run/postern-core

USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/postern-core", "health"]
ENTRYPOINT ["/postern-core"]
CMD ["serve"]
