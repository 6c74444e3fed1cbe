# Stands in for Postgres' own image where no image can be pulled: Debian's server, with the user, the paths and the variables
# of that image.
FROM postern-test-base
RUN usermod --uid 999 postgres && groupmod --gid 999 postgres && mkdir -p /var/lib/postgresql/data /var/run/postgresql && \
    chown postgres:postgres /var/lib/postgresql/data /var/run/postgresql && chmod 1777 /var/lib/postgresql/data
COPY postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
CMD ["postgres", "-c", "listen_addresses=*"]
