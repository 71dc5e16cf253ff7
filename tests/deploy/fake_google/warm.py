"""The real gcloud, started once: every command is a fork of a process that has imported it already.

Run by the SDK's own Python: `python -S warm.py SDK_ROOT`. Reads one JSON line {argv, stdin, env} at a time, writes one
JSON line {code, out, err}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
from typing import Any


def main(root: str) -> None:
    library = os.path.join(root, "lib")
    sys.path[:0] = [os.path.join(library, "third_party"), library]
    os.environ["CLOUDSDK_ROOT_DIR"] = root
    import googlecloudsdk.gcloud_main as gcloud  # type: ignore[import-not-found]

    cli = gcloud.CreateCLI([])
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _run(gcloud, cli, asked)
        news = answer.pop("imported")
        print(json.dumps(answer), flush=True)
        _learn(news)


def _learn(names: list[str]) -> None:
    """What a command had to import is there for the next one."""
    for name in names:
        if name.startswith("googlecloudsdk.") and name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _run(gcloud: Any, cli: Any, asked: dict[str, Any]) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        given, out, err, news = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        given.write((asked["stdin"] or "").encode())
        given.seek(0)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for stream, number in ((given, 0), (out, 1), (err, 2)):
                    os.dup2(stream.fileno(), number)
                sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
                os.environ.update(asked["env"])
                sys.argv = ["gcloud", *asked["argv"]]
                gcloud.main(gcloud_cli=cli)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else (0 if end.code is None else 1)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                news.write(json.dumps(sorted(sys.modules)).encode())
                news.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
        news.seek(0)
        imported = json.loads(news.read() or b"[]")
        return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1], "imported": imported}


if __name__ == "__main__":
    main(sys.argv[1])
