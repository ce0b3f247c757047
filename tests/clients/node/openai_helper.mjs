/**
 * openai, `chat.completions.stream()`: what the helper gathers by itself, `finalChatCompletion()`.
 *
 * Where a stream has no id for a call, the helper makes one up, `call_` and a UUID; that is left out.
 */

import { KEY, TIMEOUT, load, serve } from "./_driver.mjs";

const { default: OpenAI } = await load("openai-node", "openai");

const MADE_UP = /^call_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

await serve(async (one) => {
  const client = new OpenAI({ baseURL: one.baseUrl, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const stream = client.chat.completions.stream({
    model: one.model,
    messages: one.messages,
    tools: one.tools,
    stream_options: { include_usage: true },
  });
  const completion = await stream.finalChatCompletion();
  for (const made of completion.choices.flatMap(({ message }) => message.tool_calls ?? [])) {
    if (MADE_UP.test(made.id)) made.id = null;
  }
  return completion;
});
