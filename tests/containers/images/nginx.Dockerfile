# Stands in for NGINX's own image where no image can be pulled: Debian's NGINX, with the user and the paths of that image.
FROM postern-test-base
# Debian may have given the number away.
RUN groupadd --non-unique --gid 101 nginx && useradd --non-unique --uid 101 --gid 101 --no-create-home nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
