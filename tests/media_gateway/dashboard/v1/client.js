// Drives callboard-client.js from a test: lines of JSON in on stdin, everything that the client tells out on stdout.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [file, url, base, token] = process.argv.slice(2);
const { CallboardClient, delay, verdict, Progress } = await import(pathToFileURL(file).href);
const say = (what, value) => process.stdout.write(`${JSON.stringify([what, value])}\n`);
const headers = { authorization: `Bearer ${token}` };

/** fetch cannot set Host, which the gateway checks: the test gives an address that it accepts. */
async function ask(path, method = "GET") {
  const answer = await fetch(base + path, { method, headers });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

let blocked = false;
class Line extends WebSocket {
  constructor(address, protocol) {
    if (blocked) throw new Error("blocked");
    super(address, protocol);
    Line.last = this;
  }
}

const client = new CallboardClient({
  url,
  WebSocket: Line,
  random: () => 0.1,
  ticket: async () => (await ask("/ws-ticket", "POST")).ticket,
  get: ask,
  onEvent: (event) => say("event", [event.call_id, event.epoch, event.seq, event.event]),
  onHeads: (heads) => say("heads", heads.map((head) => [head.call_id, head.seq])),
  onSnapshot: (snapshot) => say("snapshot", [snapshot.call_id, snapshot.seq, snapshot.state.status]),
  onLive: (moment) => say("live", [moment.call_id, moment.n, moment.data]),
  onError: (error, id) => say("error", [id, error.code]),
  onState: (state) => say("state", [state.phase, state.code]),
});
const commands = {
  watchAll: () => client.watchAll(),
  watch: (id, options) => client.watch(id, options),
  cut: () => Line.last.close(),
  block: (on) => (blocked = on),
  stop: () => client.stop(),
  delay: (attempt) => say("delay", delay(attempt, () => 1)),
  verdict: (code) => say("verdict", verdict(code)),
  progress: (events) => {
    const progress = new Progress();
    say("progress", events.map(([epoch, seq]) => progress.take({ call_id: "CA1", epoch, seq, event: "idle" })));
  },
  crowd: (calls) => {
    const progress = new Progress();
    for (let call = 0; call < calls; call += 1) {
      progress.take({ call_id: `CA${call}`, epoch: "e", seq: 1, event: "idle" });
      if (call) progress.over(`CA${call}`); // the first goes on
    }
    const last = progress.take({ call_id: `CA${calls - 1}`, epoch: "e", seq: 1, event: "idle" });
    say("crowd", [progress.calls.size, progress.calls.has("CA0"), last]);
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line);
  commands[name](...given);
}
process.exit(0);
