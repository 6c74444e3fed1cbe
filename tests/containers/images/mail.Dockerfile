# Stands in for a mail catcher where no image can be pulled: takes every mail at port 1025 and prints it.
FROM postern-test-base
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python3", "-m", "aiosmtpd", "-n", "-l", "0.0.0.0:1025"]
