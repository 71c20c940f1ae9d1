# For CPUs. The steps are those of scripts/test and CI, so that what is installed is what is tested:
#   docker build -t style-transfer .
#   docker run --rm -v "$PWD:/work" -w /work style-transfer \
#     style_transfer_generate --content=piece.mid --style=piano.wav --output_dir=out
#   docker run --rm -p 127.0.0.1:8080:8080 style-transfer style_transfer_app --host=0.0.0.0
FROM python:3.11-slim
WORKDIR /opt/style-transfer
COPY . .
RUN bash -c '. scripts/_setup.sh && want_fluidsynth && set_up' && rm -rf /var/lib/apt/lists /root/.cache
ENV PATH="/opt/style-transfer/.venv/bin:$PATH"
CMD ["style_transfer_generate", "--help"]
