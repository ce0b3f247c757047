/** eventsource-parser: its stream adapter as the README shows it, the JSON of each event gathered in the obvious way. */

import { Gathered, KEY, TIMEOUT, load, serve } from "./_driver.mjs";

const { EventSourceParserStream } = await load("eventsource-parser", "eventsource-parser/stream");

await serve(async (one) => {
  const response = await fetch(one.url, {
    method: "POST",
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(one.body),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const eventStream = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  const gathered = new Gathered();
  for await (const event of eventStream) {
    if (event.data === "[DONE]") break;
    gathered.add(JSON.parse(event.data));
  }
  return gathered.answer();
});
