"""The real gcloud, started once: every command is a fork of a process that has imported it already.

Run by the SDK's own Python: `python -S warm.py SDK_ROOT`. Reads one JSON line {argv, stdin, env} at a time, writes one
JSON line {code, out, err}.
"""

import json
import os
import sys
import tempfile


def main(root: str) -> None:
    library = os.path.join(root, "lib")
    sys.path[:0] = [os.path.join(library, "third_party"), library]
    os.environ["CLOUDSDK_ROOT_DIR"] = root
    import googlecloudsdk.gcloud_main as gcloud  # type: ignore[import-not-found]

    cli = gcloud.CreateCLI([])
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_run(gcloud, cli, asked)), flush=True)


def _run(gcloud, cli, asked):  # type: ignore[no-untyped-def]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
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
                os._exit(code)
        _, status = os.waitpid(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
        return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


if __name__ == "__main__":
    main(sys.argv[1])
