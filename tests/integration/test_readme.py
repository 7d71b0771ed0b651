"""The README's five minutes, done by the letter: the built wheel in a fresh environment and a fresh Django project.

Its code blocks are taken from the README itself, so what it says and what works cannot part. Only the port is changed:
the test must not need 4730 to be free.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
#: Seconds for pip, which fetches Django, and for the commands.
INSTALL_TIMEOUT_S, COMMAND_TIMEOUT_S = 300, 60


def blocks(language: str) -> list[str]:
    """The README's code blocks of one language, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [found["code"] for found in BLOCK.finditer(text) if found["language"] == language]


def python_block(marker: str) -> str:
    return next(code for code in blocks("python") if marker in code)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class ForeignProject:
    """A project made by `django-admin startproject`, with gearjobs installed from its wheel."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "mysite"
        self.directory.mkdir()
        self.port = free_port()
        self._bin = directory / "venv" / "bin"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "GEARJOBS_", "PYTHON"))
        }

    def install(self, wheel: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(self._bin.parent)], check=True, timeout=INSTALL_TIMEOUT_S)
        pip = [str(self._bin / "pip"), "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        subprocess.run(pip, check=True, timeout=INSTALL_TIMEOUT_S)

    def write(self, name: str, code: str) -> None:
        with (self.directory / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{code}")

    def run(self, *command: str, code: str = "") -> str:
        done = subprocess.run(
            [str(self._bin / command[0]), *command[1:]],
            cwd=self.directory,
            env=self.environment,
            input=code,
            text=True,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str, *more: str) -> None:
        program, *arguments = line.split()
        log = (self.directory / f"{arguments[1]}.log").open("wb")
        command = [str(self._bin / program), *arguments, *more]
        self._processes.append(
            subprocess.Popen(command, cwd=self.directory, env=self.environment, stdout=log, stderr=log)
        )
        log.close()

    def log(self, command: str) -> str:
        return (self.directory / f"{command}.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(COMMAND_TIMEOUT_S)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignProject]:
    """The README's steps up to the running server and workers."""
    directory = tmp_path_factory.mktemp("readme")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(directory), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S)
    project = ForeignProject(directory)
    project.install(next(directory.glob("*.whl")))
    project.run("django-admin", "startproject", "mysite", ".")
    project.run("python", "manage.py", "startapp", "shop")
    server = f'GEARJOBS = {{"SERVERS": ["127.0.0.1:{project.port}"], "SERVER": {{"PORT": {project.port}}}}}'
    project.write("mysite/settings.py", f'INSTALLED_APPS += ["shop"]\n{python_block("# settings.py")}{server}\n')
    project.write("mysite/urls.py", f"from django.urls import include\n{python_block('# urls.py')}")
    project.write("shop/tasks.py", python_block("# shop/tasks.py"))
    migrate, runjobserver, runworkers = next(code for code in blocks("sh") if "runjobserver" in code).splitlines()
    try:
        project.run(*migrate.split())
        project.start(runjobserver)
        eventually(lambda: "listening on" in project.log("runjobserver"), COMMAND_TIMEOUT_S, "the job server")
        project.start(runworkers)
        yield project
    finally:
        project.stop()


def test_shell_session_says_what_the_readme_says(project: ForeignProject) -> None:
    """Each line of the block runs, and the values are those its comments promise."""
    lines = python_block("count_words.enqueue").splitlines()
    waiting = (
        "import time\nfor _ in range(300):\n    if result.is_finished: break\n    time.sleep(0.1); result.refresh()\n"
    )
    session = [waiting if line == "result.refresh()" else line for line in lines]
    session += [
        "print([str(result.status), result.return_value, count_words.do('jumps over'), count_words('the lazy dog')])"
    ]

    said = project.run("python", "manage.py", "shell", code="\n".join(session) + "\n")

    assert said.strip().splitlines()[-1] == "['SUCCESSFUL', 4, 2, 3]", said


def test_rest_endpoint_tells_the_job(project: ForeignProject) -> None:
    script = "from shop.tasks import count_words\nprint(count_words.enqueue('one two').id)\n"
    handle = project.run("python", "manage.py", "shell", code=script).strip().splitlines()[-1]
    project.environment |= {"DJANGO_SUPERUSER_PASSWORD": "secret", "DJANGO_SUPERUSER_EMAIL": "a@example.org"}
    project.run("python", "manage.py", "createsuperuser", "--noinput", "--username", "admin")
    web_port = free_port()
    project.start(f"python manage.py runserver --noreload 127.0.0.1:{web_port}")

    def ask() -> dict[str, object]:
        request = urllib.request.Request(f"http://127.0.0.1:{web_port}/api/jobs/{handle}/")
        request.add_header("Authorization", "Basic " + base64.b64encode(b"admin:secret").decode())
        try:
            with urllib.request.urlopen(request, timeout=COMMAND_TIMEOUT_S) as answer:
                job: dict[str, object] = json.load(answer)
        except OSError:
            return {}
        return job if job["status"] == "SUCCESSFUL" else {}

    job = eventually(ask, COMMAND_TIMEOUT_S, "the job's success over REST")

    assert (job["id"], job["result"], job["progress"]) == (
        handle,
        2,
        {"numerator": 2.0, "denominator": 2.0, "message": "counted two", "percent": 100.0},
    )


def test_check_command_is_content(project: ForeignProject) -> None:
    assert "no issues" in project.run("python", "manage.py", "check")
