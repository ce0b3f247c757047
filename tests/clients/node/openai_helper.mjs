/** openai, `chat.completions.stream()`: what the helper gathers by itself, `finalChatCompletion()`. */

import { KEY, TIMEOUT, load, serve } from "./_driver.mjs";

const { default: OpenAI } = await load("openai-node", "openai");

await serve(async (one) => {
  const client = new OpenAI({ baseURL: one.baseUrl, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const stream = client.chat.completions.stream({
    model: one.model,
    messages: one.messages,
    tools: one.tools,
    stream_options: { include_usage: true },
  });
  return stream.finalChatCompletion();
});
