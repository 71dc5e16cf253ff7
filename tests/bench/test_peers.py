"""What the voice bench knows of its peers without having them installed."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from infra.simulators import mulaw
from infra.simulators.deepgram_listen import API_KEY
from tests.bench import vendors, voice
from tests.bench.bare_socket import BareSocket
from tests.bench.peers import environment
from tests.bench.peers.environment import PEERS, NoPeer

PIN = re.compile(r"([a-z0-9][a-z0-9._-]*)(\[[a-z,]+\])?==([0-9][0-9a-z.+]*)( ; [^\\]+)? \\")


class Pip:
    """Stands for venv and pip: `fails` at the step whose command has that word."""

    def __init__(self, home: Path, fails: str = "") -> None:
        self.home, self.fails = home, fails
        self.asked: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.asked.append(arguments)
        if self.fails in arguments:
            return subprocess.CompletedProcess(arguments, 1, "", "ERROR: No matching distribution found")
        python = self.home / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        return subprocess.CompletedProcess(arguments, 0, "", "")


@pytest.mark.parametrize("kind", PEERS)
def test_what_a_peer_runs_is_python_that_asks_for_the_options_it_is_given(kind: str) -> None:
    peer = PEERS[kind]
    tree = ast.parse(peer.program.read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert {"--port", *peer.options} <= words
    assert voice.PATH in words


@pytest.mark.parametrize("kind", PEERS)
def test_a_peer_is_pinned_with_hashes_and_names_no_index(kind: str) -> None:
    lines = PEERS[kind].lock.read_text().splitlines()
    pins = [line for line in lines if not line.startswith(" ")]
    assert [line for line in pins if not PIN.fullmatch(line)] == []
    assert {"pipecat-ai", "uvicorn", "uvloop"} <= {line.split("==")[0] for line in pins}
    assert [
        line for line in lines if line.startswith(" ") and not re.match(r" +--hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert environment.version(kind) == "1.14.0"


def test_the_peer_is_served_by_the_web_server_of_the_gateway() -> None:
    """Else the bench would compare servers."""

    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", path.read_text(), re.MULTILINE))

    ours, theirs = pins(environment.HERE.parents[2] / "requirements.lock"), pins(PEERS["pipecat"].lock)
    for name in ("uvicorn", "uvloop", "websockets", "starlette"):
        assert theirs[name] == ours[name]


def test_an_environment_is_made_once_and_again_when_its_pins_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    pip = Pip(tmp_path / "pipecat")
    for kind in PEERS:  # both of them share it
        environment.make(kind, tmp_path, run=pip, say=said.append)
    assert len(pip.asked) == 2
    assert "--require-hashes" in pip.asked[1]
    assert str(PEERS["pipecat"].lock) in pip.asked[1]
    assert "installing 67 packages" in said[0]
    assert len(said) == 2
    lock = tmp_path / "pipecat.lock"
    lock.write_text("pipecat-ai==9.9.9 \\\n")
    monkeypatch.setitem(PEERS, "pipecat", replace(PEERS["pipecat"], lock=lock))
    environment.make("pipecat", tmp_path, run=pip, say=said.append)
    assert len(pip.asked) == 4


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_a_peer_that_cannot_be_installed_is_refused_with_the_reason_and_what_to_do(tmp_path: Path, step: str) -> None:
    pip = Pip(tmp_path / "pipecat", fails=step)
    with pytest.raises(NoPeer, match=r"(?s)pipecat cannot be installed.*No matching distribution.*--targets"):
        environment.make("pipecat", tmp_path, run=pip, say=lambda _: None)
    assert not environment.ready("pipecat", tmp_path)


def test_an_installation_that_was_broken_off_is_not_taken_for_whole(tmp_path: Path) -> None:
    environment.make("pipecat", tmp_path, run=Pip(tmp_path / "pipecat"), say=lambda _: None)
    (tmp_path / "pipecat" / "installed").write_text("of another lock file")
    with pytest.raises(NoPeer):
        environment.make("pipecat", tmp_path, run=Pip(tmp_path / "pipecat", fails="pip"), say=lambda _: None)
    assert not environment.ready("pipecat", tmp_path)


def test_the_bench_knows_its_targets_and_no_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in PEERS:
        assert voice.command(kind, 4321)[-2 - len(PEERS[kind].options) :] == ["--port", "4321", *PEERS[kind].options]
    assert "media_gateway" in voice.command("callboard", 4321)
    assert voice.targets("floor,pipecat:25") == [("floor", sys.maxsize), ("pipecat", 25)]
    monkeypatch.setattr(sys, "argv", ["voice", "--targets", "floor,pipecaat"])
    with pytest.raises(SystemExit):
        voice.main()
    assert "no target is called pipecaat; there are floor, callboard, pipecat" in capsys.readouterr().err


def test_the_bench_ends_with_the_words_of_a_peer_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(kind: str) -> None:
        raise NoPeer(f"{kind} cannot be installed")

    monkeypatch.setattr(environment, "make", make)
    monkeypatch.setattr(sys, "argv", ["voice", "--targets", "pipecat"])
    with pytest.raises(SystemExit, match="pipecat cannot be installed"):
        voice.main()


def test_what_names_a_turn_is_the_same_in_linear_samples() -> None:
    """A peer turns what it hears into linear samples and what it says into mu-law."""
    for call in range(126):
        for magic in (vendors.SPEECH, vendors.SOUND):
            frame = vendors.tag(magic, call, 99, 5)
            assert vendors.read_tag(mulaw.encode(mulaw.decode(frame)), magic) == (call, 99, 5)


async def _first(url: str, send: Sequence[bytes | str], wanted: Callable[[bytes], bool]) -> bytes:
    """The first message of the vendors that is wanted, after these were sent."""
    found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def take(data: bytes, _is_text: bool) -> None:
        if wanted(data) and not found.done():
            found.set_result(data)

    key = {"Authorization": f"Token {API_KEY}"}
    socket = await BareSocket.connect(url, key, take)
    for one in send:
        socket.send_text(one) if isinstance(one, str) else socket.send_binary(one)
    async with asyncio.timeout(20):
        answer = await found
    socket.close()
    return answer


def test_the_vendors_of_the_bench_hear_and_say_linear_samples_where_they_are_asked_to() -> None:
    async def talk() -> tuple[bytes, bytes]:
        deepgram = vendors.TimedDeepgram(vendors.Watch())
        async with deepgram.serving():
            listen = f"{deepgram.url}/v2/listen?model=flux-general-en&encoding=linear16&sample_rate=8000"
            frames = [mulaw.decode(frame) for frame in vendors.utterance(7, 3)]
            heard = await _first(listen, frames, lambda data: b'"StartOfTurn"' in data)
            speak = f"{deepgram.url}/v1/speak?model=aura-2-thalia-en&encoding=linear16&sample_rate=8000"
            text = json.dumps({"type": "Speak", "text": vendors.answer_to((7, 3))})
            said = await _first(speak, [text, '{"type":"Flush"}'], lambda data: data[:1] != b"{")
            assert deepgram.listen.violations == []
            return heard, said

    heard, said = asyncio.run(talk())
    assert vendors.named(heard.decode()) == (7, 3)
    assert len(said) == 1_600  # 100 ms
    assert vendors.read_tag(mulaw.encode(said), vendors.SOUND) == (7, 3, 0)


def _run(**other: object) -> dict[str, object]:
    found = {"target": "pipecat", "calls": 20, "turns": 40, "turns_answered": 40, "failed": 0, "gaps": 0, "void": []}
    return {**found, "added_ms": {"n": 40, "p99": 49.0}, **other}


@pytest.mark.parametrize(
    "fault",
    [
        {"turns_answered": 39},
        {"turns": 0, "turns_answered": 0, "added_ms": {"n": 0}},
        {"failed": 1},
        {"gaps": 1},
        {"void": ["the callers were 21 ms late"]},
        {"added_ms": {"n": 40, "p99": 50.0}},
    ],
)
def test_a_target_carries_the_most_calls_at_which_all_was_well(fault: dict[str, object]) -> None:
    runs = [_run(calls=5), _run(), _run(calls=15)]
    assert voice.carried([*runs, _run(calls=25, **fault)]) == {"pipecat": 20}
    assert voice.carried([_run(**fault)]) == {"pipecat": 0}


@pytest.mark.parametrize("calls", [5, 10, 15, 20, 25])
def test_the_turns_of_few_calls_are_spread_over_the_whole_time(calls: int) -> None:
    """Else they would all be answered at once, and then none for a while: more than the same number of callers ask."""
    assert (calls - 1) * voice.apart_s(calls) == pytest.approx(3.0, rel=0.25)
    ticks = sorted(one * voice.apart_s(calls) % 0.02 for one in range(calls))
    assert min(after - before for before, after in pairwise(ticks)) > 0.0001
