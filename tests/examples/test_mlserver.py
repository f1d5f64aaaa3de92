"""A real MLServer with examples/mlserver in it, asked over HTTP.

MLServer stays out of the test's own environment, as it pins what it shares with others; it gets one of its own,
in the folder that ZOO_MLSERVER_VENV names, to keep it for the next time, else in one that is thrown away.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import exported
import pytest

FOLDER = exported.EXAMPLES / "mlserver"

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory):
    """The command `mlserver` of an environment that has what requirements.txt asks for."""
    folder = pathlib.Path(os.environ.get("ZOO_MLSERVER_VENV") or tmp_path_factory.mktemp("venv"))
    command = folder / "bin" / "mlserver"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
        install = [folder / "bin" / "pip", "install", "-q", "-r", FOLDER / "requirements.txt"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=1800)
        if "(from versions: none)" in done.stderr:
            pytest.skip("needs a package registry")
        assert done.returncode == 0, done.stderr
    return command


@pytest.fixture
def server(mlserver, version_folder, tmp_path):
    """Address of a server with this model, and the model's name."""
    shutil.copytree(FOLDER, tmp_path / "server")
    file = tmp_path / "server" / "model-settings.json"
    settings = json.loads(file.read_text())
    settings["name"] = version_folder.parent.name
    settings["parameters"]["uri"] = str(version_folder)
    file.write_text(json.dumps(settings))
    ports = {f"MLSERVER_{kind}_PORT": str(free_port()) for kind in ("HTTP", "GRPC", "METRICS")}
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [mlserver, "start", "."],
        cwd=tmp_path / "server",
        env={**os.environ, **ports, "MLSERVER_HOST": "127.0.0.1", "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{ports['MLSERVER_HTTP_PORT']}"
    try:
        wait_until_ready(process, f"{url}/v2/models/{settings['name']}/ready", tmp_path / "log")
        yield url, settings["name"]
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def wait_until_ready(process, url, log, seconds=180):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"MLServer did not start:\n{log.read_text()}")


def test_samples(server, version_folder, load_example, tmp_path):
    url, name = server
    output = tmp_path / "samples.png"
    client = load_example(FOLDER / "client.py")
    flags = ["--url", url, "--seed", "7", "--number", "3", "--temperature", "0.8", "--output", str(output)]
    client.main([name, *flags, *exported.label_flags(version_folder)])
    expected = exported.run_saved_model(version_folder, exported.make_inputs(version_folder, [7, 8, 9], 0.8))
    exported.check_png(output, expected["image"])

    # What the server says to requests that it cannot answer.
    with pytest.raises(SystemExit, match="404 Not Found.*Model nothing not found"):
        client.main(["nothing", "--url", url])
    flags = [] if exported.is_conditional(version_folder) else ["--label", "3"]
    with pytest.raises(SystemExit, match="400 Bad Request.*Expected the inputs"):
        client.main([name, "--url", url, *flags])
    infer = f"{url}/v2/models/{name}/infer"
    body = {"parameters": {"signature_name": "dream"}, "inputs": []}
    with pytest.raises(SystemExit, match="signature_name: expected one of .*Received: dream"):
        client.common.post_json(infer, body)
    body["parameters"]["signature_name"] = "sample"
    inputs = exported.make_inputs(version_folder, [7], 1)
    body["inputs"] = [{"name": key, "shape": [1], "datatype": "FP32", "data": [7]} for key in inputs]
    with pytest.raises(SystemExit, match="seed: expected int32 .*Received: float32"):
        client.common.post_json(infer, body)
