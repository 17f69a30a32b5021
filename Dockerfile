FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without pip: nothing is installed into the image once it runs.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/dlmon
WORKDIR /src
# What dlmon depends on is a layer of its own, which an edit of dlmon leaves alone. Every file is
# checked against its hash.
COPY locks locks
RUN /opt/build/bin/pip install --require-hashes -r locks/build.txt \
    && pip --python /opt/dlmon/bin/python install --require-hashes -r locks/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY dlmon dlmon
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && pip --python /opt/dlmon/bin/python install --no-deps dist/*.whl

FROM python:3.13-slim
ENV PATH=/opt/dlmon/bin:$PATH
# dlmon's data folder is then /var/lib/dlmon: a volume mounted there keeps events, and starts out
# owned by this user.
ENV XDG_DATA_HOME=/var/lib
# The tests, too, run on a read-only file system with a writable /tmp.
ENV PYTEST_ADDOPTS="-o cache_dir=/tmp/pytest" HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
# Each process of the tests takes some 200 MB, of the 1 GB that the Compose file allows.
ENV PYTEST_XDIST_AUTO_NUM_WORKERS=2
RUN useradd --uid 1000 --create-home dlmon \
    && install --directory --owner=dlmon --group=dlmon /var/lib/dlmon
COPY --from=build /opt/dlmon /opt/dlmon
USER dlmon
WORKDIR /home/dlmon
# The tests read the documentation, and type the commands in it.
COPY --chown=dlmon pyproject.toml LICENSE *.md ./
COPY --chown=dlmon benchmarks benchmarks
# The wheel has what is made of it, not the source of the page.
COPY --chown=dlmon dlmon/web/page dlmon/web/page
COPY --chown=dlmon docs docs
COPY --chown=dlmon examples examples
COPY --chown=dlmon locks locks
COPY --chown=dlmon schemas schemas
COPY --chown=dlmon tests tests
# No ENTRYPOINT: the image runs dlmon and its tests alike.
CMD ["dlmon", "--help"]
