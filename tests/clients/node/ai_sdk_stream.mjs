/**
 * The AI SDK, `streamText` with the provider for servers compatible with OpenAI: its text, calls, reason and usage.
 *
 * `streamText` keeps errors to itself and tells `onError` of them, as its page on errors says; the first one is thrown
 * here. Where a stream has no id for a call, the SDK makes one up, 16 letters and digits and another each time; that is
 * left out. The tools have no `execute`, so there is one request. A call that the SDK marks as invalid is reported with
 * its error as `problem`, unless all that is wrong is that the tool was not offered: that is the case's doing. Such a
 * call has its input as text where it was no JSON, and parsed where it was.
 */

import { KEY, StreamError, TIMEOUT, call, choice, load, serve } from "./_driver.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const { streamText, tool, jsonSchema, NoSuchToolError } = await load("ai-sdk", "ai");
const { createOpenAICompatible } = await load("ai-sdk", "@ai-sdk/openai-compatible");

const MADE_UP = /^[0-9A-Za-z]{16}$/;

function toolsOf(offered) {
  const entries = offered.map(({ function: { name, description, parameters } }) => [
    name,
    tool({ description, inputSchema: jsonSchema(parameters ?? { type: "object", properties: {} }) }),
  ]);
  return Object.fromEntries(entries);
}

function callOf(made) {
  const unknown = NoSuchToolError.isInstance(made.error) && typeof made.input !== "string";
  const further = made.invalid && !unknown ? { problem: String(made.error?.message ?? made.error) } : {};
  const id = MADE_UP.test(made.toolCallId) ? null : made.toolCallId;
  return call(id, made.toolName, made.input, further);
}

await serve(async (one) => {
  const provider = createOpenAICompatible({ name: "replayed", baseURL: one.baseUrl, apiKey: KEY, includeUsage: true });
  const errors = [];
  const result = streamText({
    model: provider(one.model),
    messages: [{ role: "user", content: one.question }],
    tools: toolsOf(one.tools),
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(TIMEOUT),
    onError: ({ error }) => errors.push(error),
  });
  await result.consumeStream({ onError: (error) => errors.push(error) });
  const told = await Promise.allSettled([
    result.text, result.toolCalls, result.rawFinishReason, result.usage, result.reasoningText,
  ]);
  if (errors.length) {
    throw errors[0] instanceof Error ? errors[0] : new StreamError(JSON.stringify(errors[0]));
  }
  const failed = told.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
  const [text, calls, reason, usage, reasoning] = told.map(({ value }) => value);
  const counts = { prompt_tokens: usage.inputTokens, completion_tokens: usage.outputTokens, total_tokens: usage.totalTokens };
  return {
    choices: [choice(text, calls.map(callOf), { reasoning, finish_reason: reason })],
    usage: usage.inputTokens === undefined ? undefined : counts,
  };
});
