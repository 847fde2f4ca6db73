# One image for every role. The first stage installs the programs into /opt/kubescribe; the second holds them, Python, and
# nothing that could build or install anything more. Both architectures: every dependency comes as a wheel, and the one
# compiled step is built here, or the build fails.
ARG PYTHON=3.11.15-slim-trixie

FROM python:${PYTHON} AS build
ARG SETUPTOOLS=80.9.0
ARG CYTHON=3.3.1
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# For the gateway's compiled step, and for nothing else.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev

# The dependencies first: they change seldom, and this layer is kept until they do. Wheels only, which need no compiler;
# exact versions, those that were tested.
COPY pyproject.toml constraints.txt ./
RUN python -m venv --without-pip /opt/kubescribe \
 && python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
 && pip --python /opt/kubescribe/bin/python install --no-compile --only-binary :all: \
        --constraint constraints.txt --requirement requirements.txt

# Then the programs, with the page's files. What builds their wheel is pinned too.
RUN pip install --only-binary :all: setuptools==${SETUPTOOLS} Cython==${CYTHON}
COPY README.md LICENSE ./
COPY kubescribe kubescribe
COPY agent agent
COPY aggregator aggregator
COPY simulator simulator
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && pip --python /opt/kubescribe/bin/python install --no-compile --no-deps --no-index wheels/*.whl \
 && /opt/kubescribe/bin/python -I -c "import kubescribe.gateway._entries"

# Compiled once, here: the root file system is read-only where it runs. Unchecked, so that a start reads no times of files.
RUN /opt/kubescribe/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/kubescribe/lib


FROM python:${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kubescribe" \
      org.opencontainers.image.description="A flight recorder for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The folder of data is there for a first try; in a cluster a volume lies over it.
RUN python -m pip uninstall --yes --root-user-action ignore pip setuptools wheel \
 && groupadd --gid 10001 kubescribe \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/kubescribe --shell /usr/sbin/nologin kubescribe \
 && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/kubescribe
COPY --from=build /opt/kubescribe /opt/kubescribe

ENV PATH=/opt/kubescribe/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080 8081 9090 9091
ENTRYPOINT ["kubescribe"]
