# The public Edge: one static program in an empty image. `deploy/images/build` compiles it, and hands in what is copied here.
FROM scratch

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="postern-edge" \
      org.opencontainers.image.description="Public side of enrollment and MFA; opens no connection to the inside" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY postern-edge /postern-edge
# What is inside: CycloneDX, every crate with its version and checksum.
COPY postern-edge.cdx.json /postern-edge.cdx.json
# A new volume takes its owner from here.
COPY --chown=65532:65532 empty /var/lib/postern-edge

USER 65532:65532
# HTTP for the proxy in front, and the tunnel port that Core dials.
EXPOSE 8080 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/postern-edge", "health"]
ENTRYPOINT ["/postern-edge"]
CMD ["serve"]
