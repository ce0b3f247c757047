/**
 * What the Node drivers share: the line protocol, and the shape in which they report an answer.
 *
 * A driver reads a case a line from its standard input and writes one line for each to its standard output, as
 * `python/_driver.py` says. It reports what its client reports and repairs nothing. All drivers send requests once: a
 * client that tries again gets the same bytes again, and its user sees the last failure in any case.
 */

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Milliseconds that a client waits for an answer. */
export const TIMEOUT = 20_000;
/** Clients ask for a key; the server of the cases does not. */
export const KEY = "no-key";

const QUESTION = "What is the weather like in Boston?";
const WEATHER = {
  type: "function",
  function: {
    name: "get_current_weather",
    description: "Get the current weather in a given location",
    parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] },
  },
};

/** The server reported an error inside the stream, as a value that is no Error. */
export class StreamError extends Error {}

/**
 * Import a package of an environment, as a program that lies in its folder would.
 *
 * @param {string} environment its name
 * @param {string} name what to import
 */
export async function load(environment, name) {
  const loader = await import(new URL(`../.environments/${environment}/load.mjs`, import.meta.url).href);
  return loader.load(name);
}

/** One case: what to send, and where. */
class Case {
  constructor(told) {
    this.baseUrl = told.base_url;
    this.url = told.url ?? told.base_url;
    const request = told.request ?? {};
    this.model = request.model || "replayed";
    this.messages = request.messages?.length ? request.messages : [{ role: "user", content: QUESTION }];
    // The last text of a user in it, for clients that take no messages as the API has them.
    const texts = this.messages.filter(({ role, content }) => role === "user" && typeof content === "string");
    this.question = texts.at(-1)?.content ?? QUESTION;
    // One tool at least: some clients read no calls where none were offered.
    this.tools = request.tools?.length ? request.tools : [WEATHER];
    this.body = { model: this.model, messages: this.messages, tools: this.tools, stream: true };
  }
}

/**
 * Answer the cases of the standard input until it ends.
 *
 * @param {(one: Case) => Promise<unknown>} drive gives what the client reports for one case, or throws what it throws
 */
export async function serve(drive) {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr); // what a library prints is no answer
  process.on("unhandledRejection", (error) => console.error("unhandled rejection:", error));
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (!line.trim()) continue;
    const told = JSON.parse(line);
    let reply;
    try {
      reply = { id: told.id, result: (await drive(new Case(told))) ?? null };
    } catch (error) {
      reply = { id: told.id, error: { type: nameOf(error), message: String(error?.message ?? error) } };
    }
    write(`${JSON.stringify(reply)}\n`);
  }
}

function nameOf(error) {
  return error?.constructor?.name ?? error?.name ?? typeof error;
}

/** Return a choice with an index of 0; what is undefined is left out when it is written. */
export function choice(content, calls, { finish_reason, ...further } = {}) {
  return { index: 0, message: { role: "assistant", content, tool_calls: calls, ...further }, finish_reason };
}

/** Return one tool call; its arguments are text or parsed. */
export function call(id, name, args, further = {}) {
  return { id, type: "function", function: { name, arguments: args }, ...further };
}

/** The payloads of Chat Completions gathered in the obvious way; the same loop as in `python/_gather.py`. */
export class Gathered {
  content = "";
  refusal = "";
  calls = {};
  finishReason;
  usage;

  add(payload) {
    if (payload.error) throw new StreamError(JSON.stringify(payload.error));
    this.usage = payload.usage ?? this.usage;
    if (payload.choices.length === 0) return;
    const { delta, finish_reason } = payload.choices[0];
    this.content += delta.content ?? "";
    this.refusal += delta.refusal ?? "";
    this.finishReason = finish_reason ?? this.finishReason;
    for (const entry of delta.tool_calls ?? []) {
      this.calls[entry.index] ??= call(entry.id, entry.function.name, "");
      this.calls[entry.index].function.arguments += entry.function.arguments ?? "";
    }
  }

  answer() {
    const further = { refusal: this.refusal || undefined, finish_reason: this.finishReason ?? null };
    return { choices: [choice(this.content, Object.values(this.calls), further)], usage: this.usage };
  }
}

/** Print the versions of packages of an environment: `node _driver.mjs openai-node openai`. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { readFileSync } = await import("node:fs");
  const [environment, ...names] = process.argv.slice(2);
  const versions = names.map((name) => {
    const file = new URL(`../.environments/${environment}/node_modules/${name}/package.json`, import.meta.url);
    return JSON.parse(readFileSync(file, "utf8")).version;
  });
  const below = names.slice(1).map((name, number) => `${name} ${versions[number + 1]}`);
  console.log(versions[0] + (below.length ? ` (${below.join(", ")})` : ""));
}
